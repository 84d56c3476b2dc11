"""The memory of an import, as the greatest resident set of a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROWS, OBSERVATIONS = 200_000, 20
RESULT = ROWS * 4 * (2 * OBSERVATIONS + 1 + 3)  # bytes of the dataset
CODE = """
import re, sys
from pathlib import Path
from merpo.data.columns import read_columns
from merpo.data.import_logs import import_logs

def kilobytes(key):
    return int(re.search(key + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

mapping, short, long = sys.argv[1:]
import_logs([Path(short)], None, read_columns(Path(mapping)), {}, note=lambda text: None)
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
print(kilobytes("VmRSS"))
import_logs([Path(long)], None, read_columns(Path(mapping)), {}, note=lambda text: None)
print(kilobytes("VmHWM"))
"""


def write(path: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, OBSERVATIONS + 2))
    numbers[:, -2] = np.tanh(numbers[:, -2])
    names = [*(f"s{i}" for i in range(OBSERVATIONS)), "a", "r"]
    labels = np.arange(rows) // 100
    if path.suffix == ".csv":
        table = np.column_stack([numbers, labels])
        with path.open("w") as file:
            file.write(",".join([*names, "day"]) + "\n")
            np.savetxt(file, table, fmt="%.4f", delimiter=",")
    elif path.suffix == ".npz":
        np.savez(path, **dict(zip(names, numbers.T, strict=True)), day=labels)
    else:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table({**dict(zip(names, numbers.T, strict=True)), "day": labels}), path)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's count of memory")
@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_an_import_needs_about_twice_its_result(kind: str, tmp_path: Path) -> None:
    """Beyond what the libraries take, which the import of a short file shows first; of a short log, a little more."""
    columns = [f"s{i}" for i in range(OBSERVATIONS)]
    mapping = f"observations = {columns}\nactions = ['a']\nrewards = 'r'\nepisodes = 'day'\n"
    (tmp_path / "columns.toml").write_text(mapping)
    write(tmp_path / f"short.{kind}", 200)
    write(tmp_path / f"long.{kind}", ROWS)
    files = [str(tmp_path / f"{name}.{kind}") for name in ("short", "long")]
    line = [sys.executable, "-c", CODE, str(tmp_path / "columns.toml"), *files]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = (1024 * int(line) for line in done.stdout.split())
    assert after - before < 3 * RESULT, f"{(after - before) / RESULT:.2f} times the result"
