"""Random numbers that are drawn before a step, into tensors that stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from merpo.lazy import torch
from merpo.nn.noise import Draw

__all__ = ["Ahead"]


@final
class Ahead:
    """All draws of a step, in order; a step must ask for the same ones each time, as Algorithm 1's does.

    What a CUDA graph has recorded reads from where it read when it was recorded, and a generator on the CPU cannot be
    part of it. So a step is done once with `learn`, which notes what it asks for; from then on `fill` draws all of it.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._draws: list[Draw] = []
        self._held: list[torch.Tensor] = []
        self._generators: Sequence[torch.Generator] | None = None  # while it learns
        self._next = 0

    def learn(self, generators: Sequence[torch.Generator]) -> None:
        """Note from now on what is asked for, and draw it from `generators`."""
        self._draws, self._held, self._generators = [], [], generators

    def fill(self, generators: Sequence[torch.Generator]) -> None:
        """Draw all that the next step will ask for: the same numbers, in the same order, as it would."""
        self._generators, self._next = None, 0
        for draw, held in zip(self._draws, self._held, strict=True):
            held.copy_(draw(generators))

    def again(self) -> None:
        """The numbers that are there once more, from the first."""
        self._generators, self._next = None, 0

    def next(self, draw: Draw) -> torch.Tensor:
        """What was drawn for this request, in the same tensor each time; raises `IndexError` for one too many."""
        if self._generators is not None:
            self._draws.append(draw)
            self._held.append(draw(self._generators).to(self._device))
            return self._held[-1]
        self._next += 1
        return self._held[self._next - 1]
