"""What the data of a run has and lacks, before any training: ranges, episodes, rewards, actions at their bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from merpo.data.dataset import TaskDataset
from merpo.data.reading.account import stored_account
from merpo.lazy import np

__all__ = ["AT_BOUNDS", "Coverage", "column_names", "coverage"]

AT_BOUNDS = 0.99  # an action is at its bound beyond this; actions are in [-1, 1]
TAIL = 0.001  # share of the training tasks' rows beyond either end of a dim's range, for outliers and noise
MOST = 200_000  # rows from which a range is taken; evenly spaced ones where there are more


class Coverage(NamedTuple):
    """Figures of the training and the unseen tasks' data."""

    outside: list[tuple[int, float]]  # per unseen task: column with most rows outside of the range, and their share
    episodes: list[int]  # per unseen task
    training_episodes: list[int]
    vary: list[bool]  # whether rewards vary, in each training task and then in each unseen task
    at_bounds: list[float]  # per unseen task: share of actions at their bounds


def coverage(train: Sequence[TaskDataset], test: Sequence[TaskDataset]) -> Coverage:
    """The figures of datasets of equal dims; without training tasks nothing is outside of their range."""
    return Coverage(
        outside=_outside(train, test) if train else [],
        episodes=[len(data.episode_offsets) - 1 for data in test],
        training_episodes=[len(data.episode_offsets) - 1 for data in train],
        vary=[_varies(data) for data in (*train, *test)],
        at_bounds=[float((data.actions.abs() > AT_BOUNDS).float().mean()) for data in test],
    )


def column_names(settings: Mapping[str, Any], observations: int, actions: int) -> list[str]:
    """Names of the columns of a dataset with these settings in its manifest: observations, actions and the reward.

    They are those of an imported file where it had a column for each, or numbers from 0 for one array of all. A number
    that the import subtracted from an observation is part of its name.
    """
    columns = settings.get("columns")
    known = columns if isinstance(columns, Mapping) else {}

    def names(key: str, count: int, what: str) -> list[str]:
        found = known.get(key)
        if isinstance(found, list | tuple) and len(found) == count and list(found) != [key]:
            return [str(name) for name in found]
        return [f"{what} {i}" for i in range(count)]

    seen = names("observations", observations, "observation")
    account = stored_account(settings)
    if account is not None and len(account.subtracted) == len(seen):
        seen = [f"{name} − {less:.17g}" if less else name for name, less in zip(seen, account.subtracted, strict=True)]
    return [*seen, *names("actions", actions, "action"), "reward"]


def _outside(train: Sequence[TaskDataset], test: Sequence[TaskDataset]) -> list[tuple[int, float]]:
    total = sum(len(data) for data in train)
    every = -(-total // MOST)
    rows = np.concatenate([_columns(data)[::every] for data in train])
    low, high = np.quantile(rows, [TAIL, 1.0 - TAIL], axis=0)
    margin = 1e-5 * np.abs(rows).max(axis=0)  # rounding
    found = []
    for data in test:
        own = _columns(data)
        shares = ((own < low - margin) | (own > high + margin)).mean(axis=0)
        found.append((int(shares.argmax()), float(shares.max())))
    return found


def _columns(data: TaskDataset) -> Any:
    """Observations, actions and the reward as columns [N, O + A + 1]."""
    return np.concatenate([data.observations.numpy(), data.actions.numpy(), data.rewards.numpy()[:, None]], axis=1)


def _varies(data: TaskDataset) -> bool:
    """Whether rewards differ by more than rounding."""
    low, high = float(data.rewards.min()), float(data.rewards.max())
    return high - low > 1e-6 * max(abs(low), abs(high))
