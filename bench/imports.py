"""Time and peak memory of `merpo data import` for a log of 2 million rows and 20 columns, as csv and as npz.

The columns are a label of the episode, 16 observations, 2 actions and a reward; the numbers are random, csv files have
six decimals. Every import is a process of its own, with an empty store; its peak memory is its greatest resident set.
`start` is the import of a log of two rows: the interpreter with its libraries. With `--before REVISION` the code of
that revision imports the same files in the same rounds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from _options import parse
from _timing import parser, prepare, summary, write

from merpo.support.format import bytes_text

ROOT = Path(__file__).parent.parent
OBSERVATIONS, ACTIONS, LENGTH = 16, 2, 1000
BLOCK = 100_000  # rows that are written at a time
MAPPING = f"""
observations = {[f"s{i}" for i in range(OBSERVATIONS)]}
actions = {[f"a{i}" for i in range(ACTIONS)]}
rewards = "reward"
episodes = "episode"
"""


def main() -> None:
    """Write the logs, import them round by round, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    with tempfile.TemporaryDirectory() as name, _code(arguments.before) as codes:
        folder = Path(name)
        (folder / "columns.toml").write_text(MAPPING, "utf-8")
        files = {"start": folder / "start.csv", "csv": folder / "log.csv", "npz": folder / "log.npz"}
        for key, path in files.items():
            write_apart(path, 2 if key == "start" else arguments.rows)
        measured: dict[str, dict[str, list[dict[str, float]]]] = {key: {code: [] for code in codes} for key in files}
        for _ in range(arguments.rounds):
            for key, path in files.items():
                for code, tree in codes.items():
                    measured[key][code].append(imported(path, tree))
        sizes = {key: path.stat().st_size for key, path in files.items()}
    found = {key: {code: _medians(each) for code, each in by.items()} for key, by in measured.items()}
    result = arguments.rows * 4 * (2 * OBSERVATIONS + ACTIONS + 3)
    _print(found, sizes, result)
    write(arguments, {"result_bytes": result, "file_bytes": sizes, "imports": found})


def write_apart(path: Path, rows: int) -> None:
    """`write_log` in a process of its own: the peak memory of a process counts as that of those that it starts."""
    process = multiprocessing.get_context("spawn").Process(target=write_log, args=(path, rows))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{path}: not written")


def write_log(path: Path, rows: int) -> None:
    """Write a log of random numbers in the format of the file's ending."""
    random = np.random.default_rng(0)
    count = OBSERVATIONS + ACTIONS + 1
    if path.suffix == ".npz":
        numbers = random.normal(size=(rows, count))
        actions = np.tanh(numbers[:, OBSERVATIONS:-1])
        labels = np.arange(rows) // LENGTH
        np.savez(path, observations=numbers[:, :OBSERVATIONS], actions=actions, rewards=numbers[:, -1], episodes=labels)
        return
    names = ["episode", *(f"s{i}" for i in range(OBSERVATIONS)), *(f"a{i}" for i in range(ACTIONS)), "reward"]
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(names) + "\n")
        for start in range(0, rows, BLOCK):
            numbers = random.normal(size=(min(BLOCK, rows - start), count))
            numbers[:, OBSERVATIONS:-1] = np.tanh(numbers[:, OBSERVATIONS:-1])
            labels = (start + np.arange(len(numbers))) // LENGTH
            np.savetxt(file, np.column_stack([labels, numbers]), ["%d", *["%.6f"] * count], ",")


def imported(path: Path, tree: Path) -> dict[str, float]:
    """Wall and CPU seconds, and the peak memory in bytes, of an import by the code in `tree`; raises if it fails."""
    columns = ["--columns", str(path.parent / "columns.toml")] if path.suffix == ".csv" else []
    with tempfile.TemporaryDirectory() as store:
        paths = os.pathsep.join([str(tree), str(tree / "plugins")])
        environment = {**os.environ, "MERPO_DATA": store, "PYTHONPATH": paths}
        started = time.perf_counter()
        line = [sys.executable, "-m", "merpo", "data", "import", str(path), *columns]
        process = subprocess.Popen(line, env=environment, cwd=tree, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or not list(Path(store).glob("*/*.safetensors")):
            raise RuntimeError(f"{' '.join(line)}: exit code {process.returncode}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # Linux counts in KiB
    wall = time.perf_counter() - started
    return {"wall_seconds": wall, "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_bytes": float(peak)}


@contextmanager
def _code(before: str | None) -> Iterator[dict[str, Path]]:
    """The folders with merpo's code: this one, and the given revision's in a temporary one."""
    if before is None:
        yield {"after": ROOT}
        return
    with tempfile.TemporaryDirectory() as name:
        archive = subprocess.run(
            ["git", "archive", before, "merpo", "plugins"], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "-x", "-C", name], input=archive.stdout, check=True)
        yield {"before": Path(name), "after": ROOT}


def _medians(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {key: summary([one[key] for one in rounds])._asdict() for key in rounds[0]}


def _print(found: dict[str, Any], sizes: dict[str, int], result: int) -> None:
    print(f"  the dataset has {bytes_text(result)}")
    for key, by in found.items():
        for code, one in by.items():
            wall, cpu, peak = (one[name]["median"] for name in ("wall_seconds", "cpu_seconds", "peak_bytes"))
            size = f"{key} of {bytes_text(sizes[key])}"
            print(f"  {size:18} {code:7} {wall:6.1f} s, CPU {cpu:6.1f} s, peak {bytes_text(int(peak))}", flush=True)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=3)
    made.set_defaults(threads=1)
    made.add_argument("--rows", type=int, default=2_000_000)
    made.add_argument("--before", metavar="REVISION", help="a revision of git whose code imports the same files")
    return parse(made, rounds=1, rows=2_000)


if __name__ == "__main__":
    main()
