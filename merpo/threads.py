"""How many threads PyTorch uses while a recipe runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from merpo.lazy import torch

__all__ = ["threads"]


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """PyTorch with `count` threads inside the block, and as before after it; None changes nothing."""
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
