"""A model of a walk whose returns are known, and policies with constant actions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from small import SPEC

from merpo.nn.params import stack
from merpo.nn.policy import init_policy
from merpo.types import Params

HORIZON = 5  # the length of the data's episodes


def step(models: Params, spec: Any, observations: Any, actions: Any, noise: Any) -> Any:
    """s' = s + θ a in the first two dims; the reward is the first action times θ; ends where s₀ exceeds 3."""
    theta = models["theta"][:, None]  # [T, 1]
    following = observations.clone()
    following[..., :2] += theta[..., None] * actions
    return following, theta * actions[..., 0], (following[..., 0] > 3.0).float()


def disagreement(models: Params, observations: Any, actions: Any) -> Any:
    return observations[..., 1].abs()


MODEL: Any = SimpleNamespace(step=step, disagreement=disagreement)


def policies(*biases: float) -> Params:
    """Constant actions tanh(bias), one policy per task."""
    made = []
    for bias in biases:
        params = {k: torch.zeros_like(v) for k, v in init_policy(SPEC, (8,), torch.Generator()).items()}
        params["b1"][:2] = bias
        made.append(params)
    return stack(made)
