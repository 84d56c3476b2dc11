"""Layouts of arrays: images and matrices are refused by name unless they are flattened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merpo.data.columns import Columns, changed
from merpo.data.from_arrays import from_arrays
from merpo.errors import DatasetError

SHAPES = st.sampled_from([(8, 8), (4, 4, 3), (3, 2, 2), (2, 2, 2, 2)])
DTYPES = st.sampled_from([np.uint8, np.uint16, np.float32, np.float64])


def steps(rows: int) -> dict[str, Any]:
    return {"actions": np.zeros((rows, 1)), "rewards": np.zeros(rows)}


@given(shape=SHAPES, dtype=DTYPES, rows=st.integers(3, 6), as_list=st.booleans(), followed=st.booleans())
def test_images_are_refused_by_name_or_flattened(
    shape: tuple[int, ...], dtype: type, rows: int, as_list: bool, followed: bool
) -> None:
    images = np.arange(rows * int(np.prod(shape))).reshape(rows, *shape).astype(dtype)
    given_ = list(images) if as_list else images
    arrays = {"observations": given_, **steps(rows), **({"next_observations": given_} if followed else {})}
    size = int(np.prod(shape))
    with pytest.raises(DatasetError, match=f"observations has shape .*no encoder.*flatten = true.* {size} numbers"):
        from_arrays(**arrays)
    data = from_arrays(**arrays, flatten=True, note=lambda _: None)
    assert data.observations.shape == (rows - (not followed), size)
    np.testing.assert_array_equal(data.observations[1], images[1].ravel().astype(np.float32))


def test_unsigned_integers_with_rows_and_columns_are_called_images() -> None:
    with pytest.raises(DatasetError, match="its rows are images of 8 x 8 x 3 uint8, for which merpo has no encoder"):
        from_arrays(np.zeros((4, 8, 8, 3), np.uint8), **steps(4))


def test_images_by_episode_are_flattened_too() -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, 4, 3, 3)).astype(np.uint8)
    block = {"actions": np.zeros((2, 3, 1)), "rewards": np.zeros((2, 3))}
    with pytest.raises(DatasetError, match=r"episode 0: observations has shape .*no encoder"):
        from_arrays(images, **block)
    data = from_arrays(images, **block, flatten=True)
    np.testing.assert_array_equal(data.next_observations, images[:, 1:].reshape(6, 9))


def test_a_vector_of_bytes_is_no_image() -> None:
    data = from_arrays(np.full((4, 128), 255, np.uint8), **steps(4), note=lambda _: None)
    assert data.observations.unique().tolist() == [255.0]


def test_a_files_images_are_refused_by_name() -> None:
    table = {"obs": np.zeros((4, 8, 8, 3), np.uint8), "action": np.zeros(4), "reward": np.zeros(4)}
    with pytest.raises(DatasetError, match=r"^a.npz: observations has shape .*; observations is 'obs' there"):
        Columns().read(table, "a.npz", {}, "a")
    assert changed(Columns(), "c", {"flatten": True}).read(table, "a", {}, "a").data.observations.shape == (3, 192)


def test_an_episode_that_is_left_out_may_hold_anything() -> None:
    whole = {"observations": [np.ones((3, 2)), "broken", np.zeros((4, 2))], "actions": [np.zeros(2), None, np.zeros(3)],
             "rewards": [np.zeros(2), 7, np.zeros(3)]}  # fmt: skip
    data = from_arrays(**whole, leave_out=[1])
    assert data.episode_offsets.tolist() == [0, 2, 5]
    with pytest.raises(DatasetError, match="no episode 3 to leave out, expected a number from 0 to 2"):
        from_arrays(**whole, leave_out=[3])
    with pytest.raises(DatasetError, match="all of its 3 episodes are left out"):
        from_arrays(**whole, leave_out=range(3))


def test_episodes_that_flags_tell_are_left_out_by_their_numbers() -> None:
    flags = np.array([0, 0, 1, 0, 0, 1, 0, 0])
    rows = {"observations": np.arange(8.0), "actions": np.zeros(8), "rewards": np.array([0, 0, 0, np.nan] + [0.0] * 4)}
    data = from_arrays(**rows, terminations=flags, leave_out=[1], note=lambda _: None)
    assert data.observations[:, 0].tolist() == [0, 1, 2, 6]
    with pytest.raises(DatasetError, match=r"rewards is nan at row 3, .*a missing value"):
        from_arrays(**rows, terminations=flags, leave_out=[2])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_is_refused_by_name() -> None:
    nested = torch.nested.nested_tensor([torch.zeros(3, 2), torch.zeros(4, 2)])
    with pytest.raises(DatasetError, match=r"observations is a nested tensor, expected a list of tensors"):
        from_arrays(nested, np.zeros((7, 1)), np.zeros(7))
