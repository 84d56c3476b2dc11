"""Groups of tasks in order or in threads; tasks are independent, so that results do not depend on the grouping."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, final

from merpo.lazy import torch
from merpo.nn.packed import leaves
from merpo.nn.params import weights
from merpo.types import Params

__all__ = ["Workers", "groups", "tasks_per_cache", "worker_pool"]

Part = TypeVar("Part")
Result = TypeVar("Result")

CACHE = 1 << 21  # numbers of one layer's activations beyond which a group of tasks no longer stays in the cache: 8 MB


@final
class Workers:
    """A pool of `count` threads for independent groups of tasks; with one, the calling thread does the work."""

    def __init__(self, count: int, pool: ThreadPoolExecutor | None = None) -> None:
        self.count = count
        self._pool = pool
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """The result of the first `make` under this key, for as long as the pool lives."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[no-any-return]

    def map(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """`work` of every part, in order."""
        if self._pool is None or len(parts) == 1:
            return [work(part) for part in parts]
        return list(self._pool.map(work, parts))


@contextmanager
def worker_pool(count: int) -> Iterator[Workers]:
    """Threads for the duration of the block; PyTorch releases Python's lock, so that they run in parallel."""
    if count == 1:
        yield Workers(1)
        return
    with ThreadPoolExecutor(count, "merpo", _begin) as pool:
        yield Workers(count, pool)


def _begin() -> None:
    """Set in each thread what `merpo.support.machine` sets in the main one."""
    torch.set_flush_denormal(True)


def groups(tasks: int, size: int, workers: int = 1) -> list[range]:
    """Tasks 0 to `tasks` - 1 in groups of at most `size`, equally large but for one task, and as many for each worker.

    As few as there can be, and never an empty one.
    """
    count = -(-tasks // max(1, size))
    count = max(1, min(tasks, -(-count // workers) * workers))
    return [range(tasks * i // count, tasks * (i + 1) // count) for i in range(count)]


def tasks_per_cache(params: Params, dims: int, rows: int) -> int:
    """The number of tasks whose activations fit in the cache, with networks like `params` [*dims, ...] on `rows`."""
    held = [leaf for leaf in leaves(weights(params)).values() if leaf.dim() > dims]
    widest = max((leaf.shape[:dims].numel() * leaf.shape[-1] for leaf in held), default=1)
    return max(1, CACHE // (widest * rows))
