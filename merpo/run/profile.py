"""`merpo run --profile`: time of a run's stages, and their most expensive operations from recordings of a few steps."""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from merpo.errors import MerpoError
from merpo.lazy import torch
from merpo.report.report import PROFILING
from merpo.support.files import atomic_write_bytes
from merpo.support.paths import inside
from merpo.support.stopwatch import Stopwatch

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["PYTHON", "Profile", "operation_seconds", "print_profile"]

LEAST_SECONDS = 0.1  # of a recording, unless its stage ends
APART = 4.0  # a stage is recorded again when it has run so many times as long as at the end of its last recording
SHOWN = 3  # operations per stage
WORTH_SAYING = 0.01  # share of an operation

PYTHON = "Python and environments"


@final
class Profile:
    """Profiler of a run: seconds of every stage (`watch`), and recordings, the last of each stage kept as a trace.

    A stage that calls `Context.end_step` is recorded from its first step on, and now and then again. Any other stage is
    only timed.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.watch = Stopwatch(self._stop)
        self.operations: dict[str, dict[str, float]] = {}  # stage -> operation -> seconds, in recordings
        self._device = None if device == "cpu" else device
        self._thread = threading.get_ident()
        self._next: dict[str, float] = {}  # stage -> its seconds from which on it is recorded again
        self._recorder: Any = None
        self._began = 0.0
        self._folder: Path | None = None
        self._traces: dict[str, bytes] = {}  # what waits for a folder

    def step(self) -> None:
        """Mark the end of a step: ends a recording, or begins one, if it is time to."""
        stage = self.watch.current
        if stage is None or threading.get_ident() != self._thread:
            return
        if self._recorder is not None:
            if time.perf_counter() - self._began >= LEAST_SECONDS:
                self._stop()
        elif self.watch.read().get(stage, 0.0) >= self._next.get(stage, 0.0):
            self._start()

    def save_in(self, folder: Path) -> None:
        """Write traces to this folder from now on, and those recorded so far. Raises `MerpoError` if that fails."""
        self._folder = folder
        for stage in list(self._traces):
            file = re.sub(r"[^A-Za-z0-9._+-]+", "-", stage)
            atomic_write_bytes(inside(folder, f"{file}.json.gz", what="the file of a stage"), self._traces.pop(stage))

    def shares(self, stage: str) -> dict[str, float]:
        """The share of every operation in the recordings of a stage, the largest first; empty without a recording."""
        found = self.operations.get(stage, {})
        whole = sum(found.values()) or 1.0
        return {name: seconds / whole for name, seconds in sorted(found.items(), key=lambda item: -item[1])}

    def _start(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else every start and stop is a line on the terminal
        threads = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)  # workers, too
        recorder = torch.autograd.profiler.profile  # torch.profiler is the same, but imports sympy and dynamo
        self._recorder = recorder(use_kineto=True, use_device=self._device, experimental_config=threads)
        self._recorder.__enter__()
        self._began = time.perf_counter()

    def _stop(self) -> None:
        """End the current recording, if any, and add its operations."""
        recorder, self._recorder = self._recorder, None
        stage = self.watch.current
        if recorder is None or stage is None:
            return
        seconds = time.perf_counter() - self._began
        with self.watch.stage(PROFILING):
            recorder.__exit__(None, None, None)
            self._book(stage, seconds, operation_seconds(recorder))
            self._traces[stage] = gzip.compress(_chrome_trace(recorder), 5)
            if self._folder is not None:
                self.save_in(self._folder)
        self._next[stage] = APART * self.watch.read()[stage]

    def _book(self, stage: str, seconds: float, work: dict[str, float]) -> None:
        """Add a recording; with workers, operations of all threads may add up to more than its seconds."""
        work[PYTHON] = max(0.0, seconds - sum(work.values()))
        booked = self.operations.setdefault(stage, {})
        for name, taken in work.items():
            booked[name] = booked.get(name, 0.0) + taken


def operation_seconds(recorder: Any) -> dict[str, float]:
    """Seconds of each operation in a recording, without the operations that it calls."""
    averages = (average for average in recorder.key_averages() if not average.is_user_annotation)
    return {average.key.removeprefix("aten::"): average.self_cpu_time_total / 1e6 for average in averages}


def _chrome_trace(recorder: Any) -> bytes:
    """The recording as a Chrome trace; raises `MerpoError` where it cannot be written."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            recorder.export_chrome_trace(str(path))
            return path.read_bytes()
    except OSError as error:
        raise MerpoError(f"--profile: cannot write to {tempfile.gettempdir()}: {error}") from error


def print_profile(profile: Profile, folder: Path, console: Console) -> None:
    """Print each stage's seconds, share of the whole, and most expensive operations."""
    from rich.markup import escape
    from rich.table import Table

    from merpo.support.format import duration, share
    from merpo.support.tables import frame, print_table

    taken = profile.watch.read()
    whole = sum(taken.values())
    table = Table(title=f"Where {duration(whole)} went", title_justify="left", box=frame(console))
    for label in ("stage", "time", "share", "most of it"):
        justify: Literal["left", "right"] = "right" if label in {"time", "share"} else "left"
        table.add_column(label, justify=justify, no_wrap=label != "most of it")
    for name in sorted(taken, key=lambda name: name == PROFILING):
        most = [(one, part) for one, part in profile.shares(name).items() if part >= WORTH_SAYING][:SHOWN]
        text = ", ".join(f"{one} {share(part)}" for one, part in most)
        table.add_row(escape(name), duration(taken[name]), share(taken[name] / whole), text)
    print_table(table, console)
    console.print(f"traces: {folder} (for https://ui.perfetto.dev)", markup=False, highlight=False, soft_wrap=True)
