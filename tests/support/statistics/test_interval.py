"""An interval, what it covers, and the rule by which a claim holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.support.statistics.interval import SOURCES, Interval, Source, covered, judged


def test_an_interval_is_subtracted_from_a_number_and_knows_what_it_excludes() -> None:
    assert 1 - Interval(0.75, 0.5, 1.0, ("tasks",)) == Interval(0.25, 0.0, 0.5, ("tasks",))
    assert 1 - Interval(0.75) == Interval(0.25)
    assert [Interval(2.0, 1.0, 3.0).excludes(value) for value in (0.0, 1.0, 3.0, 4.0)] == [True, False, False, True]
    assert not Interval(2.0).excludes(0.0)
    assert (Interval(2.0).bounds, Interval(2.0, 1.0, 3.0).bounds) == ((2.0, 2.0), (1.0, 3.0))


@pytest.mark.parametrize(
    ("covers", "text"),
    [
        ((), ""),
        (("tasks",), "new tasks"),
        (("training",), "new seeds of training"),
        (("adaptation", "meta-training"), "new seeds of meta-training and adaptation"),
        (("data", "adaptation", "tasks"), "new seeds of data and adaptation and new tasks"),
        (("episodes",), "new episodes"),
    ],
)
def test_what_is_covered_is_said_in_words(covers: tuple[Source, ...], text: str) -> None:
    assert covered(covers) == text
    assert set(covers) <= set(SOURCES)


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        (Interval(2.0, 1.0, 3.0), "holds"),
        (Interval(-2.0, -3.0, -1.0), "does not hold"),
        (Interval(2.0, -1.0, 5.0), "cannot be told"),
        (Interval(2.0, 0.0, 4.0), "cannot be told"),
        (Interval(2.0), "cannot be told"),
    ],
)
def test_a_claim_is_judged_by_its_interval(difference: Interval, told: str) -> None:
    assert judged(difference) == told
    assert judged(difference, corrected=0.05) == "cannot be told"
    assert judged(difference, corrected=0.049) == told


@given(st.floats(-10, 10), st.floats(0, 10), st.floats(0, 10), st.floats(-10, 10))
def test_the_opposite_claim_has_the_opposite_verdict(mean: float, below: float, above: float, margin: float) -> None:
    difference = Interval(mean, mean - below, mean + above)
    opposite = {"holds": "does not hold", "does not hold": "holds", "cannot be told": "cannot be told"}
    assert judged(0 - difference, -margin) == opposite[judged(difference, margin)]
