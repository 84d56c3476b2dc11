"""Groups of tasks, processed in sequence or in threads; results do not depend on the grouping."""

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

CACHE = 1 << 21  # numbers in one layer's activations of a group of tasks that fit in the cache: 8 MB


@final
class Workers:
    """A pool of `count` threads for independent groups of tasks; with one, the calling thread is used."""

    def __init__(self, count: int, pool: ThreadPoolExecutor | None = None) -> None:
        self.count = count
        self._pool = pool
        self._cache: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """The result of `make`, called once per key and cached for the lifetime of the pool."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]  # type: ignore[no-any-return]

    def map(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """The results of `work` for every part, in order."""
        if self._pool is None or len(parts) == 1:
            return [work(part) for part in parts]
        return list(self._pool.map(work, parts))


@contextmanager
def worker_pool(count: int) -> Iterator[Workers]:
    """A pool of threads for the duration of the block; they run in parallel, as PyTorch releases Python's GIL."""
    if count == 1:
        yield Workers(1)
        return
    with ThreadPoolExecutor(count, "merpo", _init_thread) as pool:
        yield Workers(count, pool)


def _init_thread() -> None:
    """Flush denormal numbers to zero in each thread, as `merpo.support.machine` does in the main thread."""
    torch.set_flush_denormal(True)


def groups(tasks: int, size: int, workers: int = 1) -> list[range]:
    """Tasks 0 to `tasks` - 1 in groups of at most `size`, the same number of groups for each worker.

    As few groups as possible, none empty, with sizes that differ by at most one.
    """
    count = -(-tasks // max(1, size))
    count = max(1, min(tasks, -(-count // workers) * workers))
    return [range(tasks * i // count, tasks * (i + 1) // count) for i in range(count)]


def tasks_per_cache(params: Params, dims: int, rows: int) -> int:
    """The number of tasks whose activations fit in the cache, with networks like `params` [*dims, ...] on `rows`."""
    tensors = [leaf for leaf in leaves(weights(params)).values() if leaf.dim() > dims]
    widest = max((leaf.shape[:dims].numel() * leaf.shape[-1] for leaf in tensors), default=1)
    return max(1, CACHE // (widest * rows))
