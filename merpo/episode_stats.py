"""What episodes of one policy on one task were like: return, length, and how many truly ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from merpo.lazy import torch
from merpo.summary import POLICIES

if TYPE_CHECKING:
    from merpo.dataset import TaskDataset
    from merpo.evaluation import Evaluation
    from merpo.report import TaskReport

__all__ = ["EpisodeStats", "episodes_csv", "means", "of_data", "of_evaluation"]

COLUMNS = ("task", "policy", "episodes", "return", "return_std", "length", "termination_rate")


class EpisodeStats(BaseModel):
    """Means over the episodes of one policy on one task."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    episodes: int = Field(ge=1)
    return_mean: float  # undiscounted
    return_std: float
    length: float  # steps
    termination_rate: float  # the share of episodes that truly ended; time cut the others


def of_evaluation(evaluation: Evaluation, task: int) -> EpisodeStats:
    """What was measured on the task at this place."""
    return _stats(evaluation.returns[task], evaluation.lengths[task], evaluation.terminations[task])


def of_data(data: TaskDataset) -> EpisodeStats:
    """The episodes of a dataset: how its behaviour policy acted."""
    offsets = data.episode_offsets
    return _stats(data.episode_returns(), offsets[1:] - offsets[:-1], data.terminations[offsets[1:] - 1])


def _stats(returns: torch.Tensor, lengths: torch.Tensor, terminations: torch.Tensor) -> EpisodeStats:
    """Of [E] each."""
    returns = returns.double()
    return EpisodeStats(
        episodes=len(returns),
        return_mean=float(returns.mean()),
        return_std=float(returns.std(correction=0)),
        length=float(lengths.double().mean()),
        termination_rate=float(terminations.double().mean()),
    )


def means(tasks: Sequence[TaskReport]) -> dict[str, EpisodeStats]:
    """Per policy the means over the tasks, in the order of every table, and the number of all their episodes."""
    found = {}
    for policy in POLICIES:
        own = [task.episodes[policy] for task in tasks if policy in task.episodes]
        if own:
            found[policy] = EpisodeStats(
                episodes=sum(stats.episodes for stats in own),
                return_mean=_mean([stats.return_mean for stats in own]),
                return_std=_mean([stats.return_std for stats in own]),
                length=_mean([stats.length for stats in own]),
                termination_rate=_mean([stats.termination_rate for stats in own]),
            )
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def episodes_csv(tasks: Sequence[TaskReport]) -> str:
    """One line per unseen task and policy."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task in tasks:
        for policy, stats in task.episodes.items():
            writer.writerow((task.index, policy, *stats.model_dump().values()))
    return text.getvalue()
