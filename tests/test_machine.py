"""merpo.machine: a recipe's number of threads holds inside the block only."""

from __future__ import annotations

import pytest
import torch

from merpo.machine import machine


@pytest.mark.parametrize("count", [None, 1, 2])
def test_threads_hold_inside_and_are_restored_outside(count: int | None) -> None:
    before = torch.get_num_threads()
    with machine(count):
        assert torch.get_num_threads() == (before if count is None else count)
    assert torch.get_num_threads() == before


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), machine(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_tiny_numbers_are_zero_inside_and_themselves_outside() -> None:
    tiny = torch.tensor([1e-40])
    with machine(None):
        assert float(tiny * 0.5) == 0.0
    assert float(tiny * 0.5) > 0.0
