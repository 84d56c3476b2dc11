"""`Context`, the services of a run for a method (seeds, log, checkpoints), and `Adapted`, a method's result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams, derive_seed
from merpo.support.metrics import all_finite, check_finite, to_numbers
from merpo.types import Metrics, Params

__all__ = ["Adapted", "Constant", "Context", "TaskData"]

State = TypeVar("State", bound=Any)


class Constant(NamedTuple):
    """A part of a loop's state that must stay equal: a checkpoint with another value is refused."""

    value: torch.Tensor


class Log(Protocol):
    """Reports progress of a stage: its step out of `total`, and metrics (tensors, one number or one per task)."""

    def __call__(self, stage: str, step: int, total: int, metrics: Metrics) -> None: ...


class Resume(Protocol):
    """Returns the number of steps a loop has done, and its state, from its last checkpoint; else (0, `start`)."""

    def __call__(self, label: str, start: State) -> tuple[int, State]: ...


class SaveState(Protocol):
    """Saves a loop's state after a step if a checkpoint is due; `state` is called only then."""

    def __call__(self, label: str, step: int, state: Callable[[], Any]) -> None: ...


def _from_start(label: str, start: State) -> tuple[int, State]:
    return 0, start


def _unsaved_state(label: str, step: int, state: Callable[[], Any]) -> None:
    return None


def _silent(stage: str, step: int, total: int, metrics: Metrics) -> None:
    return None


def _unsaved(name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
    return compute()


def _no_callback() -> None:
    return None


def _unevaluated(step: int, meta: dict[str, Params]) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """Seeds, device and callbacks of a run. `Context(seed=0)` is enough to use a method as a library.

    `log` reports progress. `stage(name, compute)` saves the result of `compute`, or loads it if a run with the same
    recipe has saved it: the result must not depend on the progress of meta-training. `evaluate_meta(step, meta)`
    evaluates a meta-artifact during meta-training, at the steps for which `evaluates` is true.

    Within a stage, `resume(label, start)` and `save_state(label, step, state)` let a loop resume after an interruption.
    The state is a tree of tensors, `Streams` and generators in dicts and (named) tuples. None in `start` matches any
    saved value, `Constant` only an equal one. Each loop of a run needs its own label, and `start`'s generators are set
    in place.
    """

    seed: int = 0
    device: str = "cpu"
    log: Log = _silent
    stage: Callable[[str, Callable[[], dict[str, Params]]], dict[str, Params]] = _unsaved
    evaluate_meta: Callable[[int, dict[str, Params]], None] = _unevaluated
    resume: Resume = _from_start
    save_state: SaveState = _unsaved_state
    workers: int = 1  # number of threads, for groups of tasks
    log_every: int = 10  # steps between two reports of a stage
    on_step: Callable[[], None] = _no_callback  # called after every step of a stage; handles signals and `--profile`
    evaluations: int = 0  # number of evaluations during meta-training
    snapshots: tuple[int, ...] = ()  # adaptation steps after which the policies are copied
    diagnose: bool = True  # whether adaptation also measures itself, for the health of a run
    labels: tuple[str, ...] = field(default=())  # names of the tasks, from which their seeds derive, whatever the order

    def end_step(self, step: int, total: int) -> bool:
        """End `step` of a stage's `total` steps; returns whether to log now. Call it once after every step."""
        self.on_step()
        return step % self.log_every == 0 or step == total

    def evaluates(self, step: int, total: int) -> bool:
        """Whether the run evaluates the meta-artifact after `step` of `total` meta-iterations."""
        return self.evaluations > 0 and step % max(1, total // self.evaluations) == 0

    def check(
        self, stage: str, step: int, metrics: Mapping[str, torch.Tensor], tasks: Sequence[int] | None = None
    ) -> None:
        """Raise `TrainingError` if a metric of this step is not finite; to be called after each step.

        `tasks` are the indices of the tasks of the metrics [T, ...], by default 0, 1, 2, ... On a GPU the check is left
        to `log`, because reading a metric stalls the device.
        """
        if self.device == "cpu" and not all_finite(metrics.values()):
            check_finite(stage, step, to_numbers(metrics), tasks)

    def streams(self, stage: str, n: int) -> Streams:
        """One generator per task for a stage; a task's numbers do not depend on the other tasks."""
        names = self.labels or tuple(str(i) for i in range(n))
        return Streams.seeded((derive_seed(self.seed, stage, name) for name in names[:n]), self.device)

    def generator(self, stage: str) -> torch.Generator:
        """The generator for a stage's draws that are common to all tasks, such as the choice of a task batch."""
        return torch.Generator().manual_seed(derive_seed(self.seed, stage))


class Adapted(NamedTuple):
    """The result of adaptation to T tasks."""

    policy: Params  # [T, ...]
    snapshots: dict[int, Params]  # number of steps -> policies [T, ...]; 0 = before the first step
    references: dict[str, Params]  # other policies to evaluate for comparison, e.g. "meta-policy", [T, ...]
    curves: dict[str, torch.Tensor]  # metrics of every step, e.g. "alpha", [steps, T]
    artifacts: dict[str, Params]  # further parameters to save
    scores: dict[str, torch.Tensor]  # one number per task, e.g. "model_nll_before", [T]
