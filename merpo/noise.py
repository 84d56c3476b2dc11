"""Random numbers per task: one generator each, so that a task draws the same numbers alone as among others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import final

from merpo.lazy import torch

__all__ = ["Streams", "derive_seed"]


def derive_seed(*labels: object) -> int:
    """A 63-bit seed from any labels, e.g. `derive_seed(seed, "meta-policy", 3)`; other labels, other streams."""
    digest = hashlib.sha256("\x1f".join(map(str, labels)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


@final
class Streams:
    """T independent generators; every draw is [T, *shape], slice t from generator t alone."""

    def __init__(self, generators: Sequence[torch.Generator], device: torch.device | str = "cpu") -> None:
        self.generators = list(generators)
        self.device = torch.device(device)

    @staticmethod
    def seeded(seeds: Iterable[int], device: torch.device | str = "cpu") -> Streams:
        """One CPU generator per seed; draws are moved to `device`, so that results do not depend on it."""
        return Streams([torch.Generator().manual_seed(seed) for seed in seeds], device)

    def __len__(self) -> int:
        return len(self.generators)

    def select(self, index: torch.Tensor) -> Streams:
        """The streams of some tasks; they go on where they were (nothing is copied)."""
        return Streams([self.generators[i] for i in index.tolist()], self.device)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers [T, *shape]."""
        return self._filled(torch.empty(len(self), *shape), lambda row, t: row.normal_(generator=self.generators[t]))

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform numbers in [0, 1), [T, *shape]."""
        return self._filled(torch.empty(len(self), *shape), lambda row, t: row.uniform_(generator=self.generators[t]))

    def integers(self, high: int | Sequence[int], *shape: int) -> torch.Tensor:
        """Integers in [0, high), or [0, high[t]) for task t, [T, *shape]."""
        highs = [high] * len(self) if isinstance(high, int) else list(high)
        rows = torch.empty(len(self), *shape, dtype=torch.int64)
        return self._filled(rows, lambda row, t: row.random_(0, highs[t], generator=self.generators[t]))

    def permutation(self, n: int) -> torch.Tensor:
        """The numbers 0 to n - 1 in random order, [T, n]."""
        return torch.stack([torch.randperm(n, generator=g) for g in self.generators]).to(self.device)

    def _filled(self, rows: torch.Tensor, draw: Callable[[torch.Tensor, int], object]) -> torch.Tensor:
        for t, row in enumerate(rows.unbind()):
            draw(row, t)
        return rows.to(self.device)

    def state(self) -> torch.Tensor:
        """All generators' states [T, bytes], for a checkpoint."""
        return torch.stack([g.get_state() for g in self.generators])

    def restore(self, state: torch.Tensor) -> None:
        """Go on from a state that `state` gave."""
        for generator, row in zip(self.generators, state, strict=True):
            generator.set_state(row.cpu().clone())  # a view into `state` crashes torch 2.13 (storage offset)
