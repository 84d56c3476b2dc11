"""merpo.algorithm.units: discount, scale of rewards and statistics, from the data alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import SPEC, task_data
from strategies import make_dataset

from merpo.algorithm.units import Scales, discount_of, fit_scales, returns_to_go
from merpo.components.task_data import TaskData
from merpo.data.dataset import stack_tasks
from merpo.errors import MerpoError

REWARD = 5  # column of rows: 3 observations, 2 actions, reward


def with_rewards(rewards: list[torch.Tensor]) -> TaskData:
    """Tasks of 40 rows with these rewards."""
    data = task_data(len(rewards))
    rows = data.rows.clone()
    for start, size, values in zip(data.starts, data.sizes, rewards, strict=True):
        rows[start : start + size, REWARD] = values
    return data._replace(rows=rows)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.floats(0.0, 0.99), st.integers(0, 2**16), st.booleans())
def test_returns_are_those_of_a_plain_loop(lengths: list[int], discount: float, seed: int, ends: bool) -> None:
    n = sum(lengths)
    random = torch.Generator().manual_seed(seed)
    rewards = torch.randn(n, generator=random, dtype=torch.float64)
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    terminations = torch.zeros(n, dtype=torch.float64)
    if ends:
        terminations[offsets[1] - 1] = 1.0
    expected = []
    for first, last in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        value = 0.0 if terminations[last - 1] else float(rewards.mean()) / (1.0 - discount)
        episode: list[float] = []
        for row in range(last - 1, first - 1, -1):
            value = float(rewards[row]) + discount * value
            episode.insert(0, value)
        expected += episode
    found = returns_to_go(rewards, terminations, offsets, discount)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(("horizon", "expected"), [(1, 0.9), (30, 0.9), (100, 0.97), (200, 0.985), (5000, 0.99)])
def test_the_discount_has_three_time_constants_in_an_episode(horizon: int, expected: float) -> None:
    assert discount_of(horizon) == pytest.approx(expected)


def test_the_order_of_rows_is_recovered() -> None:
    made = [make_dataset([5, 3], [True, False], 3, 2, seed=t) for t in range(2)]
    data = stack_tasks(made, SPEC, seed=3)
    for task, own in enumerate(made):
        rows, offsets = data.select([task]).in_order(0)
        assert torch.equal(rows.rewards, own.rewards)
        assert torch.equal(rows.observations, own.observations)
        assert offsets.tolist() == own.episode_offsets.tolist()
    with pytest.raises(MerpoError, match="order in time is not known"):
        data.split(0.5)[0].in_order(0)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e6])
def test_scaled_returns_have_a_standard_deviation_of_one(size: float) -> None:
    data = with_rewards([size * torch.randn(40, generator=torch.Generator().manual_seed(t)) for t in range(3)])
    scales = fit_scales(data, "auto", "auto")
    assert scales.discount == 0.9  # episodes of five steps
    assert scales.units is not None
    assert float(scales.units.value_std) == pytest.approx(1.0)
    returns = [
        returns_to_go(rows.rewards, rows.terminations, offsets, 0.9)
        for rows, offsets in (data.in_order(t) for t in range(3))
    ]
    within = torch.stack([r.double().var(correction=0) for r in returns]).mean().sqrt()
    assert scales.reward_scale == pytest.approx(1.0 / float(within), rel=1e-5)
    assert float(scales.units.reward_high) == pytest.approx(float(data.rows[:, REWARD].max()))


def test_given_numbers_are_kept() -> None:
    scales = fit_scales(task_data(2), 0.5, 100.0)
    assert (scales.discount, scales.reward_scale) == (0.5, 100.0)
    again = Scales.from_group(scales.group())
    assert again.discount == 0.5
    assert again.units is not None
    assert scales.units is not None
    assert all(torch.equal(a, b) for a, b in zip(again.units, scales.units, strict=True))


def test_constant_rewards_are_scaled_by_their_return() -> None:
    """Reward 4 in endless episodes: a return of 4 / (1 − γ) everywhere, which becomes 1."""
    scales = fit_scales(with_rewards([torch.full((40,), 4.0)] * 2), 0.9, "auto")
    assert scales.reward_scale == pytest.approx(1.0 / 40.0)


def test_without_any_reward_the_scale_is_one() -> None:
    assert fit_scales(with_rewards([torch.zeros(40)] * 2), 0.9, "auto").reward_scale == 1.0


def test_a_single_rewarding_task_gives_the_scale() -> None:
    random = torch.randn(40, generator=torch.Generator().manual_seed(0))
    alone = fit_scales(with_rewards([random]), 0.9, "auto").reward_scale
    assert fit_scales(with_rewards([random, torch.zeros(40)]), 0.9, "auto").reward_scale == pytest.approx(alone)


def test_hardly_varying_actions_do_not_explode() -> None:
    data = task_data(2)
    rows = data.rows.clone()
    rows[:, 3] = 0.5
    units = fit_scales(data._replace(rows=rows), "auto", "auto").units
    assert units is not None
    assert float(units.action_std[0]) == pytest.approx(0.1)
