"""What `merpo evaluate` measured, as plain data: the JSON of its `--out`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, computed_field

from merpo.data.reference_scores import ReferenceScores, normalized_scores
from merpo.report.statistics import Interval

__all__ = ["Measured", "MeasuredTask"]


class MeasuredTask(BaseModel):
    """One task's episodes, and what the run's own report says."""

    model_config = ConfigDict(frozen=True)

    name: str
    index: int
    returns: list[float]  # one per episode
    lengths: list[int]
    terminated: list[bool]  # whether an episode truly ended, or time cut it
    behavior: float | None = None  # of the policy that collected the task's data, drawn as it was then
    behavior_mode: float | None = None  # the same policy by its mode, where the others act so
    meta_policy: float | None = None
    oracle: float | None = None
    reported: float | None = None
    reference: ReferenceScores | None = None  # where the task's data comes with such

    @property
    def mean(self) -> float:
        """The mean return."""
        return sum(self.returns) / len(self.returns)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def normalized(self) -> dict[str, float]:
        """The normalised scores of behavior, meta_policy and adapted; none without reference scores."""
        returns = {"behavior": self.behavior, "meta_policy": self.meta_policy, "adapted": self.mean}
        return normalized_scores(self.reference, returns)

    @property
    def mean_length(self) -> float:
        """Steps per episode."""
        return sum(self.lengths) / len(self.lengths)

    @property
    def termination_rate(self) -> float:
        """The share of episodes that truly ended."""
        return sum(self.terminated) / len(self.terminated)


class Measured(BaseModel):
    """All tasks of one artifact, and how they were measured."""

    model_config = ConfigDict(frozen=True)

    source: str
    seed: int
    episodes: int
    stochastic: bool
    tasks: list[MeasuredTask]
    mean: Interval  # over tasks
