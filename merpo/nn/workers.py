"""Groups of tasks, one after the other or in threads: tasks are independent, so their results do not depend on it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, final

from merpo.lazy import torch
from merpo.nn.packed import leaves
from merpo.nn.params import weights
from merpo.types import Params

__all__ = ["Workers", "fitting", "groups", "workers"]

Part = TypeVar("Part")
Result = TypeVar("Result")

CACHE = 1 << 21  # numbers of one layer's activations beyond which a group of tasks no longer stays in the cache: 8 MB


@final
class Workers:
    """`count` threads that share out what is independent; one does it itself."""

    def __init__(self, count: int, pool: ThreadPoolExecutor | None = None) -> None:
        self.count = count
        self._pool = pool
        self._kept: dict[Hashable, Any] = {}

    def keep(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """What `make` gave when it was first asked for under this key, kept as long as the threads are."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[no-any-return]

    def map(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """`work` of every part, in order."""
        if self._pool is None or len(parts) == 1:
            return [work(part) for part in parts]
        return list(self._pool.map(work, parts))


@contextmanager
def workers(count: int) -> Iterator[Workers]:
    """Threads that live inside the block; they run at once, as PyTorch lets go of Python's lock in its operations."""
    if count == 1:
        yield Workers(1)
        return
    with ThreadPoolExecutor(count, "merpo", _begin) as pool:
        yield Workers(count, pool)


def _begin() -> None:
    """A worker computes as the thread that started it does in `merpo.support.machine`."""
    torch.set_flush_denormal(True)


def groups(tasks: int, size: int, workers: int = 1) -> list[range]:
    """Tasks 0 to `tasks` - 1 in groups of at most `size`, equally large but for one task, and as many for each worker.

    As few as there can be, and never an empty one.
    """
    count = -(-tasks // max(1, size))
    count = max(1, min(tasks, -(-count // workers) * workers))
    return [range(tasks * i // count, tasks * (i + 1) // count) for i in range(count)]


def fitting(params: Params, dims: int, rows: int) -> int:
    """How many tasks at a time stay in the cache, if each has networks like `params` [*dims, ...] and so many rows."""
    held = [leaf for leaf in leaves(weights(params)).values() if leaf.dim() > dims]
    widest = max((leaf.shape[:dims].numel() * leaf.shape[-1] for leaf in held), default=1)
    return max(1, CACHE // (widest * rows))
