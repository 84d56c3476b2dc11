"""Matrices that are changed in their own memory are what a copy would be, and those of a user stay as they are."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.data.columns import Columns
from merpo.data.from_arrays import from_arrays
from merpo.data.reading import in_place
from merpo.data.reading.choices import Choices
from merpo.data.reading.float32 import to_float32
from merpo.data.reading.in_place import blocks, compacted, halved
from merpo.data.reading.layout import Episodes
from merpo.data.reading.transitions import read_arrays
from merpo.errors import DatasetError

Order = Literal["C", "F"]
ORDERS: list[Order] = ["C", "F"]
SIZES = {"rows": st.integers(1, 300), "width": st.integers(1, 7), "order": st.sampled_from(ORDERS)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_place, "BLOCK", 32)


def matrix(rows: int, width: int, order: Order, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    return np.asarray(random.normal(size=(rows, width)) * 10.0 ** random.integers(-50, 50, width), order=order)


@given(**SIZES, subtract=st.booleans())
def test_half_the_memory_holds_what_a_copy_would(rows: int, width: int, order: Order, subtract: bool) -> None:
    array = matrix(rows, width, order)
    offsets = np.linspace(1, 2, width) if subtract else None
    expected = to_float32(array.copy(), offsets)
    made, room = halved(array, offsets)
    room[...] = -1.0
    np.testing.assert_array_equal(made, expected)
    assert made.flags.c_contiguous
    assert room.flags.c_contiguous
    assert room.shape == made.shape
    assert np.shares_memory(made, array)
    assert np.shares_memory(room, array)
    assert not np.shares_memory(made, room)


@given(**SIZES, data=st.data())
def test_rows_move_to_the_beginning(rows: int, width: int, order: Order, data: st.DataObject) -> None:
    array = matrix(rows, width, order)
    keep = np.asarray(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    expected = array[keep]
    found = compacted(array, np.flatnonzero(keep))
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous or found.flags.f_contiguous
    assert np.shares_memory(found, array) or not keep.any()


@given(st.integers(0, 1000), st.integers(1, 100))
def test_blocks_cover_all_rows(rows: int, width: int) -> None:
    assert [i for block in blocks(rows, width) for i in range(rows)[block]] == list(range(rows))


CHOICES: list[dict[str, Any]] = [
    {}, {"gaps": "hold", "missing": (0.5,)}, {"gaps": "drop", "missing": (0.5,)}, {"subtract": 2.0}, {"leave_out": [1]},
]  # fmt: skip


@pytest.mark.parametrize("choices", CHOICES)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("followed", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_arrays_of_a_user_are_not_changed(choices: dict[str, Any], kind: Any, followed: bool, order: Order) -> None:
    """What is made of them is the same as what is made in the memory of merpo's own."""
    random, rows = np.random.default_rng(0), 60
    seen = np.asarray(random.normal(size=(rows + 1, 3)).astype(kind), order=order)
    seen[25, 1] = 0.5
    ends = np.arange(rows) % 20 == 19
    given = {"observations": seen[:-1].copy(order), "actions": random.uniform(-1, 1, (rows, 2)).astype(kind)}
    given |= {"rewards": random.normal(size=rows), "terminations": ends}
    given |= {"next_observations": seen[1:].copy(order)} if followed else {}
    before = {key: value.copy() for key, value in given.items()}
    data = from_arrays(**given, **choices, note=lambda text: None)
    for key, value in before.items():
        np.testing.assert_array_equal(given[key], value)
    own = read_arrays(given, Choices(**choices), own=True).data
    for key in ("observations", "next_observations", "actions", "rewards"):
        assert getattr(own, key).equal(getattr(data, key)), key


def test_a_table_of_a_user_is_not_changed() -> None:
    """Two columns are joined in memory of their own, and the matrix beside them is the user's."""
    rows = 20
    table = {name: np.linspace(0, 1, rows) for name in ("x", "y", "actions", "rewards")}
    table["next_observations"] = np.zeros((rows, 2))
    table["next_observations"][:] = 1 / 3
    columns = Columns(observations=("x", "y"))
    data = columns.dataset(table, "a", {}, "a")
    assert data.next_observations[0, 0] == np.float32(1 / 3)
    assert (table["next_observations"] == 1 / 3).all()


@pytest.mark.parametrize("told", [0, 1, 7, 24, 1000])
def test_a_wrong_number_of_rows_is_only_a_guess(told: int) -> None:
    """The episodes are read all the same, whatever their metadata say; also where a later one has another precision."""
    random = np.random.default_rng(0)
    episodes = [
        {
            "observations": random.normal(size=(length + 1, 2)).astype(kind),
            "actions": np.zeros((length, 1)),
            "rewards": random.normal(size=length),
        }
        for length, kind in ((3, np.float32), (8, np.float64), (2, np.float32))
    ]
    data = read_arrays(Episodes(iter(episodes), told), Choices()).data
    assert data.episode_offsets.tolist() == [0, 3, 11, 13]
    expected = np.concatenate([one["observations"][:-1] for one in episodes]).astype(np.float32)
    np.testing.assert_array_equal(data.observations.numpy(), expected)
    assert data.rewards.tolist() == np.concatenate([one["rewards"] for one in episodes]).astype(np.float32).tolist()
    episodes[1]["observations"] = np.zeros((9, 3))
    with pytest.raises(DatasetError, match=r"episodes differ in their dimensions \(observations .* in episode 1"):
        read_arrays(Episodes(iter(episodes), told), Choices())
