"""Statistics of the episodes of one policy on one task: return, length, and share that terminated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from merpo.lazy import torch

if TYPE_CHECKING:
    from merpo.data.dataset import TaskDataset
    from merpo.evaluation.evaluate import Evaluation

__all__ = ["EpisodeStats", "of_data", "of_evaluation"]


class EpisodeStats(BaseModel):
    """Means over the episodes of one policy on one task."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    episodes: int = Field(ge=1)
    return_mean: float  # undiscounted
    return_std: float
    length: float  # steps
    termination_rate: float  # the share of episodes that terminated; the others were truncated


def of_evaluation(evaluation: Evaluation, task: int) -> EpisodeStats:
    """The episodes of an evaluation on the task at this position."""
    return _stats(evaluation.returns[task], evaluation.lengths[task], evaluation.terminations[task])


def of_data(data: TaskDataset) -> EpisodeStats:
    """The episodes of a dataset, which are its behaviour policy's."""
    offsets = data.episode_offsets
    return _stats(data.episode_returns(), offsets[1:] - offsets[:-1], data.terminations[offsets[1:] - 1])


def _stats(returns: torch.Tensor, lengths: torch.Tensor, terminations: torch.Tensor) -> EpisodeStats:
    """Statistics of E episodes from [E] values each."""
    returns = returns.double()
    return EpisodeStats(
        episodes=len(returns),
        return_mean=float(returns.mean()),
        return_std=float(returns.std(correction=0)),
        length=float(lengths.double().mean()),
        termination_rate=float(terminations.double().mean()),
    )
