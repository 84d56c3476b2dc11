"""merpo.algorithm.diagnosis: figures against cases in which they are known, and that measuring changes nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from rac_inputs import anchors, models, start
from small import METHOD, SPEC, make, rac, streams, task_data

from merpo.algorithm.behavior import fit_behavior
from merpo.algorithm.diagnosis import clone_gain, gradient_shares, model_errors, unknown_share, values_and_bounds
from merpo.algorithm.halting import with_halting
from merpo.algorithm.model_returns import model_returns
from merpo.algorithm.rac import Anchors
from merpo.algorithm.settings import BehaviorSettings
from merpo.components.context import Context
from merpo.components.task_data import TaskData, to_rows
from merpo.nn.params import clone, expand
from merpo.types import Batch, Params

DIM = SPEC.observation_dim


class Known:
    """Dynamics whose change of every dim and whose reward are `share` of the true ones, plus noise of a given std."""

    def __init__(self, share: list[float], noise: float = 0.0) -> None:
        self.share, self.noise = torch.tensor(share), noise

    def step(
        self, params: Params, spec: Any, observations: torch.Tensor, actions: torch.Tensor, noise: Any
    ) -> tuple[torch.Tensor, ...]:
        change = self.share[:-1] * moved(observations)
        change = change + self.noise * noise.normal(*change.shape[1:])
        reward = self.share[-1] * observations[..., 0]
        return observations + change, reward, torch.zeros_like(reward)


def moved(observations: torch.Tensor) -> torch.Tensor:
    """The true change of every dim; the last dim never moves."""
    change = observations.roll(1, -1)
    return torch.cat([change[..., :-1], torch.zeros_like(change[..., -1:])], -1)


def known_data(sizes: tuple[int, ...] = (400, 90)) -> TaskData:
    """Tasks of unequal sizes in which the next observation and the reward follow from the observation."""
    blocks, starts = [], []
    for t, size in enumerate(sizes):
        generator = torch.Generator().manual_seed(t)
        observations = torch.randn(size, DIM, generator=generator)
        actions = torch.rand(size, SPEC.action_dim, generator=generator) * 2 - 1
        batch = Batch(observations, actions, observations[:, 0], observations + moved(observations), torch.zeros(size))
        starts.append(sum(map(len, blocks)))
        blocks.append(to_rows(batch))
    return TaskData(torch.cat(blocks), tuple(starts), sizes, SPEC)


def errors(share: list[float], noise: float = 0.0) -> dict[str, torch.Tensor]:
    dynamics: Any = Known(share, noise)
    return model_errors(dynamics, {"w": torch.zeros(2, 1)}, known_data(), streams(2, "noise"))


def test_a_model_is_compared_to_predicting_the_mean() -> None:
    perfect, ignorant = errors([1.0] * (DIM + 1)), errors([0.0] * (DIM + 1))
    assert float(perfect["model_error"].max()) < 1e-10
    assert torch.allclose(ignorant["model_error"], torch.ones(2), atol=0.05), "1 is no knowledge"
    half = errors([1.0, 1.0, 1.0, 0.5])
    assert torch.allclose(half["model_error_worst"], torch.full((2,), 0.25), atol=0.02)
    assert half["model_worst_dim"].tolist() == [DIM, DIM], "the reward comes after the observations"
    assert torch.allclose(half["model_error"], half["model_error_worst"] / 3), "the dim that never moves does not count"
    second = errors([1.0, 0.0, 1.0, 1.0])
    assert second["model_worst_dim"].tolist() == [1.0, 1.0]


def test_the_noise_that_a_model_knows_of_hardly_counts() -> None:
    """One draw with std 1 would be an error of 1; the mean of eight is an eighth of that."""
    noisy = errors([1.0] * (DIM + 1), noise=1.0)
    assert torch.allclose(noisy["model_error_worst"], torch.full((2,), 1 / 8), atol=0.05)


def test_a_clone_that_has_not_learned_gains_and_one_that_has_does_not() -> None:
    data = known_data((800, 300))
    wanted = data.rows[:, :1].tanh().expand(-1, SPEC.action_dim) * 0.8  # actions that follow from the observation
    noise = 0.1 * torch.randn(len(wanted), SPEC.action_dim, generator=torch.Generator().manual_seed(1))
    data.rows[:, DIM : DIM + SPEC.action_dim] = (wanted + noise).clamp(-0.95, 0.95)
    found = {}
    for steps in (20, 3000):
        settings = BehaviorSettings(hidden=(16,), steps=steps, batch_size=64, learning_rate=3e-3)
        params = fit_behavior(data, settings, Context(), "clone").policy
        before = clone(params)
        found[steps] = clone_gain(params, data, settings, 0.2, streams(2, "gain"))
        assert all(torch.equal(before[key], params[key]) for key in before), "the clone itself is not trained"
    assert float(found[20].min()) > 0.1
    assert float(found[3000].max()) < 0.02, "below 0 where it had learned the held-out rows by heart"


def bounds(value: float, ended: bool = False, **settings: Any) -> dict[str, torch.Tensor]:
    """The figures for critics that say `value` everywhere, on rewards between -2 and 3."""
    algorithm = rac(discount=0.9, max_entropy=False, **settings)
    state = start(algorithm)
    flat = {key: torch.zeros_like(leaf) for key, leaf in state.critic.items()}
    last = max(key for key in flat if key.startswith("b"))
    state = state._replace(critic={**flat, last: flat[last] + value})
    data = known_data()
    data.rows[:, DIM + SPEC.action_dim] = data.rows[:, DIM + SPEC.action_dim].clamp(-2.0, 3.0)
    for at in data.starts:
        data.rows[at, DIM + SPEC.action_dim], data.rows[at + 1, DIM + SPEC.action_dim] = -2.0, 3.0
        data.rows[at, -1] = float(ended)
    return values_and_bounds(algorithm, state, data, streams(2, "values"))


def test_q_is_compared_to_what_the_rewards_allow() -> None:
    sound = bounds(25.0)
    assert sound["q_floor"].tolist() == pytest.approx([-20.0] * 2, rel=1e-5)
    assert sound["q_ceiling"].tolist() == pytest.approx([30.0] * 2, rel=1e-5)
    assert sound["q_mean"].tolist() == pytest.approx([25.0] * 2)
    assert sound["q_outside"].tolist() == [0.0, 0.0]
    assert bounds(31.0)["q_outside"].tolist() == bounds(-21.0)["q_outside"].tolist() == [1.0, 1.0]
    assert bounds(250.0, reward_scale=10.0)["q_mean"].tolist() == pytest.approx([25.0] * 2), "in units of reward"


def test_where_episodes_end_a_return_may_be_a_single_reward() -> None:
    algorithm = rac(discount=0.9, max_entropy=False)
    data = known_data()
    data.rows[:, DIM + SPEC.action_dim] = -data.rows[:, DIM + SPEC.action_dim].abs() - 1.0
    high = [
        float(data.rows[at : at + n, DIM + SPEC.action_dim].max())
        for at, n in zip(data.starts, data.sizes, strict=True)
    ]
    endless = values_and_bounds(algorithm, start(algorithm), data, streams(2, "values"))
    assert endless["q_ceiling"].tolist() == pytest.approx([10 * x for x in high], rel=1e-4)
    data.rows[list(data.starts), -1] = 1.0
    ended = values_and_bounds(algorithm, start(algorithm), data, streams(2, "values"))
    assert ended["q_ceiling"].tolist() == pytest.approx(high, rel=1e-4)


def test_the_entropy_that_critics_count_raises_the_ceiling() -> None:
    algorithm = rac(discount=0.9, temperature_initial=0.5)
    plain = values_and_bounds(rac(discount=0.9, max_entropy=False), start(algorithm), known_data(), streams(2, "v"))
    found = values_and_bounds(algorithm, start(algorithm), known_data(), streams(2, "v"))
    more = 0.5 * SPEC.action_dim * math.log(2) / (1 - 0.9)
    assert (found["q_ceiling"] - plain["q_ceiling"]).tolist() == pytest.approx([more] * 2, rel=1e-3)


def shares(alpha: float, lambda_: float) -> dict[str, list[float]]:
    algorithm = rac(lambda_initial=lambda_, lambda_tune=False, max_entropy=False)
    state = start(algorithm, alpha=alpha)
    state = state._replace(duals=state.duals._replace(lambda_=torch.full((2,), lambda_)))
    before = clone(state.buffer.rows)
    found = gradient_shares(algorithm, state, task_data(2), models(algorithm), anchors(), streams(2, "shares"))
    assert torch.equal(before, state.buffer.rows)
    return {key: value.tolist() for key, value in found.items()}


def test_the_shares_of_the_gradient_are_those_of_its_terms() -> None:
    assert shares(0.4, 0.0)["pull_q"] == pytest.approx([1.0, 1.0]), "without λ there is Q alone"
    assert shares(1.0, 1.0)["pull_meta"] == pytest.approx([0.0, 0.0]), "α = 1 is the clone alone"
    assert shares(0.0, 1.0)["pull_clone"] == pytest.approx([0.0, 0.0])
    weak, strong = shares(0.4, 0.1), shares(0.4, 100.0)
    for found in (weak, strong):
        assert [sum(parts) for parts in zip(*found.values(), strict=True)] == pytest.approx([1.0, 1.0])
    assert max(strong["pull_q"]) < 0.05 < min(weak["pull_q"])


def test_the_entropys_pull_is_the_rest() -> None:
    algorithm = rac(temperature_initial=1e3)
    found = gradient_shares(algorithm, start(algorithm), task_data(2), models(algorithm), anchors(), streams(2, "s"))
    assert float(torch.stack(list(found.values())).sum(0).max()) < 0.2
    assert gradient_shares(algorithm._replace(regularizer=None), start(algorithm), task_data(2), None,
                           Anchors({}, {}), streams(2, "s")) == {}  # fmt: skip


@pytest.mark.parametrize("name", ["merpo", "single"])
def test_methods_measure_themselves_where_it_is_asked_for(name: str) -> None:
    fields = METHOD if name == "merpo" else {key: METHOD[key] for key in ("dynamics", "critic", "behavior", "rac")}
    fields = fields if name == "merpo" else {**fields, "steps": 3, "model": {"steps": 2, "batch_size": 8}}
    method, data = make("method", name, **fields), task_data(2)
    meta = method.fit(data, Context())
    asked, not_asked = (method.adapt(meta, data, Context(diagnose=diagnose)) for diagnose in (True, False))
    new = {"model_error", "model_error_worst", "model_worst_dim", "clone_gain", "q_mean", "q_floor", "q_ceiling",
           "q_outside", "q_growth", "at_bounds", "discount", "pull_q", "pull_clone", "pull_meta", "unknown",
           "return_gap", "return_gap_error"}  # fmt: skip
    assert asked.scores.keys() - not_asked.scores.keys() == new
    assert all(value.shape == (2,) and bool(value.isfinite().all()) for value in asked.scores.values())
    for key, value in asked.policy.items():
        assert torch.equal(value, not_asked.policy[key]), "what is measured is not changed"
    assert all(torch.equal(asked.scores[key], not_asked.scores[key]) for key in not_asked.scores)


def test_a_method_without_model_and_clone_has_the_other_figures() -> None:
    free = {"use_model": False, "lambda_initial": 0.0, "lambda_tune": False}
    method = make("method", "single", critic=METHOD["critic"], steps=2, rac={**METHOD["rac"], **free},
                  alpha={"component": "fixed", "initial": 1.0}, meta_policy={"source": "none"})  # fmt: skip
    data = task_data(2)
    scores = method.adapt(method.fit(data, Context()), data, Context()).scores
    assert set(scores) == {"q_mean", "q_floor", "q_ceiling", "q_outside", "q_growth", "at_bounds", "discount"}


def test_saturated_actions_are_counted() -> None:
    algorithm = rac()
    state = start(algorithm)
    flat = {key: torch.zeros_like(leaf) for key, leaf in state.policy.items()}
    last = max(key for key in flat if key.startswith("b"))
    mean = torch.tensor([5.0, 0.0, 0.0, 0.0])  # the mean of the first of two actions, then log-stds
    state = state._replace(policy={**flat, last: expand(mean, 2)})
    assert values_and_bounds(algorithm, state, task_data(2), streams(2, "b"))["at_bounds"].tolist() == [0.5, 0.5]


def test_a_policy_that_leaves_what_the_model_knows_is_told_of() -> None:
    """One per cent of the data's own rows are unknown; with a threshold below every disagreement all steps are."""
    algorithm, data = rac(), task_data(2)
    theta, policy = models(algorithm), start(algorithm).policy
    found = unknown_share(algorithm, theta, policy, data, streams(2, "unknown"))["unknown"]
    assert bool((found >= 0).all() & (found <= 1).all())
    known = with_halting(algorithm.dynamics, theta, data, 0.9)
    share = model_returns(algorithm.dynamics, known, policy, data, streams(2, "unknown")).unknown
    torch.testing.assert_close(found, share.mean(-1))
    assert unknown_share(algorithm, theta, policy, data._replace(episodes=None), streams(2)) == {}
    assert unknown_share(rac(use_model=False), theta, policy, data, streams(2)) == {}
