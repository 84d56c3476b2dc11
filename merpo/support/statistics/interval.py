"""A number with its 95 % interval and what that covers, and the one rule by which a claim holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["ALPHA", "LEVEL", "SOURCES", "Interval", "Source", "Verdict", "covered", "judged"]

ALPHA = 0.05  # of wrong rejections
LEVEL = 1 - ALPHA

Source: TypeAlias = Literal["data", "meta-training", "training", "adaptation", "tasks", "episodes"]
Verdict: TypeAlias = Literal["holds", "cannot be told", "does not hold"]

# What an interval may cover: seeds of the data's collection, of meta-training, of training as a whole (where a method
# does not train on other tasks first) and of adaptation; new tasks; new episodes of the same policies.
SOURCES: tuple[Source, ...] = ("data", "meta-training", "training", "adaptation", "tasks", "episodes")
UNITS: tuple[Source, ...] = ("tasks", "episodes")  # those that are not seeds of something


@dataclass(frozen=True)
class Interval:
    """A mean (or another estimate) and the ends of its 95 % interval, which are None where there is only one value.

    `covers` lists what was drawn anew between the values, so for which other draws the interval holds.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    covers: tuple[Source, ...] = ()

    @property
    def bounds(self) -> tuple[float, float]:
        """Both ends; the mean twice where there is no interval."""
        return self.mean if self.low is None else self.low, self.mean if self.high is None else self.high

    def excludes(self, value: float) -> bool:
        """Whether there is an interval and `value` is outside of it."""
        return self.low is not None and not self.bounds[0] <= value <= self.bounds[1]

    def __rsub__(self, value: float) -> Interval:
        """`value` minus this number, such as `1 - p`."""
        low, high = (None if end is None else value - end for end in (self.high, self.low))
        return Interval(value - self.mean, low, high, self.covers)


def covered(covers: tuple[Source, ...]) -> str:
    """`new seeds of meta-training and adaptation and new tasks`; empty where nothing is covered."""
    seeds = [source for source in SOURCES if source in covers and source not in UNITS]
    parts = [f"new seeds of {' and '.join(seeds)}"] if seeds else []
    return " and ".join([*parts, *(f"new {source}" for source in UNITS if source in covers)])


def judged(difference: Interval, margin: float = 0.0, corrected: float | None = None) -> Verdict:
    """Whether the claim holds that a difference is above `margin`.

    It holds where the whole interval is above, does not hold where the whole interval is below, and otherwise, or
    without an interval, cannot be told. Nor can it where `corrected`, the p-value after a correction for several
    comparisons, is not below 0.05.
    """
    if not difference.excludes(margin) or (corrected is not None and corrected >= ALPHA):
        return "cannot be told"
    return "holds" if difference.bounds[0] > margin else "does not hold"
