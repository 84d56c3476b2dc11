"""Killed at any instant, a run ends as if it had not been: collection, training, adaptation, report."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import ended, results, start
from tiny import write_tiny

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

RECIPE: dict[str, Any] = {
    "data": {"train_tasks": 3, "normalize_observations": True},
    "collect": {"steps": 30, "seed_steps": 10, "checkpoint_every": 10},
    "method": {
        "meta_model": {"iterations": 8},
        "behavior": {"steps": 10},
        "meta_policy": {"iterations": 12},
        "adaptation": {"steps": 11},
    },
    "evaluate": {"during_training": 2, "snapshots": [0, 5, 11]},
    "run": {"checkpoint_every": 0, "log_every": 3, "threads": 1},
}
RUN = ("run", "tiny.toml", "--out", "run")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """What an uninterrupted run leaves, and its seconds."""
    folder = tmp_path_factory.mktemp("whole")
    write_tiny(folder / "tiny.toml", RECIPE)
    assert ended(start(folder, "--version")) == 0  # starts the server
    began = time.monotonic()
    assert ended(start(folder, *RUN)) == 0, (folder / "log").read_text()
    return results(folder), time.monotonic() - began


def check_killed(root: Path, whole: tuple[dict[str, Any], float], kills: int, seed: int) -> None:
    """Kill runs so many times, half of them in the middle of a write, and each until it ends all the same."""
    expected, seconds = whole
    source, runs, dead = random.Random(seed), 0, 0
    while True:
        folder = root / str(runs)
        if not folder.exists():
            folder.mkdir()
            write_tiny(folder / "tiny.toml", RECIPE)
        if dead == kills:
            code = ended(start(folder, *RUN))
        elif dead % 2:
            code = ended(start(folder, *RUN), source.uniform(0.05, 0.7 * seconds))
        else:
            code = ended(start(folder, *RUN, writes=source.randint(1, 150)))
        assert code in (-signal.SIGKILL, 0), (folder / "log").read_text()
        dead += code != 0
        if code == 0:
            found = results(folder)
            assert found.keys() == expected.keys()  # no lock, checkpoint or temporary file is left
            assert {name: (found[name], expected[name]) for name in expected if found[name] != expected[name]} == {}
            if dead == kills:
                return
            runs += 1


def test_a_run_that_is_killed_ends_bit_by_bit_the_same(tmp_path: Path, whole: Any) -> None:
    check_killed(tmp_path, whole, kills=4, seed=int(time.time()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_runs_that_are_killed_twenty_times_end_bit_by_bit_the_same(tmp_path: Path, whole: Any, seed: int) -> None:
    check_killed(tmp_path, whole, kills=20, seed=seed)


def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(("number", "stage"), [(signal.SIGTERM, "meta-policy"), (signal.SIGINT, "behavior")])
def test_a_signal_stops_a_run_with_exit_code_75(tmp_path: Path, whole: Any, number: int, stage: str) -> None:
    write_tiny(tmp_path / "tiny.toml", RECIPE)
    process = start(tmp_path, *RUN)
    until(lambda: list(tmp_path.glob(f"run/checkpoints/{stage}/ckpt-*/manifest.json")))
    os.kill(process.pid or 0, number)
    assert ended(process, 60) == 75
    log = (tmp_path / "log").read_text()
    assert "to resume, run the same command with --out run --resume" in log.splitlines()[-1]
    assert "Traceback" not in log
    assert ended(start(tmp_path, *RUN, "--resume")) == 0
    assert results(tmp_path) == whole[0]


def test_collection_alone_is_stopped_and_goes_on(tmp_path: Path, whole: Any) -> None:
    write_tiny(tmp_path / "tiny.toml", RECIPE)
    process = start(tmp_path, "collect", "tiny.toml")
    until(lambda: list(tmp_path.glob("data/*/checkpoints/collect/ckpt-*/manifest.json")))
    os.kill(process.pid or 0, signal.SIGTERM)
    assert ended(process, 60) == 75
    assert (tmp_path / "log").read_text().splitlines()[-1].endswith("; run the same command to resume")
    assert ended(start(tmp_path, "collect", "tiny.toml")) == 0
    assert "collect: resuming after step" in (tmp_path / "log").read_text()
    expected = {name: value for name, value in whole[0].items() if name.startswith("data")}
    assert results(tmp_path) == {**expected, "metrics": []}


def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path, whole: Any) -> None:
    write_tiny(tmp_path / "tiny.toml", RECIPE)
    assert ended(start(tmp_path, "collect", "tiny.toml")) == 0
    largest = 40_000  # bytes: less than a checkpoint of the meta-policy
    assert ended(start(tmp_path, *RUN, largest=largest)) == 2
    log = (tmp_path / "log").read_text()
    assert "error: run/checkpoints/meta-policy/ckpt-000000001: cannot be written: File too large" in log
    assert "Traceback" not in log
    assert ended(start(tmp_path, *RUN)) == 0
    assert results(tmp_path) == whole[0]


def test_a_folder_that_vanishes_stops_the_run_and_back_again_goes_on(tmp_path: Path, whole: Any) -> None:
    write_tiny(tmp_path / "tiny.toml", RECIPE)
    process = start(tmp_path, *RUN)
    until(lambda: list(tmp_path.glob("run/checkpoints/meta-policy/ckpt-*/manifest.json")))
    (tmp_path / "run").rename(tmp_path / "gone")
    assert ended(process, 60) == 2
    assert not (tmp_path / "run").exists()
    log = (tmp_path / "log").read_text()
    assert log.splitlines()[-1].startswith("error: run")
    assert "Traceback" not in log
    (tmp_path / "gone").rename(tmp_path / "run")
    assert ended(start(tmp_path, *RUN, "--resume")) == 0
    assert results(tmp_path) == whole[0]
