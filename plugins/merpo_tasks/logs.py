"""Logs of real systems: tasks with data but without environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import Field

from merpo import MerpoError, Spec, Task, TaskFamily

if TYPE_CHECKING:
    import gymnasium as gym

__all__ = ["Logs"]


@final
class Logs(TaskFamily):
    """Tasks with logged data and no environment; `data.train` and `data.test` name the datasets."""

    name = "logs"
    has_environment: ClassVar[bool] = False

    observation_dim: int = Field(1, ge=1, le=100_000, description="Observation dims.")
    action_dim: int = Field(1, ge=1, le=100_000, description="Action dims.")
    horizon: int = Field(1000, ge=1, le=10_000_000, description="Longest episode; unused without an environment.")

    def spec(self) -> Spec:
        """The dims, without a termination function: model rollouts never terminate."""
        return Spec(self.observation_dim, self.action_dim)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """Tasks by number only; a dataset's own task parameters are in its manifest."""
        numbers: list[Task] = [{"number": i} for i in range(train + test)]
        return numbers[:train], numbers[train:]

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """Raise `MerpoError`, as there is no environment."""
        raise MerpoError("tasks/logs has no environment: data cannot be collected, nor policies evaluated")
