"""`merpo run --profile`: what kinds of work a run's stages are made of, from recordings of a few steps of each."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from merpo.errors import MerpoError
from merpo.lazy import torch
from merpo.report.report import PROFILING
from merpo.support.files import atomic_write_bytes
from merpo.support.stopwatch import Stopwatch

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["PYTHON", "Profile", "kind", "print_profile", "seconds_by_kind"]

LEAST_SECONDS = 0.1  # of a recording, unless its stage ends
APART = 4.0  # a stage is recorded again when it has run so many times as long as at the end of its last recording
SHOWN = 3  # kinds of work per stage
WORTH_SAYING = 0.01  # share of a kind

PYTHON = "Python and environments"


@final
class Profile:
    """Seconds of every stage (`watch`), and recordings of it, the last of which is kept as a trace.

    A stage that calls `Context.end_step` is recorded from its first step on, and now and then again. Any other stage is
    only timed.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.watch = Stopwatch(self._stop)
        self.kinds: dict[str, dict[str, float]] = {}  # stage -> kind of work -> seconds, in recordings
        self._device = None if device == "cpu" else device
        self._thread = threading.get_ident()
        self._next: dict[str, float] = {}  # stage -> its seconds from which on it is recorded again
        self._recorder: Any = None
        self._began = 0.0
        self._folder: Path | None = None
        self._traces: dict[str, bytes] = {}  # what waits for a folder

    def step(self) -> None:
        """A step is over: the time to end a recording, or to begin one."""
        stage = self.watch.current
        if stage is None or threading.get_ident() != self._thread:
            return
        if self._recorder is not None:
            if time.perf_counter() - self._began >= LEAST_SECONDS:
                self._stop()
        elif self.watch.read().get(stage, 0.0) >= self._next.get(stage, 0.0):
            self._start()

    def save_in(self, folder: Path) -> None:
        """Traces go to this folder from now on, and so do those that there are. Raises `MerpoError` if they cannot."""
        self._folder = folder
        for stage in list(self._traces):
            file = re.sub(r"[^\w.-]+", "-", stage)
            atomic_write_bytes(folder / f"{file}.json.gz", self._traces.pop(stage))

    def shares(self, stage: str) -> dict[str, float]:
        """The share of every kind of work in what was recorded of a stage, the largest first; empty if nothing was."""
        found = self.kinds.get(stage, {})
        whole = sum(found.values()) or 1.0
        return {kind: seconds / whole for kind, seconds in sorted(found.items(), key=lambda item: -item[1])}

    def _start(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else every start and stop is a line on the terminal
        threads = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)  # workers, too
        recorder = torch.autograd.profiler.profile  # torch.profiler is the same, but imports sympy and dynamo
        self._recorder = recorder(use_kineto=True, use_device=self._device, experimental_config=threads)
        self._recorder.__enter__()
        self._began = time.perf_counter()

    def _stop(self) -> None:
        """End the recording that is on, if any, and book what it holds."""
        recorder, self._recorder = self._recorder, None
        stage = self.watch.current
        if recorder is None or stage is None:
            return
        seconds = time.perf_counter() - self._began
        with self.watch.stage(PROFILING):
            recorder.__exit__(None, None, None)
            trace = _chrome_trace(recorder)
            self._book(stage, seconds, seconds_by_kind(json.loads(trace)["traceEvents"]))
            self._traces[stage] = gzip.compress(trace, 5)
            if self._folder is not None:
                self.save_in(self._folder)
        self._next[stage] = APART * self.watch.read()[stage]

    def _book(self, stage: str, seconds: float, work: Mapping[str, float]) -> None:
        """What no operation took is Python's; with workers, operations of all threads may add up to more."""
        work = {**work, PYTHON: max(0.0, seconds - sum(work.values()))}
        kinds = self.kinds.setdefault(stage, {})
        for kind, taken in work.items():
            kinds[kind] = kinds.get(kind, 0.0) + taken


