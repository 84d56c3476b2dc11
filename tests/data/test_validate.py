"""merpo.data.validate: data that cannot be trained on is refused by name, before any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import make_dataset, task_collections, task_datasets

from merpo.data.dataset import TaskDataset
from merpo.data.validate import ARRAYS, check_dataset, check_datasets
from merpo.errors import DatasetError
from merpo.types import Spec

GOOD = make_dataset([2, 3], [True, False], 2, 1, seed=3)


def changed(key: str, index: tuple[int, ...], value: float) -> TaskDataset:
    array = getattr(GOOD, key).clone()
    array[index] = value
    return replace(GOOD, **{key: array})


@given(task_collections())
def test_good_data_passes(collection: tuple[list[TaskDataset], Spec]) -> None:
    datasets, _ = collection
    check_datasets(datasets, batch_size=min(len(d) for d in datasets))


def test_no_data_is_refused() -> None:
    with pytest.raises(DatasetError, match="no datasets"):
        check_datasets([], 1)


@given(task_datasets(), st.data())
def test_a_number_that_is_not_finite_is_found_wherever_it_is(data: TaskDataset, draw: st.DataObject) -> None:
    key = draw.draw(st.sampled_from(["observations", "actions", "rewards", "next_observations"]))
    value = draw.draw(st.sampled_from([float("nan"), float("inf"), -float("inf")]))
    array = getattr(data, key).clone()
    row = draw.draw(st.integers(0, len(array) - 1))
    array[row : row + 2].view(-1)[-1] = value
    bad = replace(data, **{key: array})
    place = min(row + 1, len(array) - 1)
    with pytest.raises(DatasetError, match=rf"{data.name}: {key} is {value} at row {place}.*1 of {len(array)} rows"):
        check_datasets([bad], 1)


def test_the_first_bad_row_is_named_and_all_are_counted() -> None:
    observations = GOOD.observations.clone()
    observations[2:, 1] = float("nan")
    message = r"task-3: observations is nan at row 2, column 1, expected a finite number; 3 of 5 rows affected"
    with pytest.raises(DatasetError, match=message):
        check_dataset(replace(GOOD, observations=observations))


@pytest.mark.parametrize("action", [1.0 + 1e-4, -1.5, 100.0])
def test_actions_outside_the_box_are_refused(action: float) -> None:
    with pytest.raises(
        DatasetError, match=r"task-3: actions is -?[\d.]+ at row 4, column 0, expected within \[-1, 1\]"
    ):
        check_dataset(changed("actions", (4, 0), action))


@pytest.mark.parametrize("action", [1.0, -1.0, 1.0 + 5e-6])
def test_actions_on_the_edge_of_the_box_are_not(action: float) -> None:
    check_dataset(changed("actions", (4, 0), action))


@pytest.mark.parametrize("dims", [(3, 1), (2, 2)])
def test_tasks_with_different_spaces_are_named(dims: tuple[int, int]) -> None:
    with pytest.raises(DatasetError, match=rf"task-9: .*\({dims[0]}, {dims[1]}\), but task-3 has \(2, 1\)"):
        check_datasets([GOOD, make_dataset([5], [True], *dims, seed=9)], 1)


def test_fewer_transitions_than_a_batch_are_refused() -> None:
    check_datasets([GOOD], 5)
    with pytest.raises(DatasetError, match="task-3: 5 transitions, fewer than a batch of 6"):
        check_datasets([GOOD], 6)


def test_an_empty_dataset_is_refused() -> None:
    arrays = {key: getattr(GOOD, key)[:0] for key in ARRAYS}
    with pytest.raises(DatasetError, match="task-3: is empty"):
        check_dataset(replace(GOOD, **arrays))


OFFSETS: list[tuple[list[int], str]] = [
    ([], "begin and end at none"),
    ([0], r"begin and end at \(0, 0\), expected \(0, 5\)"),
    ([1, 5], r"\(1, 5\), expected \(0, 5\)"),
    ([0, 2, 6], r"\(0, 6\), expected \(0, 5\)"),
    ([0, 2, 2, 5], "do not increase at episode 1"),
    ([0, 4, 2, 5], "do not increase at episode 1"),
    ([0, -3, 5], "do not increase at episode 0"),
    ([0, 5], "terminations is 1.0 at row 1, expected 0.0 before the end of the episode"),
]


@pytest.mark.parametrize(("offsets", "message"), OFFSETS)
def test_offsets_must_cover_the_rows(offsets: list[int], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        check_dataset(replace(GOOD, episode_offsets=torch.tensor(offsets, dtype=torch.int64)))


@pytest.mark.parametrize("key", ["terminations", "truncations"])
@pytest.mark.parametrize("value", [0.5, -1.0, float("nan")])
def test_flags_are_zero_or_one(key: str, value: float) -> None:
    with pytest.raises(DatasetError, match=f"{key} is {value} at row 4, expected 0.0 or 1.0"):
        check_dataset(changed(key, (4,), value))


LAYOUTS: list[tuple[str, Callable[[torch.Tensor], torch.Tensor], str]] = [
    ("rewards", torch.Tensor.double, "rewards is torch.float64, expected torch.float32"),
    ("episode_offsets", torch.Tensor.int, "episode_offsets is torch.int32, expected torch.int64"),
    ("rewards", lambda x: x[:, None], r"rewards has shape \(5, 1\), expected 1 dim"),
    ("actions", lambda x: x[:-1], r"actions has shape \(4, 1\), expected \(5, 1\)"),
    ("next_observations", lambda x: x[:, :1], r"next_observations has shape \(5, 1\), expected \(5, 2\)"),
    ("truncations", lambda x: x[1:], r"truncations has shape \(4,\), expected \(5,\)"),
    ("actions", lambda x: x[:, :0], r"dims are \(2, 0\), expected at least 1"),
]


@pytest.mark.parametrize(("key", "change", "message"), LAYOUTS)
def test_arrays_of_another_layout_are_refused(
    key: str, change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    with pytest.raises(DatasetError, match=f"task-3: .*{message}"):
        check_dataset(replace(GOOD, **{key: change(getattr(GOOD, key))}))


def test_blame_goes_where_the_caller_says() -> None:
    with pytest.raises(DatasetError, match=r"^some/file: actions"):
        check_dataset(changed("actions", (0, 0), 2.0), "some/file")
