"""`merpo` in subprocesses that can be killed, forked from a server with all imports done, for speed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import matplotlib.figure  # noqa: F401 - imported before the fork
import pytest
import torch  # noqa: F401

import merpo.cli.app
import merpo.collect.train
import merpo.report.html
import merpo.run.run
from merpo.data.places import CURVE_PICTURE
from merpo.support.metrics import read_metrics

PATCHED_WRITES = os.fsync


def start(folder: Path, *arguments: str, writes: int = 0, largest: int = 0) -> BaseProcess:
    """Start `merpo *arguments` in `folder`, with its datasets in `folder/data` and its output in `folder/log`.

    With `writes` the process kills itself at that fsync, counted from 1; with `largest` no file can exceed that size.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed"])
    process = context.Process(target=_merpo, args=(folder, arguments, writes, largest))
    with pytest.MonkeyPatch.context() as patch:  # the server does not inherit sys.path
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        process.start()
    return process


def ended(process: BaseProcess, seconds: float | None = None) -> int | None:
    """The exit code of a process, which is killed after `seconds`; −9 is SIGKILL."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def _merpo(folder: Path, arguments: tuple[str, ...], writes: int, largest: int) -> None:
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    os.environ.update(MERPO_DATA=str(folder / "data"), COLUMNS="200")
    sys.argv = ["merpo", *arguments]
    if writes:
        os.fsync = _deadly(writes)  # type: ignore[assignment]
    if largest:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    merpo.report.html.pictures = lambda report: []  # a third of the run's time, and not compared
    merpo.cli.app.main()


def _deadly(writes: int) -> Any:
    left = iter(range(writes - 1, -1, -1))

    def fsync(descriptor: int) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        PATCHED_WRITES(descriptor)

    return fsync


def results(folder: Path, run: str = "run") -> dict[str, Any]:
    """The output of a run and its collection, without timestamps and images, for comparison.

    A collection's learning curve is left out: `merpo collect` draws it, `merpo run` does not.
    """
    found: dict[str, Any] = {}
    for path in sorted([*(folder / "data").rglob("*"), *(folder / run).rglob("*")]):
        name = str(path.relative_to(folder))
        if path.name == CURVE_PICTURE:
            continue
        if path.is_dir() or path.suffix in {".png", ".html"} or path.name in {"metrics.jsonl", "timings.json"}:
            found[name] = None
        elif path.name == "report.json":
            report = json.loads(path.read_text("utf-8"))
            found[name] = {key: value for key, value in report.items() if key not in {"created", "timings", "reused"}}
        elif path == folder / run / "manifest.json":  # the digests of files with times in them differ
            manifest = json.loads(path.read_text("utf-8"))
            found[name] = {key: value for key, value in manifest.items() if key not in {"files", "checksum"}}
        else:
            found[name] = path.read_bytes()
    rows = read_metrics(folder / run) if (folder / run).exists() else []
    found["metrics"] = [(row.stage, row.step, row.metrics) for row in rows]
    return found
