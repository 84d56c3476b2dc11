"""One task's networks as ordinary `torch.nn.Module`s filled from merpo's parameters, and its rows in NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from merpo.components.task_data import from_rows
from merpo.nn.policy import LOG_STD, TanhGaussian
from merpo.types import Batch, Params, Spec
from merpo_dynamics.ensemble import LOG_VAR

__all__ = ["MLP", "EnsembleMLP", "Fields", "Ring", "Scales", "distribution", "nll", "soft_clamp"]


def depth(params: Params) -> int:
    """The number of layers."""
    return sum(1 for key in params if key.startswith("w"))


class MLP(nn.Module):
    """One network."""

    def __init__(self, params: Params, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth(params)):
            weight, bias = params[f"w{i}"], params[f"b{i}"]
            linear = nn.Linear(*weight.shape)
            with torch.no_grad():
                linear.weight.copy_(weight.T)  # PyTorch's weights are [out, in]
                linear.bias.copy_(bias)
            layers += [linear, activation()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        return self.layers(inputs)

    def export(self) -> Params:
        """The parameters in merpo's format."""
        linears = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        weights = {f"w{i}": layer.weight.detach().T for i, layer in enumerate(linears)}
        return weights | {f"b{i}": layer.bias.detach() for i, layer in enumerate(linears)}


class EnsembleMLP(nn.Module):
    """All members of an ensemble, one `bmm` per layer, as in PETS, MBPO and OfflineRL-Kit."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        n = depth(params)
        self.weights = nn.ParameterList([nn.Parameter(params[f"w{i}"].detach().clone()) for i in range(n)])
        self.biases = nn.ParameterList([nn.Parameter(params[f"b{i}"].detach()[:, None].clone()) for i in range(n)])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[B, in], the same for all, or [member, B, in] -> [member, B, out]."""
        hidden = inputs.expand(len(self.weights[0]), *inputs.shape[-2:])
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.bmm(hidden, weight) + bias
            if i < len(self.weights) - 1:
                hidden = F.silu(hidden)
        return hidden

    def export(self) -> Params:
        """The parameters in merpo's format."""
        weights = {f"w{i}": weight.detach() for i, weight in enumerate(self.weights)}
        return weights | {f"b{i}": bias.detach()[:, 0] for i, bias in enumerate(self.biases)}


class Scales(NamedTuple):
    """The statistics that standardise one task's model, each [D]."""

    input_mean: torch.Tensor
    input_std: torch.Tensor
    target_mean: torch.Tensor
    target_std: torch.Tensor

    @staticmethod
    def of(params: Params) -> Scales:
        """The scales in one task's parameters of an ensemble."""
        return Scales(*(params[f"stat.{field}"].flatten() for field in Scales._fields))

    def normalised(self, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The normalised inputs of the model's networks."""
        return (torch.cat([observations, actions], dim=-1) - self.input_mean) / self.input_std


def soft_clamp(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and bounded log-variances from a model network's outputs."""
    mean, log_var = outputs.chunk(2, dim=-1)
    low, high = LOG_VAR
    log_var = high - F.softplus(high - log_var)
    return mean, low + F.softplus(log_var - low)


def nll(network: nn.Module, scales: Scales, batch: Batch) -> torch.Tensor:
    """−E_D[log T̂(s', r | s, a)] of one network, or of each of an ensemble [member]."""
    mean, log_var = soft_clamp(network(scales.normalised(batch.observations, batch.actions)))
    targets = torch.cat([batch.next_observations - batch.observations, batch.rewards[..., None]], dim=-1)
    error = (targets - scales.target_mean) / scales.target_std - mean
    each = 0.5 * (error.square() * (-log_var).exp() + log_var + math.log(2 * math.pi)).sum(-1)
    return each.mean(-1) + scales.target_std.log().sum()


def distribution(policy: MLP, observations: torch.Tensor) -> TanhGaussian:
    """π(·|s)."""
    mean, log_std = policy(observations).chunk(2, dim=-1)
    return TanhGaussian(mean, log_std.clamp(*LOG_STD))


class Fields:
    """One task's transitions, an array per field."""

    def __init__(self, rows: torch.Tensor, spec: Spec) -> None:
        self.arrays = [field.numpy().copy() for field in from_rows(rows, spec)]

    def __len__(self) -> int:
        return len(self.arrays[0])

    def sample(self, index: np.ndarray) -> Batch:
        """The rows `index` [...], field by field."""
        return Batch(*(torch.from_numpy(array[index]) for array in self.arrays))


class Ring(Fields):
    """Ring buffer of one task's D_model: the most recent rows."""

    def __init__(self, capacity: int, spec: Spec) -> None:
        super().__init__(torch.zeros(capacity, 2 * spec.observation_dim + spec.action_dim + 2), spec)
        self.written = 0

    def append(self, fields: Sequence[np.ndarray]) -> None:
        """Write rows over the oldest."""
        slots = (self.written + np.arange(len(fields[0]))) % len(self)
        for array, new in zip(self.arrays, fields, strict=True):
            array[slots] = new
        self.written += len(slots)
