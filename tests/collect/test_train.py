"""merpo.collect.train: checkpoints, qualities, and episodes as they are stored."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from broken import SMALL, delegate
from ending import _Ending
from small import critic, make
from training import HORIZON, SETTINGS, family

from merpo.collect.episodes import collect_quality, roll_out_policies
from merpo.collect.train import QUALITIES, BehaviorPolicies, choose_policies, train_behavior
from merpo.components.context import Context
from merpo.nn.params import gather, tree_map
from merpo.nn.policy import init_policy
from merpo.types import Spec


def trained(names: tuple[str, ...] = (), index: slice = slice(None)) -> BehaviorPolicies:
    tasks = family().tasks(3, 0)[0][index]
    return train_behavior(family(), critic(), tasks, SETTINGS, Context(seed=2, labels=names))


def checkpoints(returns: list[list[float]]) -> BehaviorPolicies:
    """K checkpoints of T tasks whose policies say which they are: [K, T, 2] of (k, t)."""
    k, t = len(returns), len(returns[0])
    marks = torch.cartesian_prod(torch.arange(k), torch.arange(t)).float().view(k, t, 2)
    return BehaviorPolicies({"mark": marks}, [10 * i for i in range(k)], torch.tensor(returns))


RETURNS = [[-10.0, -10.0], [-8.0, -4.9], [-5.0, -1.0], [0.0, -2.0], [-3.0, 0.0]]


@pytest.mark.parametrize(
    ("quality", "fraction", "expected"),
    [
        ("random", 0.5, [[0], [0]]),
        ("expert", 0.5, [[3], [4]]),
        ("medium", 0.5, [[2], [1]]),  # the first at or above -5
        ("medium", 0.0, [[0], [0]]),
        ("medium", 1.0, [[3], [4]]),
        ("mixed", 0.5, [[0, 1, 2, 3, 4]] * 2),
    ],
)
def test_each_quality_picks_its_checkpoints(quality: str, fraction: float, expected: list[list[int]]) -> None:
    assert choose_policies(checkpoints(RETURNS), quality, fraction) == expected


def test_the_best_policy_closes_the_whole_distance_whatever_is_rounded() -> None:
    spread = torch.rand(2, 500, generator=torch.Generator().manual_seed(0)) * 10
    found = choose_policies(checkpoints([(spread[0] - 35).tolist(), (spread[1] - 9).tolist()]), "medium", 1.0)
    assert found == [[1]] * 500


def test_a_task_that_never_improves_has_one_policy_for_every_quality() -> None:
    flat = checkpoints([[-1.0], [-2.0], [-3.0]])
    assert [choose_policies(flat, q, 0.5) for q in QUALITIES[:3]] == [[[0]]] * 3


def test_sac_gives_checkpoints_that_move() -> None:
    found = trained()
    assert found.steps == [0, 8, 16, 24]
    assert found.returns.shape == (4, 3)
    assert bool(found.returns.isfinite().all())
    for key, value in found.policies.items():
        assert value.shape[:2] == (4, 3)
        assert bool(value.isfinite().all())
        for t in range(3):
            assert not torch.equal(value[1, t], value[3, t]), key
    assert bool((found.policies["w0"][0, 0] == found.policies["w0"][0, 1]).all())
    assert not torch.equal(found.policies["w0"][3, 0], found.policies["w0"][3, 1])


def test_a_task_is_trained_to_the_same_alone() -> None:
    together, alone = trained(("a", "b", "c")), trained(("b",), slice(1, 2))
    one = torch.tensor([1])
    for key, value in together.policies.items():
        mine = gather(tree_map(lambda x: x.transpose(0, 1), {key: value}), one)[key].transpose(0, 1)
        torch.testing.assert_close(mine, alone.policies[key], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(together.returns[:, 1:2], alone.returns, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("quality", "episodes"), [("random", 3), ("medium", 1), ("expert", 2), ("mixed", 6)])
def test_episodes_are_whole_and_in_order(quality: str, episodes: int) -> None:
    found, tasks = trained(), family().tasks(3, 0)[0]
    made = collect_quality(family(), tasks[1:], [1, 2], found, quality, episodes, SETTINGS, Context(seed=4))
    assert len(made) == 2
    for one, task in zip(made, tasks[1:], strict=True):
        data = one.data
        assert data.task == task
        assert data.episode_offsets.tolist() == [HORIZON * e for e in range(episodes + 1)]
        assert len(data) == HORIZON * episodes
        assert bool((data.actions.abs() <= 1).all())
        assert data.terminations.sum() == 0
        assert data.truncations.view(episodes, HORIZON).tolist() == [[0.0] * (HORIZON - 1) + [1.0]] * episodes
        steps = data.next_observations.view(episodes, HORIZON, 2)[:, :-1]
        assert torch.equal(steps, data.observations.view(episodes, HORIZON, 2)[:, 1:])
        wind = torch.tensor(task["wind"])
        torch.testing.assert_close(data.next_observations, data.observations + 0.1 * data.actions + wind)
        goal = torch.tensor([1.0, 0.0])
        torch.testing.assert_close(data.rewards, -(data.next_observations - goal).norm(dim=-1), rtol=1e-5, atol=1e-5)
        assert (one.policy is None) == (quality == "mixed")


def test_no_two_episodes_of_mixed_data_begin_in_the_same_state() -> None:
    half_cheetah = make("tasks", "half-cheetah-fwd-back", horizon=HORIZON)
    tasks = half_cheetah.tasks(1, 0)[0]
    found = train_behavior(half_cheetah, critic(), tasks, SETTINGS, Context(seed=2))
    (made,) = collect_quality(half_cheetah, tasks, [0], found, "mixed", 9, SETTINGS, Context(seed=4))
    first = made.data.observations[made.data.episode_offsets[:-1]]
    assert len(first.unique(dim=0)) == 9


def test_the_stored_policy_is_the_one_that_was_picked() -> None:
    found, tasks = trained(), family().tasks(3, 0)[0]
    picks = choose_policies(found, "expert", 0.5)
    made = collect_quality(family(), [tasks[2]], [2], found, "expert", 1, SETTINGS, Context())
    assert made[0].policy is not None
    assert torch.equal(made[0].policy["w0"], found.policies["w0"][picks[2][0], 2])
    assert made[0].step == found.steps[picks[2][0]]


def test_episodes_of_one_task_differ_and_the_same_seed_repeats_them() -> None:
    tasks = family().tasks(2, 0)[0]
    generator = torch.Generator().manual_seed(0)
    policies = {
        key: value[None].repeat(2, *[1] * value.dim())
        for key, value in init_policy(Spec(2, 2), (4,), generator).items()
    }
    one, again, other = (roll_out_policies(family(), tasks, policies, 2, Context(seed=s)) for s in (1, 1, 2))
    assert torch.equal(one[0].actions, again[0].actions)
    assert not torch.equal(one[0].actions, other[0].actions)
    assert not torch.equal(one[0].actions[:HORIZON], one[0].actions[HORIZON:])
    assert not torch.equal(one[0].actions, one[1].actions)


def test_episodes_that_end_early_keep_their_own_lengths() -> None:
    kind, name, base, fields = SMALL["tasks"]
    source: Any = delegate(kind, name, base, fields, make=lambda inner, task: _Ending(task["length"]))()
    policies = {"w0": torch.zeros(2, 2, 4), "b0": torch.zeros(2, 4)}
    short, long = roll_out_policies(source, [{"length": 2}, {"length": 4}], policies, 3, Context())
    assert short.episode_offsets.tolist() == [0, 2, 4, 6]
    assert long.episode_offsets.tolist() == [0, 4, 8, 12]
    assert short.terminations.tolist() == [0, 1] * 3
    assert long.terminations.tolist() == [0, 0, 0, 1] * 3
    assert short.truncations.sum() == 0
    assert short.episode_returns().tolist() == [2, 2, 2]
