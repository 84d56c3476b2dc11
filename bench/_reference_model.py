"""The steps of Eq. (4) for one task in the usual style: a module per member, or one ensemble module per task."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from _networks import MLP, EnsembleMLP, Fields, Scales, nll
from torch import nn

from merpo.components.task_data import TaskData
from merpo.types import Batch, Params

__all__ = ["Draws", "fit_ensemble", "fit_modules"]

Fitted = tuple[Params, float]  # θ_n [member, ...], and the seconds that the steps took


class Draws:
    """One task's rows, and the same batches as `TaskData.sample` with the same seed."""

    def __init__(self, data: TaskData, t: int, seed: int) -> None:
        self.fields = Fields(data.rows[data.starts[t] : data.starts[t] + data.sizes[t]], data.spec)
        self.generator = torch.Generator().manual_seed(seed)

    def indices(self, *shape: int) -> np.ndarray:
        """Row numbers."""
        return torch.randint(len(self.fields), shape, generator=self.generator).numpy()


def fit_modules(phi: Params, draws: Draws, steps: int, batch: int, lr: float, eta: float) -> Fitted:
    """Fit with a separate module and Adam for every member, one after the other."""
    scales, members = Scales.of(phi), len(phi["w0"])
    weights = {key: value for key, value in phi.items() if not key.startswith("stat.")}
    nets = [MLP({key: value[i] for key, value in weights.items()}, nn.SiLU) for i in range(members)]
    adams = [torch.optim.Adam(net.parameters(), lr) for net in nets]
    centres = [[parameter.detach().clone() for parameter in net.parameters()] for net in nets]
    start = time.perf_counter()
    for _ in range(steps):
        index = draws.indices(members, batch)
        for i, net in enumerate(nets):
            _step(net, adams[i], centres[i], draws.fields.sample(index[i]), scales, eta)
    seconds = time.perf_counter() - start
    found = [net.export() for net in nets]
    return {key: torch.stack([part[key] for part in found]) for key in found[0]}, seconds


def fit_ensemble(phi: Params, draws: Draws, steps: int, batch: int, lr: float, eta: float) -> Fitted:
    """Fit with all members in one module, with one Adam."""
    net, scales, members = EnsembleMLP(phi), Scales.of(phi), len(phi["w0"])
    adam = torch.optim.Adam(net.parameters(), lr)
    centre = [parameter.detach().clone() for parameter in net.parameters()]
    start = time.perf_counter()
    for _ in range(steps):
        _step(net, adam, centre, draws.fields.sample(draws.indices(members, batch)), scales, eta)
    return net.export(), time.perf_counter() - start


def _step(
    net: nn.Module, adam: torch.optim.Adam, centre: list[torch.Tensor], batch: Batch, scales: Scales, eta: float
) -> float:
    """One Adam step on Eq. (4); the members' losses are added, so that each gets its own gradient."""
    loss = nll(net, scales, batch).sum() + eta * sum(_distances(net, centre))
    adam.zero_grad()
    loss.backward()
    adam.step()
    return loss.item()


def _distances(net: nn.Module, centre: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    return ((new - old).square().sum() for new, old in zip(net.parameters(), centre, strict=True))
