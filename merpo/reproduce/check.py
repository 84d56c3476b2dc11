"""Claims checked on stored runs: differences over independent runs, corrected together, judged by one rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple, TypeAlias

from merpo.report.report import Report
from merpo.report.seeds import data_sets, sources_of
from merpo.reproduce.claim import Claim
from merpo.reproduce.measures import measured, policy_return
from merpo.reproduce.verdicts import Checked, Compared, Status
from merpo.support.format import number
from merpo.support.statistics.estimate import Estimate, one_sample, paired, unpaired
from merpo.support.statistics.holm import holm
from merpo.support.statistics.interval import Interval, Verdict, judged

__all__ = ["ArmRuns", "check_claims"]

Values: TypeAlias = dict[int, float]  # seed -> number


class ArmRuns(NamedTuple):
    """The finished runs of an arm. Runs of the same `family` and seed are paired: they have parts in common."""

    label: str
    reports: Mapping[int, Report]  # by seed
    pairs_with: str  # what the runs of a seed have in common with those of other arms: a meta-artifact, or data


class _Difference(NamedTuple):
    """One difference before it is judged."""

    first: str
    second: str
    estimate: Estimate
    runs: tuple[int, int]
    paired: bool
    data_sets: int

    def tests(self, claim: Claim, margin: float) -> list[tuple[Interval, float | None]]:
        """What must be above -margin, with the p-value of each."""
        own, turned = self.estimate.interval, 0 - self.estimate.interval
        above = own, self.estimate.p_value(-margin)
        below = turned, self.estimate.p_value(margin)
        match claim.comparison:
            case "comparable" | "stable":
                return [above, below]
            case "less":
                return [below]
        return [above]


def check_claims(claims: Sequence[Claim], arms: Mapping[str, ArmRuns], family: str) -> list[Checked]:
    """Every claim with its verdict; the tests of all claims are corrected together by Holm's rule.

    A claim holds where all of its differences show it, does not hold where one shows the opposite, and otherwise cannot
    be told. One whose arms were not run, or lack its number, is `not run`.
    """
    found = [[] if claim.not_yet else _differences(claim, arms) for claim in claims]
    tests = [
        [one.tests(claim, claim.margin_of(family)) for one in differences or []]
        for claim, differences in zip(claims, found, strict=True)
    ]
    corrected = iter(holm([p for of_claim in tests for of_one in of_claim for _, p in of_one]))
    checked = []
    for claim, differences, of_claim in zip(claims, found, tests, strict=True):
        margin = claim.margin_of(family)
        compared = [
            _judged(one, claim, margin, of_one, [next(corrected) for _ in of_one])
            for one, of_one in zip(differences or [], of_claim, strict=True)
        ]
        checked.append(_checked(claim, compared))
    return checked


def _checked(claim: Claim, compared: Sequence[Compared]) -> Checked:
    status: Status = "not yet" if claim.not_yet else "not run"
    return Checked(
        id=claim.id,
        quote=claim.quote,
        source=claim.source,
        measure=_measure(claim),
        comparison=claim.comparison,
        note=claim.not_yet or claim.note,
        verdict=_together([one.verdict for one in compared]) if compared else status,
        compared=tuple(compared),
    )


def _judged(
    one: _Difference,
    claim: Claim,
    margin: float,
    tests: Sequence[tuple[Interval, float | None]],
    corrected: Sequence[float | None],
) -> Compared:
    verdicts = [judged(interval, -margin, p) for (interval, _), p in zip(tests, corrected, strict=True)]
    known = [p for p in corrected if p is not None]
    return Compared(
        first=one.first,
        second=one.second,
        difference=one.estimate.interval,
        margin=margin,
        p=max(known, default=None),
        runs=one.runs,
        paired=one.paired,
        data_sets=one.data_sets,
        verdict=_together(verdicts),
    )


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """All of several: one that does not hold decides, then one that cannot be told."""
    if "does not hold" in verdicts:
        return "does not hold"
    return "holds" if all(one == "holds" for one in verdicts) else "cannot be told"


def _differences(claim: Claim, arms: Mapping[str, ArmRuns]) -> list[_Difference] | None:
    """Every difference of a claim; None where one cannot be computed from the runs."""
    if any(arm not in arms or not arms[arm].reports for arm in (*claim.first, *claim.second)):
        return None
    first = [arms[arm] for arm in claim.first]
    second = [arms[arm] for arm in claim.second]
    made: list[_Difference | None]
    if claim.comparison == "stable":
        made = [_of_arms(claim, [a], [b]) for a, b in combinations(first, 2)]
    elif claim.second:
        groups = [(first, second)] if claim.average else [([a], [b]) for a, b in product(first, second)]
        made = [_of_arms(claim, a, b) for a, b in groups]
    elif claim.policy:
        made = [_within(claim, arm, lambda report: policy_return(report, claim.policy), claim.policy) for arm in first]
    else:
        fixed = claim.number or 0.0
        made = [_within(claim, arm, lambda _: fixed, number(fixed)) for arm in first]
    complete = [one for one in made if one is not None]
    return complete if len(complete) == len(made) else None


def _of_arms(claim: Claim, first: Sequence[ArmRuns], second: Sequence[ArmRuns]) -> _Difference | None:
    """The difference of two arms, or of the means over two groups of arms."""
    a, b = _values(claim, first), _values(claim, second)
    if not a or not b:
        return None
    every = (*first, *second)
    common = sorted(a.keys() & b.keys())
    together = len({arm.pairs_with for arm in every}) == 1 and len(common) > 0
    if together:
        a, b = ({seed: values[seed] for seed in common} for values in (a, b))
    sets = min(data_sets(list(arm.reports.values())) for arm in every)
    covers = sources_of(list(first[0].reports.values()))
    made = paired if together else unpaired
    estimate = made(list(a.values()), list(b.values()), covers)
    names = claim.names or (first[0].label, second[0].label)
    return _Difference(*names, estimate, (len(a), len(b)), together, sets)


def _within(claim: Claim, arm: ArmRuns, other: Callable[[Report], float | None], name: str) -> _Difference | None:
    """The difference of an arm and something of the same runs."""
    differences = []
    for report in arm.reports.values():
        here, there = measured(report, claim), other(report)
        if here is None or there is None:
            return None
        differences.append(here - there)
    reports = list(arm.reports.values())
    estimate, count = one_sample(differences, sources_of(reports)), len(reports)
    return _Difference(arm.label, name, estimate, (count, count), True, data_sets(reports))


def _values(claim: Claim, arms: Sequence[ArmRuns]) -> Values:
    """The mean over arms for every seed that all of them have; empty where a run lacks its number."""
    seeds = sorted(set.intersection(*({*arm.reports} for arm in arms)))
    found: Values = {}
    for seed in seeds:
        values = [measured(arm.reports[seed], claim) for arm in arms]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return {}
        found[seed] = sum(known) / len(known)
    return found


def _measure(claim: Claim) -> str:
    """The measure in words."""
    curve = "adaptation" if claim.curve == "adaptation" else "meta-training"
    return {
        "adapted": "return",
        "adapted drawn": "return with drawn actions",
        "gap closed": "gap closed",
        "snapshot": f"return after {claim.step} steps",
        "early": f"return in the first third of {curve}",
        "trend": f"return in the last third of {curve} minus that in the first",
        "spread": f"standard deviation of the return over {curve}",
    }[claim.measure]
