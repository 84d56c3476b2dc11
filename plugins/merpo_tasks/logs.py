"""Logs of real systems: tasks with data and without environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import Field

from merpo import MerpoError, Spec, Task, TaskFamily

if TYPE_CHECKING:
    import gymnasium as gym

__all__ = ["Logs"]


@final
class Logs(TaskFamily):
    """Tasks of which there are logs and no environment; `data.train` and `data.test` name the data."""

    name = "logs"
    has_environment: ClassVar[bool] = False

    observation_dim: int = Field(1, ge=1, le=100_000, description="Columns of the observations.")
    action_dim: int = Field(1, ge=1, le=100_000, description="Columns of the actions.")
    horizon: int = Field(1000, ge=1, le=10_000_000, description="Longest episode; nothing here plays one.")

    def spec(self) -> Spec:
        """The dims; when an episode ends is known for logged rows only, so the model's rollouts never end."""
        return Spec(self.observation_dim, self.action_dim)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """Numbers: what is known of a task lies beside its data."""
        numbers: list[Task] = [{"number": i} for i in range(train + test)]
        return numbers[:train], numbers[train:]

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """None: raises `MerpoError`."""
        raise MerpoError("logs have no environment: nothing can be collected or played, only learnt from what is there")
