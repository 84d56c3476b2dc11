"""merpo.data.dataset: rows keep their identity through stacking, splitting and sampling."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS, make_dataset, task_collections, task_datasets

from merpo.components.task_data import TaskData, from_rows, to_rows
from merpo.data.dataset import TaskDataset, stack_tasks
from merpo.errors import DatasetError
from merpo.nn.noise import Streams, derive_seed
from merpo.types import Batch, Spec


def rows_of(data: TaskDataset) -> list[tuple[float, ...]]:
    """One tuple (s, a, r, s', termination) per transition, by a plain loop."""
    return [
        (
            *data.observations[i].tolist(),
            *data.actions[i].tolist(),
            data.rewards[i].item(),
            *data.next_observations[i].tolist(),
            data.terminations[i].item(),
        )
        for i in range(len(data))
    ]


def block(data: TaskData, t: int) -> list[tuple[float, ...]]:
    """Task t's rows of a stacked `TaskData`."""
    return [tuple(row) for row in data.rows[data.starts[t] : data.starts[t] + data.sizes[t]].tolist()]


def streams(n: int, seed: int = 0) -> Streams:
    return Streams.seeded(derive_seed(seed, t) for t in range(n))


@given(task_datasets())
def test_episode_returns_are_sums_over_each_episode(data: TaskDataset) -> None:
    offsets = data.episode_offsets.tolist()
    sums = [sum(data.rewards[a:b].double().tolist()) for a, b in pairwise(offsets)]
    scale = float(data.rewards.abs().max())
    assert data.episode_returns().shape == (len(offsets) - 1,)
    torch.testing.assert_close(
        data.episode_returns(), torch.tensor(sums, dtype=torch.float32), rtol=1e-6, atol=1e-6 * scale
    )


def test_episode_returns_do_not_lose_small_episodes_after_large_ones() -> None:
    data = replace(make_dataset([2, 2], [True, False], 1, 1), rewards=torch.tensor([1e8, 1e8, 0.25, 0.5]))
    assert data.episode_returns().tolist() == [2e8, 0.75]


@given(st.integers(1, 4), st.integers(1, 3), st.lists(st.integers(1, 4), max_size=3), SEEDS)
def test_unpack_is_the_inverse_of_pack(o: int, a: int, lead: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sizes = [[o], [a], [], [o], []]
    batch = Batch(*(torch.randn(*lead, 5, *size, generator=generator) for size in sizes))
    rows = to_rows(batch)
    assert rows.shape == (*lead, 5, 2 * o + a + 2)
    for got, expected in zip(from_rows(rows, Spec(o, a)), batch, strict=True):
        assert got.equal(expected)
        assert got.untyped_storage().data_ptr() == rows.untyped_storage().data_ptr()  # views, not copies


@given(task_collections(), SEEDS)
def test_stacking_shuffles_each_tasks_rows_among_themselves(
    collection: tuple[list[TaskDataset], Spec], seed: int
) -> None:
    datasets, spec = collection
    data = stack_tasks(datasets, spec, seed)
    assert data.n_tasks == len(datasets)
    assert data.sizes == tuple(len(d) for d in datasets)
    assert data.starts == tuple(sum(data.sizes[:t]) for t in range(data.n_tasks))
    for t, dataset in enumerate(datasets):
        assert sorted(block(data, t)) == sorted(rows_of(dataset))


@given(task_collections(), SEEDS)
def test_a_task_is_stacked_the_same_way_alone_as_among_others(
    collection: tuple[list[TaskDataset], Spec], seed: int
) -> None:
    datasets, spec = collection
    together = stack_tasks(datasets, spec, seed)
    for t, dataset in enumerate(datasets):
        assert block(stack_tasks([dataset], spec, seed), 0) == block(together, t)


def test_the_seed_decides_the_order() -> None:
    dataset = make_dataset([20], [True], 2, 1)
    orders = [stack_tasks([dataset], Spec(2, 1), seed).rows.tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_stacking_nothing_is_refused() -> None:
    with pytest.raises(DatasetError, match="no datasets"):
        stack_tasks([], Spec(2, 1))


@pytest.mark.parametrize("dims", [(3, 1), (2, 2)])
def test_stacking_a_dataset_of_another_family_is_refused_by_name(dims: tuple[int, int]) -> None:
    good, odd = make_dataset([3], [True], 2, 1, 0), make_dataset([3], [True], *dims, seed=7)
    with pytest.raises(DatasetError, match=rf"task-7: .*\({dims[0]}, {dims[1]}\).*expected \(2, 1\)"):
        stack_tasks([good, odd], Spec(2, 1))


@given(task_collections(min_rows=2), st.floats(0.0, 0.5))
def test_a_split_parts_every_tasks_rows_and_copies_none(
    collection: tuple[list[TaskDataset], Spec], fraction: float
) -> None:
    data = stack_tasks(*collection)
    train, held = data.split(fraction)
    for t in range(data.n_tasks):
        assert block(train, t) + block(held, t) == block(data, t)
        assert held.sizes[t] == max(1, int(data.sizes[t] * fraction))
    assert train.rows is data.rows
    assert held.rows is data.rows


@given(task_collections(), st.data())
def test_select_sees_the_chosen_tasks_in_the_order_asked(
    collection: tuple[list[TaskDataset], Spec], draw: st.DataObject
) -> None:
    data = stack_tasks(*collection)
    index = draw.draw(st.lists(st.integers(0, data.n_tasks - 1), min_size=1, max_size=5))
    chosen = data.select(index)
    assert chosen.rows is data.rows
    assert [block(chosen, i) for i in range(len(index))] == [block(data, t) for t in index]


@given(task_collections(min_rows=2), st.lists(st.integers(1, 4), min_size=1, max_size=3), SEEDS)
def test_samples_have_their_shape_and_are_rows_of_their_own_task(
    collection: tuple[list[TaskDataset], Spec], shape: list[int], seed: int
) -> None:
    datasets, spec = collection
    data, _ = stack_tasks(datasets, spec).split(0.3)
    batch = data.sample(streams(data.n_tasks, seed), *shape)
    assert batch.observations.shape == (data.n_tasks, *shape, spec.observation_dim)
    assert batch.actions.shape == (data.n_tasks, *shape, spec.action_dim)
    assert batch.rewards.shape == batch.terminations.shape == (data.n_tasks, *shape)
    rows = to_rows(batch).flatten(1, -2)
    for t in range(data.n_tasks):
        assert set(map(tuple, rows[t].tolist())) <= set(block(data, t))


@given(task_collections(), SEEDS)
def test_a_task_is_sampled_the_same_way_alone_as_among_others(
    collection: tuple[list[TaskDataset], Spec], seed: int
) -> None:
    data = stack_tasks(*collection)
    together = to_rows(data.sample(streams(data.n_tasks, seed), 8))
    for t in range(data.n_tasks):
        alone = data.select([t]).sample(Streams.seeded([derive_seed(seed, t)]), 8)
        assert to_rows(alone)[0].equal(together[t])


def test_sampling_reaches_every_row_about_equally_often() -> None:
    data = stack_tasks([make_dataset([4], [True], 1, 1, 0), make_dataset([3, 5], [True, False], 1, 1, 1)], Spec(1, 1))
    rows = to_rows(data.sample(streams(2), 8000))
    for t in range(2):
        counts = [int((rows[t] == torch.tensor(row)).all(-1).sum()) for row in block(data, t)]
        expected = 8000 / data.sizes[t]
        assert all(abs(count - expected) < 5 * expected**0.5 for count in counts)


@given(task_collections(), st.integers(1, 40))
def test_first_gives_every_task_equally_many_of_its_first_rows(
    collection: tuple[list[TaskDataset], Spec], count: int
) -> None:
    data = stack_tasks(*collection)
    rows = to_rows(data.first(count))
    assert rows.shape[:2] == (data.n_tasks, min(count, *data.sizes))
    for t in range(data.n_tasks):
        assert [tuple(row) for row in rows[t].tolist()] == block(data, t)[: rows.shape[1]]
