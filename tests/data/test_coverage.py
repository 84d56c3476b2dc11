"""merpo.data.coverage: what data lacks, on data in which it is known."""

from __future__ import annotations

from dataclasses import replace

import torch
from strategies import make_dataset

from merpo.data.coverage import column_names, coverage
from merpo.data.dataset import TaskDataset


def task(seed: int, episodes: int = 40) -> TaskDataset:
    return make_dataset([10] * episodes, [False] * episodes, 3, 2, seed)


TRAIN = [task(seed) for seed in range(4)]


def test_data_like_that_of_the_training_tasks_is_within_their_range() -> None:
    (column, share), *_ = coverage(TRAIN, [task(9)]).outside
    assert share < 0.02
    assert 0 <= column < 6


def test_the_column_that_leaves_the_range_is_named() -> None:
    far = task(9)
    high = replace(far, observations=far.observations + torch.tensor([0.0, 50.0, 0.0]))
    rich = replace(far, rewards=far.rewards + 100.0)
    steep = replace(far, actions=torch.cat([far.actions[:, :1], torch.full((400, 1), 1.5)], 1))
    assert coverage(TRAIN, [far, high, rich, steep]).outside[1:] == [(1, 1.0), (5, 1.0), (4, 1.0)]
    assert coverage([], [high]).outside == [], "a method without training tasks has no range"


def test_a_constant_column_is_outside_where_it_has_another_value() -> None:
    def constant(data: TaskDataset, value: float) -> TaskDataset:
        return replace(data, observations=torch.cat([data.observations[:, :2], torch.full((400, 1), value)], 1))

    train = [constant(data, 5.0) for data in TRAIN]
    same, rounded, other = (constant(task(9), value) for value in (5.0, 5.00001, 5.1))
    found = coverage(train, [same, rounded, other]).outside
    assert [share < 0.02 for _, share in found] == [True, True, False]
    assert found[2] == (2, 1.0)


def test_outliers_of_the_training_data_do_not_widen_its_range() -> None:
    wild = replace(TRAIN[0], observations=TRAIN[0].observations.clone())
    wild.observations[0] = 1e6
    high = replace(task(9), observations=task(9).observations + 20.0)
    assert coverage([wild, *TRAIN[1:]], [high]).outside[0][1] == 1.0


def test_episodes_rewards_and_actions_at_their_bounds() -> None:
    flat = replace(task(5), rewards=torch.full((400,), 0.1))
    edge = replace(task(6, 2), actions=task(6, 2).actions.sign())
    found = coverage([*TRAIN, flat], [task(7), edge])
    assert found.episodes == [40, 2]
    assert found.training_episodes == [40] * 5
    assert found.vary == [True, True, True, True, False, True, True]
    assert found.at_bounds[1] == 1.0
    assert found.at_bounds[0] < 0.05


def test_columns_have_the_names_of_the_file() -> None:
    settings = {"columns": {"observations": ["level", "flow"], "actions": ["valve", "pump"]}}
    assert column_names(settings, 2, 2) == ["level", "flow", "valve", "pump", "reward"]
    assert column_names(settings, 3, 2)[:3] == ["observation 0", "observation 1", "observation 2"]
    assert column_names({"columns": {"observations": ["observations"]}}, 1, 1) == [
        "observation 0",
        "action 0",
        "reward",
    ]
    assert column_names({"columns": {"actions": ["valve"]}}, 1, 1)[1] == "valve"
    assert column_names({}, 1, 2) == ["observation 0", "action 0", "action 1", "reward"]
