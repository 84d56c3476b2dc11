"""The headline of a run: mean returns with 95 % intervals, the gap closed, and on how many tasks adaptation hurt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from merpo.support.statistics import Interval, bootstrap, gap_interval, paired_difference

__all__ = ["LABELS", "POLICIES", "Summary", "summarize"]

Returns: TypeAlias = "Sequence[Sequence[float]]"  # [seed][task]

# Key in a report -> what readers are shown, in the order of every table and legend.
POLICIES = {
    "behavior": "behaviour",
    "behavior_mode": "behaviour's mode",
    "meta_policy": "meta-policy",
    "adapted": "adapted",
    "oracle": "oracle",
}

LABELS = {"behavior": "behaviour", "meta_policy": "meta-policy", "adapted": "adapted"}


class Summary(BaseModel):
    """Over tasks (and seeds). What needs a policy that the run has not is None."""

    model_config = ConfigDict(frozen=True)

    tasks: int
    seeds: int
    behavior: Interval  # of the data, in which actions were drawn
    behavior_mode: Interval | None = None  # the same policies by their modes, as the adapted ones are measured
    adapted: Interval | None = None
    meta_policy: Interval | None = None
    oracle: Interval | None = None
    gap_closed: Interval | None = None  # (mean J − mean B)/(mean O − mean B)
    gap_closed_by_meta_policy: Interval | None = None
    adapted_minus_behavior: Interval | None = None
    adapted_minus_behavior_mode: Interval | None = None
    adapted_minus_meta_policy: Interval | None = None
    worse_than_behavior: int | None = None  # (task, seed) pairs on which the adapted policy's return is lower
    worse_than_meta_policy: int | None = None
    estimated_gain: Interval | None = None  # Q of the adapted policy's actions minus Q of the logged ones

    def of(self, policy: str) -> Interval | None:
        """The mean return of `policy`, a key of `POLICIES`."""
        found: Interval | None = getattr(self, policy)
        return found


def summarize(
    behavior: Returns,
    adapted: Returns | None = None,
    meta_policy: Returns | None = None,
    oracle: Returns | None = None,
    estimated_gain: Returns | None = None,
    behavior_mode: Returns | None = None,
) -> Summary:
    """The summary of returns [seed][task]; raises `MerpoError` where they are not finite or of unequal shapes."""
    base = Summary(
        tasks=len(behavior[0]),
        seeds=len(behavior),
        behavior=bootstrap(behavior),
        estimated_gain=bootstrap(estimated_gain) if estimated_gain is not None else None,
    )
    if adapted is None:  # no environment: nothing was measured but the logs themselves
        return base
    return Summary(
        tasks=base.tasks,
        seeds=base.seeds,
        behavior=base.behavior,
        estimated_gain=base.estimated_gain,
        behavior_mode=bootstrap(behavior_mode) if behavior_mode is not None else None,
        adapted=bootstrap(adapted),
        meta_policy=bootstrap(meta_policy) if meta_policy is not None else None,
        oracle=bootstrap(oracle) if oracle is not None else None,
        gap_closed=gap_interval(adapted, behavior, oracle) if oracle is not None else None,
        gap_closed_by_meta_policy=(
            gap_interval(meta_policy, behavior, oracle) if meta_policy is not None and oracle is not None else None
        ),
        adapted_minus_behavior=paired_difference(adapted, behavior),
        adapted_minus_behavior_mode=paired_difference(adapted, behavior_mode) if behavior_mode is not None else None,
        adapted_minus_meta_policy=paired_difference(adapted, meta_policy) if meta_policy is not None else None,
        worse_than_behavior=_worse(adapted, behavior),
        worse_than_meta_policy=_worse(adapted, meta_policy) if meta_policy is not None else None,
    )


def _worse(first: Returns, second: Returns) -> int:
    """On how many (seed, task) pairs `first` is lower than `second`."""
    rows = zip(first, second, strict=True)
    return sum(a < b for row, other in rows for a, b in zip(row, other, strict=True))
