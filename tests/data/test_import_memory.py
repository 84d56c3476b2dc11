"""The memory of imports: what the resident set of a process grows by, at most, beyond what its libraries take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROWS, OBSERVATIONS, LENGTH = 300_000, 20, 1000
RESULT = ROWS * 4 * (2 * OBSERVATIONS + 1 + 3)  # bytes of the dataset
BLOCKS = 20 << 20  # bytes of blocks that are read at a time and of caches, however large the files are
KINDS = ("csv", "npz", "parquet", "hdf5", "minari")
CODE = """
import contextlib, ctypes, io, os, re, sys
from pathlib import Path
from merpo.data.import_any import import_any

def kilobytes(key):
    return int(re.search(key + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

def read(folder, kind):
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    source = "test/log-v0" if kind == "minari" else str(folder / f"log.{kind}")
    with contextlib.redirect_stdout(io.StringIO()):
        import_any([source], f"{folder.name}-{kind}", None if kind == "minari" else folder / "columns.toml")

short, long = map(Path, sys.argv[1:3])
for kind in sys.argv[3:]:
    read(short, kind)
    ctypes.CDLL(None).malloc_trim(0)  # free memory is given back, so that it does not count as there before
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before = kilobytes("VmRSS")
    read(long, kind)
    print("grown", kind, kilobytes("VmHWM") - before)
"""


def write(folder: Path, rows: int) -> None:
    """The same log in all formats, without labels: a flag ends its episodes."""
    random = np.random.default_rng(0)
    block = np.round(random.normal(size=(LENGTH, OBSERVATIONS + 3)), 4)  # again and again: writing text is slow
    block[:, -3], block[:, -1] = np.tanh(block[:, -3]), np.arange(LENGTH) == LENGTH - 1
    names = [*(f"s{i}" for i in range(OBSERVATIONS)), "a", "r", "end"]
    (folder / "columns.toml").write_text(
        f"observations = {names[:OBSERVATIONS]}\nactions = ['a']\nrewards = 'r'\ntruncations = 'end'\n"
    )
    with (folder / "log.csv").open("w") as file:
        np.savetxt(file, block, "%.4f", ",", header=",".join(names), comments="")
    lines = (folder / "log.csv").read_text().splitlines(keepends=True)
    (folder / "log.csv").write_text(lines[0] + "".join(lines[1:]) * (rows // LENGTH))
    columns = dict(zip(names, np.tile(block, (rows // LENGTH, 1)).T, strict=True))
    np.savez(folder / "log.npz", **columns)
    _write_parquet(folder / "log.parquet", columns)
    _write_hdf5(folder / "log.hdf5", columns)
    _write_minari(folder / "test" / "log-v0" / "data", block, rows // LENGTH)


def _write_parquet(path: Path, columns: dict[str, np.ndarray]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), path)


def _write_hdf5(path: Path, columns: dict[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file[name] = column


def _write_minari(folder: Path, block: np.ndarray, episodes: int) -> None:
    import h5py

    folder.mkdir(parents=True)
    box = {"type": "Box", "dtype": "float64"}
    spaces = {
        "observation_space": {
            **box,
            "shape": [OBSERVATIONS],
            "low": [-9.0] * OBSERVATIONS,
            "high": [9.0] * OBSERVATIONS,
        },
        "action_space": {**box, "shape": [1], "low": [-1.0], "high": [1.0]},
    }
    spaces = {key: json.dumps(space) for key, space in spaces.items()}
    counts = {"total_steps": episodes * LENGTH, "total_episodes": episodes}
    (folder / "metadata.json").write_text(json.dumps({**spaces, **counts, "data_format": "hdf5"}))
    arrays = {
        "observations": np.vstack([block, block[:1]])[:, :OBSERVATIONS],
        "actions": block[:, OBSERVATIONS : OBSERVATIONS + 1],
        "rewards": block[:, -2],
        "terminations": np.zeros(LENGTH, bool),
        "truncations": block[:, -1] == 1,
    }
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        for e in range(episodes):
            for key, array in arrays.items():
                file[f"episode_{e}/{key}"] = array


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """By how many bytes the memory of a process grows while it imports a log of each kind, after a short one."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs Linux's count of memory")
    folders = [tmp_path_factory.mktemp(name) for name in ("short", "long")]
    for folder, rows in zip(folders, (2 * LENGTH, ROWS), strict=True):
        write(folder, rows)
    line = [sys.executable, "-c", CODE, *map(str, folders), *KINDS]
    environment = {**os.environ, "MERPO_DATA": str(folders[0] / "store")}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("grown ")]
    return {kind: 1024 * int(kilobytes) for _, kind, kilobytes in lines}


@pytest.mark.parametrize("kind", KINDS)
def test_an_import_needs_about_the_memory_of_its_result(kind: str, grown: dict[str, int]) -> None:
    found = grown[kind]
    assert found < 1.25 * RESULT + BLOCKS, f"{found >> 20} MiB for a result of {RESULT >> 20} MiB"
