"""Checkpointing of a run: when to write checkpoints, which to keep, and which to resume from."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, final

from merpo.artifacts.checkpoints import checkpoint_steps, read_checkpoint, remove_leftovers, write_checkpoint
from merpo.artifacts.trees import flatten, restored
from merpo.errors import ArtifactError, PluginError, StoppedError, TrainingError
from merpo.lazy import torch
from merpo.support import stop
from merpo.support.paths import inside
from merpo.types import Params

__all__ = ["CHECKPOINTS", "Keeper"]

State = TypeVar("State", bound=Any)
RunStage = Callable[[str, Callable[[], dict[str, Params]]], dict[str, Params]]

CHECKPOINTS = "checkpoints"  # subfolder of a run's folder
KEEP_LAST = 2  # checkpoints kept per loop
MIN_INTERVAL = 100  # least time between two checkpoints, in multiples of the time that writing the last one took


@dataclass
class _Loop:
    """The checkpoints of one loop."""

    since: float  # time of the last write, or of the loop's start
    cost: float = 0.0  # seconds of the last write
    valid: list[Path] = field(default_factory=list)  # checkpoints known to be valid, oldest first
    step: int = -1  # step of the last valid checkpoint


@final
class Keeper:
    """Writes and reads the checkpoints of one run, in a folder with exclusive access (`merpo.support.lock`).

    `resume` and `save_state` implement those of `merpo.Context`. A signal stops a loop that has called `resume` at
    its next `save_state`, and other work at its next `on_step`.
    """

    def __init__(
        self,
        root: Path,
        run: str,
        every: float,
        note: Callable[[str], None],
        sync: Callable[[], None] = lambda: None,
    ) -> None:
        """`run` is the run's fingerprint; `sync` is called before each checkpoint, to flush other files to disk.

        `every` is the least number of seconds between two checkpoints, 0 for one after every step.
        """
        self.last: Path | None = None  # the last checkpoint written or resumed from
        self._root, self._run, self._every = root, run, every
        self._note, self._sync = note, sync
        self._loops: dict[str, _Loop] = {}
        remove_leftovers(root.parent)

    def resume(self, label: str, start: State) -> tuple[int, State]:
        """The step and state from which the loop `label` resumes; (0, `start`) without a valid checkpoint."""
        folder = self._folder(label)
        if label in self._loops:
            raise PluginError(f"resume: label {label!r} is already in use, expected a separate label for each loop")
        loop = self._loops[label] = _Loop(time.monotonic())
        for step, path in checkpoint_steps(folder).items():
            try:
                state = restored(start, self._read(path, label))
            except ArtifactError as error:
                place = "" if str(path) in str(error) else f"{path}: "
                self._note(f"{label}: refused a checkpoint: {place}{error}")
                continue
            loop.valid, loop.step, self.last = [path], step, path
            self._note(f"{label}: resuming after step {step} ({path})")
            return step, state
        return 0, start

    def save_state(self, label: str, step: int, state: Callable[[], Any]) -> None:
        """Write the result of `state` if a checkpoint is due or the run is to stop; in the latter case stop.

        Raises `StoppedError` after a signal. Raises `TrainingError`, without writing, if the state has NaN.
        """
        loop = self._loops.get(label)
        if loop is None:
            raise PluginError(f"save_state: unknown label {label!r}, expected a call of resume with this label before")
        began, stopping = time.monotonic(), stop.requested()
        wait = max(self._every, MIN_INTERVAL * loop.cost) if self._every else 0.0
        if stopping or began - loop.since >= wait:
            if step != loop.step:
                self._write(loop, label, step, flatten(state()))
            loop.since = time.monotonic()
            loop.cost = loop.since - began
        if stopping:
            raise StoppedError(f"stopped by a signal after step {step} of {label!r}, whose state is saved")

    def on_step(self) -> None:
        """End a step of a stage: stop after a signal, unless a loop still has to save its state."""
        if not self._loops:
            stop.check()

    def stages(self, run_stage: RunStage) -> RunStage:
        """`run_stage`, after which the checkpoints of loops within the stage are deleted."""

        def run(name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
            self.on_step()
            before = set(self._loops)
            groups = run_stage(name, compute)
            for label in self._loops.keys() - before:
                del self._loops[label]
                shutil.rmtree(self._folder(label), ignore_errors=True)
            return groups

        return run

    @contextmanager
    def named(self) -> Iterator[None]:
        """Add the path of the last checkpoint to a `TrainingError` raised in the block."""
        try:
            yield
        except TrainingError as error:
            last = f"the last good checkpoint is {self.last}" if self.last else "there is no checkpoint yet"
            raise TrainingError(f"{error}; {last}") from error

    def finish(self) -> None:
        """Delete all checkpoints, once the run's results are saved."""
        self._loops.clear()
        shutil.rmtree(self._root, ignore_errors=True)

    def _folder(self, label: str) -> Path:
        return inside(self._root, label, what="resume: label", error=PluginError)

    def _read(self, path: Path, label: str) -> Params:
        return read_checkpoint(path, label, self._run)

    def _write(self, loop: _Loop, label: str, step: int, tensors: Params) -> None:
        _check_nan(label, step, tensors)
        folder = self._folder(label)
        _make_folder(self._root)
        self._sync()
        path = write_checkpoint(folder, label, step, self._run, tensors)
        loop.valid, loop.step, self.last = [*loop.valid[1 - KEEP_LAST :], path], step, path
        for other in checkpoint_steps(folder).values():
            if other not in loop.valid:
                shutil.rmtree(other, ignore_errors=True)


def _make_folder(folder: Path) -> None:
    """Make a folder but not its parents, so that a deleted run folder is an error and not made again, empty."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _check_nan(label: str, step: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise `TrainingError` for a state with NaN; infinity is allowed, as log β is −∞ for β = 0."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            position = ""
            if tensor.dim():
                row = int(tensor.isnan().reshape(len(tensor), -1).any(1).nonzero()[0])
                position = f" at index {row} of {len(tensor)} in its first dim (tasks or members)"
            raise TrainingError(f"stage {label!r}, step {step}: state {name!r} is NaN{position}, expected numbers")
