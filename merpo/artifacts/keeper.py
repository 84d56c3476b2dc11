"""When a run keeps its state, which checkpoints stay, and from which of them it goes on."""

from __future__ import annotations

import re
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
from merpo.support.files import FILE_NAME
from merpo.types import Params

__all__ = ["CHECKPOINTS", "Keeper"]

State = TypeVar("State", bound=Any)
RunStage = Callable[[str, Callable[[], dict[str, Params]]], dict[str, Params]]

CHECKPOINTS = "checkpoints"  # the folder in a run's folder
KEPT = 2
SHARE = 100  # a checkpoint is due when the loop has run so many times as long as the last one took to write


@dataclass
class _Loop:
    """A loop that keeps its state."""

    since: float  # when its state was last written, or it began
    cost: float = 0.0  # seconds that took
    good: list[Path] = field(default_factory=list)  # its checkpoints that are known to be whole, oldest first
    step: int = -1  # of the last of them


@final
class Keeper:
    """The checkpoints of one run, in a folder that it alone writes (`merpo.support.lock`).

    `resume` and `save_state` are those of `merpo.Context`. A signal stops a loop that has called `resume` at
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
        """`run` is the fingerprint of what is trained; `sync` puts on disk what must not be older than a checkpoint."""
        self.last: Path | None = None  # the last checkpoint that was written or gone on from
        self._root, self._run, self._every = root, run, every
        self._note, self._sync = note, sync
        self._loops: dict[str, _Loop] = {}
        remove_leftovers(root.parent)

    def resume(self, label: str, start: State) -> tuple[int, State]:
        """The step after which the loop `label` goes on, and its state then; (0, `start`) if nothing was kept."""
        if not re.fullmatch(FILE_NAME, label):
            raise PluginError(f"resume: label is {label!r:.80}, expected letters, digits, '.', '_', '+' or '-'")
        if label in self._loops:
            raise PluginError(f"resume: {label!r} was asked for before, expected a label of its own for each loop")
        loop = self._loops[label] = _Loop(time.monotonic())
        for step, path in checkpoint_steps(self._root / label).items():
            try:
                state = restored(start, self._read(path, label))
            except ArtifactError as error:
                place = "" if str(path) in str(error) else f"{path}: "
                self._note(f"{label}: refused a checkpoint: {place}{error}")
                continue
            loop.good, loop.step, self.last = [path], step, path
            self._note(f"{label}: goes on after step {step} ({path})")
            return step, state
        return 0, start

    def save_state(self, label: str, step: int, state: Callable[[], Any]) -> None:
        """Write what `state` gives if it is time, and stop there if a signal asked for it.

        Raises `TrainingError` where the state has NaN, and writes nothing.
        """
        loop = self._loops.get(label)
        if loop is None:
            raise PluginError(f"save_state: {label!r} has not been asked for with resume")
        began, stopping = time.monotonic(), stop.requested()
        wait = max(self._every, SHARE * loop.cost) if self._every else 0.0
        if stopping or began - loop.since >= wait:
            if step != loop.step:
                self._write(loop, label, step, flatten(state()))
            loop.since = time.monotonic()
            loop.cost = loop.since - began
        if stopping:
            raise StoppedError(f"stopped by a signal after step {step} of {label!r}, which is kept")

    def on_step(self) -> None:
        """A step of a stage is over; stops where a signal asked for it and no loop has a state to keep first."""
        if not self._loops:
            stop.check()

    def stages(self, run_stage: RunStage) -> RunStage:
        """The same, and what loops within a stage kept goes when the stage's result is saved."""

        def run(name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
            self.on_step()
            before = set(self._loops)
            groups = run_stage(name, compute)
            for label in self._loops.keys() - before:
                del self._loops[label]
                shutil.rmtree(self._root / label, ignore_errors=True)
            return groups

        return run

    @contextmanager
    def named(self) -> Iterator[None]:
        """A `TrainingError` out of the block also names the last good checkpoint."""
        try:
            yield
        except TrainingError as error:
            last = f"the last good checkpoint is {self.last}" if self.last else "there is no checkpoint yet"
            raise TrainingError(f"{error}; {last}") from error

    def finish(self) -> None:
        """Everything is saved: no checkpoint is needed any more."""
        self._loops.clear()
        shutil.rmtree(self._root, ignore_errors=True)

    def _read(self, path: Path, label: str) -> Params:
        return read_checkpoint(path, label, self._run)

    def _write(self, loop: _Loop, label: str, step: int, tensors: Params) -> None:
        _refuse_nan(label, step, tensors)
        folder = self._root / label
        _make(self._root)
        self._sync()
        path = write_checkpoint(folder, label, step, self._run, tensors)
        loop.good, loop.step, self.last = [*loop.good[1 - KEPT :], path], step, path
        for other in checkpoint_steps(folder).values():
            if other not in loop.good:
                shutil.rmtree(other, ignore_errors=True)


def _make(folder: Path) -> None:
    """Make a folder, but not those above it: a run's folder that has vanished is not to come back empty."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _refuse_nan(label: str, step: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse a state with NaN; infinity may be meant, as log β is −∞ where there is no β."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            where = ""
            if tensor.dim():
                row = int(tensor.isnan().reshape(len(tensor), -1).any(1).nonzero()[0])
                where = f" at row {row} of {len(tensor)} (a task's or a member's, as its first dim is)"
            raise TrainingError(f"stage {label!r}, step {step}: state {name!r} is NaN{where}, expected finite numbers")
