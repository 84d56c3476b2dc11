"""Summary of a run: mean returns with 95 % intervals, the gap closed, and on how many tasks adaptation harmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict

from merpo.lazy import np
from merpo.report.policies import POLICIES, PerPolicy, from_flat, in_order, to_flat
from merpo.support.statistics.crossed import crossed, gap_interval
from merpo.support.statistics.interval import Interval, Source, covered

__all__ = ["Summary", "summarize"]

Returns: TypeAlias = "Sequence[Sequence[float]]"  # [seed][task]

GAPS = PerPolicy(
    lambda key: "gap_closed" if key == "adapted" else f"gap_closed_by_{key}", has=lambda key: POLICIES[key].gap
)
DIFFERENCES = PerPolicy(lambda key: f"adapted_minus_{key}", has=lambda key: POLICIES[key].baseline)
COUNTS = PerPolicy(lambda key: f"worse_than_{key}", has=lambda key: POLICIES[key].counted)


class Summary(BaseModel):
    """Statistics over tasks (and seeds), by the keys of `POLICIES`; a policy that was not measured has none."""

    model_config = ConfigDict(frozen=True)

    tasks: int
    seeds: int
    returns: Annotated[dict[str, Interval], PerPolicy()]  # mean returns
    gaps_closed: Annotated[dict[str, Interval], GAPS]  # (mean J − mean B)/(mean O − mean B)
    adapted_minus: Annotated[dict[str, Interval], DIFFERENCES]
    worse_than: Annotated[dict[str, int], COUNTS]  # (task, seed) pairs on which the adapted policy's return is lower
    seeds_of: tuple[Source, ...] = ("training",)  # what the seeds decide
    data_sets: int = 0  # of all seeds; 0: not known

    _from_flat, _to_flat = from_flat, to_flat

    @property
    def gap_closed(self) -> Interval | None:
        """The share of the gap from behaviour to oracle that the adapted policies close."""
        return self.gaps_closed.get("adapted")

    @property
    def covers(self) -> str:
        """What the intervals are for: a single task or seed is not drawn anew, so they do not cover another one."""
        tasks: tuple[Source, ...] = ("tasks",) if self.tasks > 1 else ()
        return covered((self.seeds_of if self.seeds > 1 else ()) + tasks)


def summarize(
    returns: Mapping[str, Returns], seeds_of: tuple[Source, ...] = ("training",), data_sets: int = 0
) -> Summary:
    """The summary of returns {policy: [seed][task]}, the behaviour policies' at least.

    Differences are paired by task and seed, so that hard tasks do not widen their intervals.

    Raises `MerpoError` where they are not finite or of unequal shapes.
    """
    behavior, adapted, oracle = returns["behavior"], returns.get("adapted"), returns.get("oracle")
    known = dict(in_order(returns)) if adapted is not None else {"behavior": behavior}
    gaps, differences, worse = {}, {}, {}
    for key, rows in known.items():
        policy = POLICIES[key]
        if policy.gap and oracle is not None and (gap := gap_interval(rows, behavior, oracle, seeds_of)) is not None:
            gaps[key] = gap
        if policy.baseline and adapted is not None:
            differences[key] = crossed(np.subtract(adapted, rows), seeds_of)
        if policy.counted and adapted is not None:
            worse[key] = _worse(adapted, rows)
    return Summary(
        tasks=len(behavior[0]),
        seeds=len(behavior),
        seeds_of=seeds_of,
        data_sets=data_sets,
        returns={key: crossed(rows, seeds_of) for key, rows in known.items()},
        gaps_closed=gaps,
        adapted_minus=differences,
        worse_than=worse,
    )


def _worse(first: Returns, second: Returns) -> int:
    """The number of (seed, task) pairs with `first` lower than `second`."""
    rows = zip(first, second, strict=True)
    return sum(a < b for row, other in rows for a, b in zip(row, other, strict=True))
