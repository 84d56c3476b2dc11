"""Random streams: one generator per task, so that a task's random numbers do not depend on other tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, final

from merpo.lazy import torch

__all__ = ["Draw", "Streams", "derive_seed"]

Draw: TypeAlias = "Callable[[Sequence[torch.Generator]], torch.Tensor]"


def derive_seed(*labels: object) -> int:
    """A 63-bit seed from any labels, e.g. `derive_seed(seed, "meta-policy", 3)`; different labels, different seeds."""
    digest = hashlib.sha256("\x1f".join(map(str, labels)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


@final
class Streams:
    """T independent generators; every draw is [T, *shape], with slice t from generator t only."""

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        device: torch.device | str = "cpu",
        source: Callable[[Draw], torch.Tensor] | None = None,
    ) -> None:
        self.generators = list(generators)
        self.device = torch.device(device)
        self._source = source  # returns draws made in advance

    @staticmethod
    def seeded(seeds: Iterable[int], device: torch.device | str = "cpu") -> Streams:
        """Streams with one CPU generator per seed; draws are moved to `device`, so that they do not depend on it."""
        return Streams([torch.Generator().manual_seed(seed) for seed in seeds], device)

    def __len__(self) -> int:
        return len(self.generators)

    def select(self, index: torch.Tensor) -> Streams:
        """The streams of some tasks, sharing their generators (nothing is copied)."""
        return Streams([self.generators[i] for i in index.tolist()], self.device)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers [T, *shape]."""
        return self._numbers(shape, lambda row, t, g: row.normal_(generator=g))

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform numbers in [0, 1), [T, *shape]."""
        return self._numbers(shape, lambda row, t, g: row.uniform_(generator=g))

    def integers(self, high: int | Sequence[int], *shape: int, offset: int | Sequence[int] = 0) -> torch.Tensor:
        """Integers in [0, high), or [0, high[t]) for task t, plus `offset` or offset[t]: [T, *shape]."""

        def draw(row: torch.Tensor, t: int, generator: torch.Generator) -> object:
            # bounds are read at draw time: a repeated step may change the lists for other tasks
            count, first = (bound if isinstance(bound, int) else bound[t] for bound in (high, offset))
            return row.random_(first, first + count, generator=generator)

        return self._numbers(shape, draw, torch.int64)

    def permutation(self, n: int) -> torch.Tensor:
        """The numbers 0 to n - 1 in random order, [T, n]."""
        return self._drawn(lambda generators: torch.stack([torch.randperm(n, generator=g) for g in generators]))

    def subsets(self, sizes: Sequence[int], count: int) -> torch.Tensor:
        """`count` of the numbers 0 to sizes[t] - 1 in random order, [T, count].

        No number repeats before all of the task's numbers have been drawn. Independent of the other tasks' sizes.
        """

        def draw(generators: Sequence[torch.Generator]) -> torch.Tensor:
            rows = []
            for size, generator in zip(sizes, generators, strict=True):
                rounds = [torch.randperm(size, generator=generator) for _ in range(-(-count // size))]
                rows.append(torch.cat(rounds)[:count])
            return torch.stack(rows)

        return self._drawn(draw)

    def _numbers(
        self,
        shape: tuple[int, ...],
        draw: Callable[[torch.Tensor, int, torch.Generator], object],
        dtype: torch.dtype | None = None,
    ) -> torch.Tensor:
        """Rows [T, *shape], each filled by its task's generator."""

        def rows(generators: Sequence[torch.Generator]) -> torch.Tensor:
            numbers = torch.empty(len(generators), *shape, dtype=dtype)
            for t, (row, generator) in enumerate(zip(numbers.unbind(), generators, strict=True)):
                draw(row, t, generator)
            return numbers

        return self._drawn(rows)

    def _drawn(self, draw: Callable[[Sequence[torch.Generator]], torch.Tensor]) -> torch.Tensor:
        return draw(self.generators).to(self.device) if self._source is None else self._source(draw)

    def state(self) -> torch.Tensor:
        """All generators' states [T, bytes], for a checkpoint."""
        return torch.stack([g.get_state() for g in self.generators])

    def restore(self, state: torch.Tensor) -> None:
        """Set the generators to a state from `state`."""
        for generator, row in zip(self.generators, state, strict=True):
            generator.set_state(row.cpu().clone())  # a view into `state` crashes torch 2.13 (storage offset)
