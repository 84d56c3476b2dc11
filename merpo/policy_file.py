"""`merpo.load_policy`: a saved policy as a function from observations to actions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from merpo.errors import MerpoError
from merpo.lazy import np, torch
from merpo.saved_policies import SavedPolicies, TaskName, read_policies

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Policy", "load_policy"]


@final
class Policy:
    """One task's policy: `policy(observation)` is its deterministic action, in [-1, 1].

    `task` is the task's name, index and parameters; `observation_dim` and `action_dim` are O and A.
    """

    def __init__(
        self,
        task: TaskName,
        observation_dim: int,
        action_dim: int,
        rows: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> None:
        self.task, self.observation_dim, self.action_dim = task, observation_dim, action_dim
        self._rows = rows

    def __call__(self, observation: ArrayLike) -> NDArray[np.float32]:
        """Actions [A] or [B, A] at one observation [O] or at several [B, O], of any array type.

        Raises `MerpoError` for another shape.
        """
        given = np.asarray(observation, dtype=np.float32)
        if given.ndim not in (1, 2) or given.shape[-1] != self.observation_dim:
            expected = f"[{self.observation_dim}] or [B, {self.observation_dim}]"
            raise MerpoError(
                f"policy of {self.task.name}: got an observation of shape {given.shape}, expected {expected}"
            )
        actions = self._rows(np.atleast_2d(given))
        return actions[0] if given.ndim == 1 else actions

    def __repr__(self) -> str:
        return f"Policy({self.task.name!r}, {self.observation_dim} observations -> {self.action_dim} actions)"


def load_policy(path: str | Path, task: int | None = None) -> Policy:
    """The policy in a file of `merpo export` (safetensors or ONNX), a run's folder, or a folder of `merpo adapt`.

    `task` is the index of the task where there are several. A normalisation that was saved with the policy is
    applied. Raises `MerpoError` where there is no such policy.
    """
    place = Path(path)
    if place.suffix == ".onnx":
        from merpo.onnx_policy import load_onnx

        return _only(load_onnx(place), task)
    found = read_policies(place)
    if task is None:
        if len(found.tasks) > 1:
            known = ", ".join(str(one.index) for one in found.tasks)
            raise MerpoError(
                f"{place}: holds policies for the tasks {known}; give one of them: load_policy(path, task=…)"
            )
        task = found.tasks[0].index
    return from_saved(found.one(task))


def from_saved(saved: SavedPolicies) -> Policy:
    """The policy of the one task that `saved` holds."""

    def rows(observations: Any) -> Any:
        with torch.no_grad():
            return saved.act(torch.as_tensor(observations)[None])[0].numpy()

    return Policy(saved.tasks[0], saved.observation_dim, saved.action_dim, rows)


def _only(policy: Policy, task: int | None) -> Policy:
    if task is not None and task != policy.task.index:
        raise MerpoError(f"{policy!r} is that of task {policy.task.index}, asked for task {task}")
    return policy
