"""merpo.threads: a recipe's number of threads holds inside the block only."""

from __future__ import annotations

import pytest
import torch

from merpo.threads import threads


@pytest.mark.parametrize("count", [None, 1, 2])
def test_threads_hold_inside_and_are_restored_outside(count: int | None) -> None:
    before = torch.get_num_threads()
    with threads(count):
        assert torch.get_num_threads() == (before if count is None else count)
    assert torch.get_num_threads() == before


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
