"""merpo.algorithm.halting: rollouts end where the members of a model disagree."""

from __future__ import annotations

import torch
from rac_inputs import T, models
from small import SPEC, dynamics, rac, streams, task_data

from merpo.algorithm.halting import THRESHOLD, VALUE, halted, with_halting
from merpo.algorithm.rollout import clipped, roll_out
from merpo.algorithm.units import fit_scales, returns_to_go
from merpo.components.task_data import from_rows
from merpo.nn.params import stack
from merpo.nn.policy import init_policy


def test_the_disagreement_is_the_spread_of_the_elites_means() -> None:
    algorithm, data = rac(), task_data(T)
    theta, rows = models(algorithm), data.first(10)
    found = dynamics().disagreement(theta, rows.observations, rows.actions)
    for t in range(T):
        means = []
        for e in range(2):
            one = {k: v[t : t + 1] if k.startswith("stat.") else v[t : t + 1, e : e + 1] for k, v in theta.items()}
            inputs = torch.cat([rows.observations[t], rows.actions[t]], -1)
            scaled = (inputs - one["stat.input_mean"][0, 0]) / one["stat.input_std"][0, 0]
            hidden = torch.nn.functional.silu(scaled @ one["w0"][0, 0] + one["b0"][0, 0])
            means.append((hidden @ one["w1"][0, 0] + one["b1"][0, 0])[:, :4])
        half = (means[0] - means[1]) / 2.0  # of two members: the standard deviation, without a correction
        torch.testing.assert_close(found[t], half.square().mean(-1).sqrt(), rtol=1e-4, atol=1e-6)


def test_the_threshold_is_the_datas_and_the_value_its_lowest_return() -> None:
    algorithm, data = rac(), task_data(T)
    found = with_halting(algorithm.dynamics, models(algorithm), data, 0.9)  # type: ignore[arg-type]
    for t in range(T):
        rows, offsets = data.in_order(t)
        own = {key: value[t : t + 1] for key, value in found.items()}
        known = halted(dynamics(), own, rows.observations[None], rows.actions[None])
        assert known is not None
        assert 0 < int(known.sum()) <= 1  # one per cent of forty rows
        returns = returns_to_go(rows.rewards, rows.terminations, offsets, 0.9)
        torch.testing.assert_close(found[VALUE][t, 0], returns.min())


def test_without_the_order_in_time_nothing_is_added() -> None:
    algorithm, data = rac(), task_data(T)
    theta = models(algorithm)
    assert with_halting(dynamics(), theta, data._replace(episodes=None), 0.9) is theta
    rows = data.first(4)
    assert halted(dynamics(), theta, rows.observations, rows.actions) is None


def test_unknown_rows_of_a_rollout_end_with_the_lowest_value() -> None:
    algorithm, data = rac(), task_data(T)
    theta = with_halting(dynamics(), models(algorithm), data, 0.9)
    policy = stack([init_policy(SPEC, (8,), torch.Generator().manual_seed(t)) for t in range(T)])
    for threshold, ends in ((-1.0, True), (1e9, False)):
        everywhere = {**theta, THRESHOLD: torch.full((T, 1), threshold)}
        rows = from_rows(roll_out(dynamics(), everywhere, policy, data, streams(T), 6, 2), SPEC)
        assert bool((rows.terminations == float(ends)).all())
        assert bool((rows.rewards == theta[VALUE]).all()) == ends


def test_predictions_are_clipped_to_the_ranges_of_the_data() -> None:
    data = task_data(T)
    units = fit_scales(data, "auto", "auto").units
    assert units is not None
    far = torch.full((T, 5, 3), 1e3)
    observations, rewards = clipped(far, torch.full((T, 5), -1e3), units)
    assert bool((observations == units.observation_high).all())
    assert bool((rewards == units.reward_low).all())
    visited = torch.cat([data.rows[:, :3], data.rows[:, 6:9]])
    width = visited.amax(0) - visited.amin(0)
    torch.testing.assert_close(units.observation_high, visited.amax(0) + 0.1 * width)
    inside, same = clipped(data.rows[None, :, :3], data.rows[None, :, 5], units)
    assert torch.equal(inside[0], data.rows[:, :3])
    assert torch.equal(same[0], data.rows[:, 5])
