"""A sentence of the paper as data: which arms are compared, by which number, and in which direction."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from merpo.components.component import Settings

__all__ = ["ID", "Claim", "Comparison", "Curve", "Measure"]

ID = r"^[a-z0-9][a-z0-9_-]{0,39}$"  # of whatever a figure's file names

Measure: TypeAlias = Literal["adapted", "adapted drawn", "gap closed", "snapshot", "early", "trend", "spread"]
Curve: TypeAlias = Literal["adaptation", "training"]
Comparison: TypeAlias = Literal["greater", "less", "at least", "comparable", "stable"]

RETURNS: tuple[Measure, ...] = ("adapted", "adapted drawn")  # by the modes of the policies, or by drawn actions
WITH_MARGIN: tuple[Comparison, ...] = ("at least", "comparable", "stable")


class Claim(Settings):
    """One sentence: `first` compared with `second`, with a `policy` of the same runs, or with a `number`."""

    id: str = Field(pattern=ID, description="The claim's name within its figure.")
    quote: str = Field(min_length=1, max_length=2000, description="The sentence, word by word.")
    source: str = Field(min_length=1, max_length=200, description="Where it stands, such as Section 5.1.")
    families: tuple[str, ...] = Field((), description="The families that it is checked on; all by default.")
    first: tuple[str, ...] = Field((), max_length=50, description="Ids of arms.")
    comparison: Comparison = Field("greater", description="The relation that `first` is said to have.")
    second: tuple[str, ...] = Field(
        (), max_length=50, description="Ids of arms with which each of `first` is compared."
    )
    policy: str = Field("", max_length=60, description="Instead of `second`: a policy of the same runs, e.g. behavior.")
    number: float | None = Field(None, description="Instead of `second`: a number.")
    average: bool = Field(False, description="Compare the means over `first` and over `second`, not every pair.")
    names: tuple[str, str] | None = Field(None, description="What both averages are called.")
    measure: Measure = Field("adapted", description="The number of a run that is compared.")
    curve: Curve = Field("adaptation", description="The curve of `early`, `trend` and `spread`.")
    step: int | None = Field(None, ge=0, description="The adaptation step of `snapshot`.")
    margin: float | dict[str, float] | None = Field(
        None, description="The difference that still counts as comparable; a number, or one for each family."
    )
    not_yet: str = Field("", max_length=200, description="Why it cannot be checked yet, such as: needs FOCAL.")
    note: str = Field("", max_length=1000, description="What a reader must know of this check.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a claim that does not say what is compared."""
        if self.not_yet:
            return self
        if not self.first:
            raise ValueError("first: missing, expected ids of arms")
        given = [bool(self.second), bool(self.policy), self.number is not None]
        if self.comparison == "stable":
            if any(given) or len(self.first) < 2:
                raise ValueError(
                    "comparison 'stable' compares two or more arms of `first` with each other, nothing else"
                )
        elif sum(given) != 1:
            raise ValueError(f"got {sum(given)} of second, policy and number, expected one of them")
        self._check_measure()
        return self

    def _check_measure(self) -> None:
        if (self.comparison in WITH_MARGIN) != (self.margin is not None):
            what = "needs a margin" if self.margin is None else "takes no margin"
            raise ValueError(f"margin: comparison {self.comparison!r} {what}")
        if any(margin <= 0 for margin in self.margins):
            raise ValueError(f"margin: got {min(self.margins):g}, expected a number > 0")
        if (self.measure == "snapshot") != (self.step is not None):
            raise ValueError(f"step: measure {self.measure!r} {'needs one' if self.step is None else 'has none'}")
        if self.average and not self.second:
            raise ValueError("average: true, expected it beside `second` only")
        if self.average != (self.names is not None):
            raise ValueError("names: expected what both averages are called, and only beside average = true")
        if self.policy and self.measure not in RETURNS:
            raise ValueError(f"measure: got {self.measure!r}, expected one of {list(RETURNS)} beside a policy")

    @property
    def margins(self) -> list[float]:
        """All margins."""
        return (
            [*self.margin.values()] if isinstance(self.margin, dict) else [] if self.margin is None else [self.margin]
        )

    def margin_of(self, family: str) -> float:
        """The margin on a family; 0 where the comparison has none."""
        if isinstance(self.margin, dict):
            return self.margin[family]
        return 0.0 if self.margin is None else self.margin

    def of(self, family: str) -> bool:
        """Whether the claim is checked on a family."""
        return not self.families or family in self.families
