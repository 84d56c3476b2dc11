"""What a method is given besides data, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams, derive_seed
from merpo.support.metrics import all_finite, check_finite, to_numbers
from merpo.types import Metrics, Params

__all__ = ["Adapted", "Context", "TaskData"]

State = TypeVar("State", bound=Any)


class Log(Protocol):
    """Report progress of a stage: its step out of `total`, and metrics (tensors, one number or one per task)."""

    def __call__(self, stage: str, step: int, total: int, metrics: Metrics) -> None: ...


class Resume(Protocol):
    """Ask, before a loop, for its state as it was last kept: the steps done, and a state built as `start`."""

    def __call__(self, label: str, start: State) -> tuple[int, State]: ...


class Keep(Protocol):
    """Offer, after a step of a loop, its state: `state` is called if it is time to write a checkpoint."""

    def __call__(self, label: str, step: int, state: Callable[[], Any]) -> None: ...


def _from_start(label: str, start: State) -> tuple[int, State]:
    return 0, start


def _unkept(label: str, step: int, state: Callable[[], Any]) -> None:
    return None


def _silent(stage: str, step: int, total: int, metrics: Metrics) -> None:
    return None


def _unsaved(name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
    return compute()


def _unwatched() -> None:
    return None


def _unseen(step: int, meta: dict[str, Params]) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """Seeds, device and the run's callbacks. `Context(seed=0)` is enough to use a method as a library.

    `log` reports progress; `stage(name, compute)` saves what `compute` gives, or loads it if a run with the same
    recipe saved it before: what it computes must not depend on how far meta-training is. `checkpoint(step, meta)` lets
    the run evaluate a meta-artifact during meta-training.

    Within a stage, `resume(label, start)` and `keep(label, step, state)` carry a loop over an interruption. The state
    is a tree of tensors, `Streams` and generators in dicts and (named) tuples; None in `start` stands for whatever was
    kept there. Each loop of a run needs a label of its own, and `start`'s generators are set where they are.
    """

    seed: int = 0
    device: str = "cpu"
    log: Log = _silent
    stage: Callable[[str, Callable[[], dict[str, Params]]], dict[str, Params]] = _unsaved
    checkpoint: Callable[[int, dict[str, Params]], None] = _unseen
    resume: Resume = _from_start
    keep: Keep = _unkept
    workers: int = 1  # threads over groups of tasks
    log_every: int = 10  # steps between two reports of a stage
    on_step: Callable[[], None] = _unwatched  # told of the steps of a stage, for `--profile`
    checkpoints: int = 0  # how many evaluations during meta-training the run asks for
    snapshots: tuple[int, ...] = ()  # adaptation steps after which the run wants a copy of the policies
    labels: tuple[str, ...] = field(default=())  # who the tasks are, for seeds that do not depend on their order

    def due(self, step: int, total: int) -> bool:
        """Whether a stage reports after `step` of `total` steps; to be asked after each."""
        self.on_step()
        return step % self.log_every == 0 or step == total

    def check(
        self, stage: str, step: int, metrics: Mapping[str, torch.Tensor], tasks: Sequence[int] | None = None
    ) -> None:
        """Stop with `TrainingError` where a number of this step is not finite; to be called after each step.

        `tasks` are the numbers of the tasks that the metrics [T, ...] are of, if not 0, 1, 2, ... On a GPU nothing is
        done, as it would have to be waited for; there `log` finds out.
        """
        if self.device == "cpu" and not all_finite(metrics.values()):
            check_finite(stage, step, to_numbers(metrics), tasks)

    def streams(self, stage: str, n: int) -> Streams:
        """One generator per task for a stage, the same numbers whichever tasks train beside it."""
        names = self.labels or tuple(str(i) for i in range(n))
        return Streams.seeded((derive_seed(self.seed, stage, name) for name in names[:n]), self.device)

    def generator(self, stage: str) -> torch.Generator:
        """The generator of what a stage shares among tasks, such as the choice of a task batch."""
        return torch.Generator().manual_seed(derive_seed(self.seed, stage))


class Adapted(NamedTuple):
    """What adaptation gives for T tasks."""

    policy: Params  # [T, ...]
    snapshots: dict[int, Params]  # policies [T, ...] after some numbers of steps, 0 = before the first
    references: dict[str, Params]  # other policies to evaluate beside it, e.g. "meta-policy", [T, ...]
    curves: dict[str, torch.Tensor]  # what happened on the way, e.g. "alpha", [steps, T]
    artifacts: dict[str, Params]  # everything else worth saving
    scores: dict[str, torch.Tensor]  # one number per task, e.g. "model_nll_before", [T]
