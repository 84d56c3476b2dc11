"""Claims are judged on runs by one rule, and their tests are corrected together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import bare

from merpo.reproduce.check import ArmRuns, check_claims
from merpo.reproduce.claim import Claim
from merpo.reproduce.verdicts import Checked
from merpo.support.statistics.estimate import paired, unpaired

SPREAD = (0.1, -0.2, 0.0, 0.2, -0.1)
DATA = [{"task": 0, "split": "test", "quality": "medium", "sha256": "0" * 64, "transitions": 9}]


def runs(mean: float, name: str = "", spread: tuple[float, ...] = SPREAD, **tasks: Any) -> ArmRuns:
    """An arm whose runs earn `mean` plus one of `spread` each."""
    reports = {
        seed: bare(seed=seed, datasets=DATA, tasks=[{"index": 0, "behavior": -2.0, "adapted": mean + extra, **tasks}])
        for seed, extra in enumerate(spread)
    }
    return ArmRuns(name or f"arm {mean}", reports, name or f"arm {mean}")


def claim(comparison: str = "greater", first: Any = ("a",), second: Any = ("b",), **changes: Any) -> Claim:
    return Claim(
        id="c",
        quote="q",
        source="s",
        first=first,
        second=second,
        comparison=comparison,
        **changes,  # type: ignore[arg-type]
    )


def check(one: Claim, **arms: ArmRuns) -> Checked:
    (checked,) = check_claims([one], arms, "winds")
    return checked


@pytest.mark.parametrize(
    ("comparison", "difference", "verdict"),
    [
        ("greater", 1.0, "holds"), ("greater", 0.0, "cannot be told"), ("greater", -1.0, "does not hold"),
        ("less", 1.0, "does not hold"), ("less", 0.0, "cannot be told"), ("less", -1.0, "holds"),
        ("at least", 1.0, "holds"), ("at least", 0.0, "holds"), ("at least", -0.5, "cannot be told"),
        ("at least", -2.0, "does not hold"),
        ("comparable", 0.0, "holds"), ("comparable", 0.5, "cannot be told"), ("comparable", -0.5, "cannot be told"),
        ("comparable", 2.0, "does not hold"), ("comparable", -2.0, "does not hold"),
    ],
)  # fmt: skip
def test_one_rule_for_every_comparison(comparison: str, difference: float, verdict: str) -> None:
    margin = None if comparison in ("greater", "less") else 0.5
    found = check(claim(comparison, margin=margin), a=runs(difference, "a"), b=runs(0.0, "b"))
    assert found.verdict == verdict
    (one,) = found.compared
    expected = unpaired([difference + x for x in SPREAD], list(SPREAD)).interval
    assert (one.difference.mean, one.difference.low) == pytest.approx((expected.mean, expected.low))
    assert (one.runs, one.data_sets, one.paired) == ((5, 5), 1, False)


def test_runs_with_parts_in_common_are_pairs() -> None:
    a, b = runs(0.3, "a"), runs(0.0, "b")
    apart = check(claim(), a=a, b=b)
    noisy = runs(0.3, "a", tuple(x + e for x, e in zip(SPREAD, (0.01, -0.01, 0.0, 0.02, -0.02), strict=True)))
    together = check(claim(), a=noisy._replace(pairs_with="m"), b=b._replace(pairs_with="m"))
    (one,) = together.compared
    values = [report.tasks[0].returns["adapted"] for report in noisy.reports.values()]
    expected = paired(values, list(SPREAD)).interval
    assert one.paired
    assert one.difference.low == pytest.approx(expected.low)
    assert one.difference.bounds[0] > apart.compared[0].difference.bounds[0]
    assert together.verdict == "holds"


def test_pairs_are_the_seeds_that_both_have() -> None:
    a, b = runs(0.3, "a")._replace(pairs_with="m"), runs(0.0, "b")._replace(pairs_with="m")
    some = b._replace(reports={seed: report for seed, report in b.reports.items() if seed in (1, 4)})
    (one,) = check(claim(), a=a, b=some).compared
    assert one.runs == (2, 2)
    assert one.difference.mean == pytest.approx(0.3)


def test_a_claim_about_several_needs_all_of_them() -> None:
    arms = {"a": runs(1.0, "a"), "b": runs(0.0, "b"), "c": runs(1.0, "c"), "d": runs(3.0, "d")}
    assert check(claim(second=("b",)), **arms).verdict == "holds"
    assert check(claim(second=("b", "c")), **arms).verdict == "cannot be told"
    found = check(claim(second=("b", "c", "d")), **arms)
    assert found.verdict == "does not hold"
    assert [one.verdict for one in found.compared] == ["holds", "cannot be told", "does not hold"]
    assert len(check(claim(first=("a", "d"), second=("b", "c")), **arms).compared) == 4


def test_stable_arms_are_comparable_with_each_other() -> None:
    arms = {"a": runs(0.0, "a"), "b": runs(0.1, "b"), "c": runs(5.0, "c")}
    found = check(claim("stable", ("a", "b"), (), margin=1.0), **arms)
    assert (found.verdict, len(found.compared)) == ("holds", 1)
    found = check(claim("stable", ("a", "b", "c"), (), margin=1.0), **arms)
    assert (found.verdict, len(found.compared)) == ("does not hold", 3)


def test_averages_are_over_the_arms_of_a_seed() -> None:
    """A difference that only the average shows: each pair of arms differs by more than it."""
    arms = {"a": runs(0.0, "a"), "b": runs(10.0, "b"), "c": runs(-1.0, "c"), "d": runs(9.0, "d")}
    one = claim(first=("a", "b"), second=("c", "d"), average=True, names=("left", "right"))
    found = check(one, **arms)
    assert found.verdict == "holds"
    (compared,) = found.compared
    assert (compared.first, compared.second) == ("left", "right")
    assert compared.difference.mean == pytest.approx(1.0)
    assert check(claim(first=("a", "b"), second=("c", "d")), **arms).verdict == "does not hold"


def test_a_policy_of_the_same_runs_and_a_number() -> None:
    arm = runs(0.0, "a", meta_policy=3.0)
    found = check(claim(second=(), policy="behavior"), a=arm)
    assert (found.verdict, found.compared[0].second, found.compared[0].paired) == ("holds", "behavior", True)
    assert check(claim(second=(), policy="meta_policy"), a=arm).verdict == "does not hold"
    assert check(claim("less", second=(), number=1.0), a=arm).verdict == "holds"
    assert check(claim(second=(), policy="oracle"), a=arm).verdict == "not run", "it was not measured"


def test_what_was_not_run_or_cannot_be_is_said() -> None:
    arms = {"a": runs(1.0, "a"), "b": ArmRuns("b", {}, "b")}
    assert check(claim(), **arms).verdict == "not run"
    assert check(claim(second=("absent",)), **arms).verdict == "not run"
    found = check(Claim(id="c", quote="q", source="s", not_yet="needs FOCAL"), **arms)
    assert (found.verdict, found.note, found.compared) == ("not yet", "needs FOCAL", ())


def test_one_run_tells_nothing() -> None:
    found = check(claim(), a=runs(9.0, "a", (0.0,)), b=runs(0.0, "b", (0.0,)))
    assert found.verdict == "cannot be told"
    assert (found.compared[0].difference.low, found.compared[0].p) == (None, None)


def test_many_claims_are_corrected_together() -> None:
    """A difference that is told alone is not told as one of many."""
    arms = {"a": runs(0.26, "a"), "b": runs(0.0, "b"), "c": runs(0.0, "c")}
    assert check(claim(), **arms).verdict == "holds"
    others = [claim(first=("b",), second=("c",)).model_copy(update={"id": f"c{i}"}) for i in range(20)]
    first, *rest = check_claims([claim(), *others], arms, "winds")
    assert first.verdict == "cannot be told"
    assert first.compared[0].difference.excludes(0), "intervals are those of one difference"
    assert first.compared[0].p is not None
    assert first.compared[0].p > 0.05
    assert {one.verdict for one in rest} == {"cannot be told"}


returns = st.lists(st.floats(-5, 5, allow_nan=False, width=32), min_size=2, max_size=6)


@given(returns, returns)
def test_greater_and_less_are_each_others_opposites(first: list[float], second: list[float]) -> None:
    arms = {"a": runs(0.0, "a", tuple(first)), "b": runs(0.0, "b", tuple(second))}
    greater = check(claim("greater"), **arms).verdict
    assert greater == check(claim("less", ("b",), ("a",)), **arms).verdict
    opposite = {"holds": "does not hold", "does not hold": "holds"}
    assert check(claim("less"), **arms).verdict == opposite.get(greater, greater)


@given(returns, returns, st.floats(0.1, 10))
def test_what_is_comparable_is_at_least_as_good(first: list[float], second: list[float], margin: float) -> None:
    arms = {"a": runs(0.0, "a", tuple(first)), "b": runs(0.0, "b", tuple(second))}
    comparable = check(claim("comparable", margin=margin), **arms)
    if comparable.verdict == "holds":
        assert all(abs(end) <= margin for end in comparable.compared[0].difference.bounds)
        assert check(claim("at least", margin=margin), **arms).verdict == "holds"