def _chrome_trace(recorder: Any) -> bytes:
    """The recording as Chrome's JSON; raises `MerpoError` where the system has no room for it."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            recorder.export_chrome_trace(str(path))
            return path.read_bytes()
    except OSError as error:
        raise MerpoError(f"--profile: cannot write to {tempfile.gettempdir()}: {error}") from error


def print_profile(profile: Profile, folder: Path, console: Console) -> None:
    """Stages with seconds, share of the whole, and what took most of it."""
    from rich.markup import escape
    from rich.table import Table

    from merpo.support.format import duration
    from merpo.support.tables import frame, print_table

    taken = profile.watch.read()
    whole = sum(taken.values())
    table = Table(title=f"Where {duration(whole)} went", title_justify="left", box=frame(console))
    for label in ("stage", "time", "share", "most of it"):
        justify: Literal["left", "right"] = "right" if label in {"time", "share"} else "left"
        table.add_column(label, justify=justify, no_wrap=label != "most of it")
    for name in sorted(taken, key=lambda name: name == PROFILING):
        most = [(kind, share) for kind, share in profile.shares(name).items() if share >= WORTH_SAYING][:SHOWN]
        text = ", ".join(f"{kind} {share:.0%}" for kind, share in most)
        table.add_row(escape(name), duration(taken[name]), f"{taken[name] / whole:.0%}", text)
    print_table(table, console)
    console.print(f"traces: {folder} (for https://ui.perfetto.dev)", markup=False, highlight=False, soft_wrap=True)


REST = "elementwise"
KINDS = {  # what the names of PyTorch's operations, without `aten::`, tell of the kind of work; the first that matches
    "matrix products": r"\w*mm|matmul|linear\w*|\w*mv|v?dot|einsum|\w*conv\w*",
    "optimiser": r"_fused_\w+|_foreach_\w+",
    "random numbers": r"rand\w*|normal\w*|uniform\w*|bernoulli\w*|multinomial|exponential_",
    "data movement": r"copy_|\w+_copy|to|cat|stack|_?index\w*|gather\w*|scatter\w*|take\w*|clone|contiguous|fill_|zero_"
    r"|repeat\w*|roll|flip|\w*sort|topk|masked\w*|item|_local_scalar_dense",
    "views and allocation": r"empty\w*|new_\w+|zeros\w*|ones\w*|full\w*|resize_|set_|\w*view\w*|_?reshape\w*|alias|t"
    r"|as_strided\w*|slice\w*|select\w*|narrow|\w*split\w*|chunk|unbind|transpose|permute|movedim|\w*squeeze\w*"
    r"|expand\w*|\w*flatten|broadcast\w*|detach_?|lift_fresh|result_type",
    "reductions": r"sum\w*|mean\w*|a?max|a?min|aminmax|arg(max|min)|_?log(_softmax\w*|sumexp)|_?softmax\w*|std\w*"
    r"|var\w*|\w*norm|prod|any|all|cum\w+|median|quantile",
    "autograd": r"(torch::)?autograd::.*|\w*Backward\d*|[A-Z]\w*",
}


def seconds_by_kind(events: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of each kind of work in the events of a trace: those of an operation itself, without what it called."""
    found: dict[str, float] = {}
    callers: list[tuple[int, float, str]] = []  # thread, end and kind
    operations = [event for event in events if event.get("cat") == "cpu_op"]
    for event in sorted(operations, key=lambda event: (event["tid"], event["ts"], -event["dur"])):
        thread, start, seconds, own = event["tid"], event["ts"], event["dur"] / 1e6, kind(event["name"])
        while callers and (callers[-1][0] != thread or callers[-1][1] <= start):
            callers.pop()
        if callers:
            found[callers[-1][2]] -= seconds
        found[own] = found.get(own, 0.0) + seconds
        callers.append((thread, start + event["dur"], own))
    return found


@cache
def kind(operation: str) -> str:
    """The kind of work that one of PyTorch's operations is."""
    name = operation.removeprefix("aten::")
    return next((found for found, names in KINDS.items() if re.fullmatch(names, name)), REST)
