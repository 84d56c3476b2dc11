"""`merpo` in processes of its own that are killed: forked from a server that has everything imported, to be quick."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import matplotlib.figure  # noqa: F401 - what a run imports, imported before the fork
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
    """`merpo *arguments` in `folder`, whose datasets are in `folder/data`; what it prints is in `folder/log`.

    With `writes` it kills itself in that many-th write to a disk; with `largest` no file can grow beyond so many bytes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed"])
    process = context.Process(target=_merpo, args=(folder, arguments, writes, largest))
    with pytest.MonkeyPatch.context() as patch:  # the server does not take over where we import from
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        process.start()
    return process


def ended(process: BaseProcess, seconds: float | None = None) -> int | None:
    """Its exit code once it ends, within so many seconds or it is killed; −9 is SIGKILL."""
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
    merpo.report.html.pictures = lambda report: []  # a third of such a run, and no part of what is compared
    merpo.cli.app.main()


def _deadly(writes: int) -> Any:
    left = iter(range(writes - 1, -1, -1))

    def fsync(descriptor: int) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        PATCHED_WRITES(descriptor)

    return fsync


def results(folder: Path, run: str = "run") -> dict[str, Any]:
    """All that a run and its collection left, but for times of day and pictures.

    A collection's own picture is not among them: `merpo collect` draws it, `merpo run` does not.
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
        else:
            found[name] = path.read_bytes()
    rows = read_metrics(folder / run) if (folder / run).exists() else []
    found["metrics"] = [(row.stage, row.step, row.metrics) for row in rows]
    return found
