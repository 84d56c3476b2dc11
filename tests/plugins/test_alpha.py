"""merpo_alpha: Eq. (11) against autograd on the objective as it is printed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import alpha_objective
from pydantic import ValidationError
from small import make

from merpo_alpha import Adaptive, Fixed, Relative

DIVERGENCES = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=50)
@given(alpha=st.floats(0.1, 0.5), to_behavior=DIVERGENCES, to_meta=DIVERGENCES, lr=st.floats(0, 1))
def test_equation_11_is_one_projected_gradient_step(
    alpha: float, to_behavior: float, to_meta: float, lr: float
) -> None:
    leaf = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    loss = (1.0 - leaf) * (to_behavior - to_meta)
    assert float(loss.detach()) == pytest.approx(alpha_objective(alpha, to_behavior, to_meta), rel=1e-12, abs=1e-12)
    (slope,) = torch.autograd.grad(loss, leaf)
    expected = min(0.5, max(0.1, alpha - lr * float(slope)))
    one = [torch.tensor([x], dtype=torch.float64) for x in (alpha, to_behavior, to_meta)]
    assert float(Adaptive(learning_rate=lr).update(*one)) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=25)
@given(steps=st.lists(st.tuples(DIVERGENCES, DIVERGENCES), min_size=1, max_size=20), lr=st.floats(0, 1))
def test_alpha_never_leaves_its_bounds(steps: list[tuple[float, float]], lr: float) -> None:
    scheduler = Adaptive(learning_rate=lr, low=0.2, high=0.45, initial=0.3)
    alpha = torch.tensor([0.3])
    for to_behavior, to_meta in steps:
        alpha = scheduler.update(alpha, torch.tensor([to_behavior]), torch.tensor([to_meta]))
        assert torch.tensor(0.2) <= alpha <= torch.tensor(0.45)


def test_alpha_follows_the_text() -> None:
    """Larger where π_n is closer to the meta-policy, smaller where it is closer to the behaviour policy; per task."""
    start = torch.full((3,), 0.4)
    new = Adaptive(learning_rate=0.01).update(start, torch.tensor([2.0, 1.0, 1.0]), torch.tensor([1.0, 2.0, 1.0]))
    assert new[0] > 0.4 > new[1]
    assert new[2] == start[2]


def test_the_defaults_are_the_papers() -> None:
    scheduler = make("alpha", "adaptive")
    assert (scheduler.initial, scheduler.learning_rate, scheduler.low, scheduler.high) == (0.4, 1e-4, 0.1, 0.5)
    assert make("alpha", "fixed").initial == 0.4


@given(alpha=st.floats(0, 1), to_behavior=DIVERGENCES, to_meta=DIVERGENCES)
@settings(max_examples=10)
def test_a_fixed_alpha_stays(alpha: float, to_behavior: float, to_meta: float) -> None:
    before = torch.tensor([alpha])
    assert torch.equal(Fixed().update(before, torch.tensor([to_behavior]), torch.tensor([to_meta])), before)


@settings(max_examples=50)
@given(alpha=st.floats(0.1, 0.5), to_behavior=DIVERGENCES, to_meta=DIVERGENCES, updates=st.integers(1, 50))
def test_a_relative_step_is_a_share_of_the_range(
    alpha: float, to_behavior: float, to_meta: float, updates: int
) -> None:
    size = abs(to_behavior) + abs(to_meta)
    share = (to_behavior - to_meta) / size if size > 0 else 0.0
    expected = min(0.5, max(0.1, alpha + 0.4 / updates * share))
    one = [torch.tensor([x], dtype=torch.float64) for x in (alpha, to_behavior, to_meta)]
    assert float(Relative(updates=updates).update(*one)) == pytest.approx(expected, rel=1e-9)


@given(scale=st.floats(1e-6, 1e6))
@settings(max_examples=20)
def test_a_relative_step_does_not_depend_on_the_size_of_the_divergences(scale: float) -> None:
    alpha, pair = torch.tensor([0.3]), torch.tensor([3.0, 1.0])
    found = Relative().update(alpha, *(scale * pair).split(1))
    torch.testing.assert_close(found, torch.tensor([0.32]))


def test_alpha_crosses_its_range_in_so_many_updates() -> None:
    alpha = torch.tensor([0.5])
    for _ in range(10):
        alpha = Relative().update(alpha, torch.tensor([0.0]), torch.tensor([7.0]))
    assert float(alpha) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["adaptive", "relative"])
@pytest.mark.parametrize("fields", [{"low": 0.6}, {"initial": 0.7}, {"low": 0.5, "high": 0.1}])
def test_bounds_that_leave_the_start_outside_are_refused(name: str, fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="expected low"):
        make("alpha", name, **fields)
