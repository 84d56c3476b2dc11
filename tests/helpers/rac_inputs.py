"""Inputs of RAC for tests: states, models and anchors of a few tasks."""

from __future__ import annotations

import torch
from small import SPEC, generator, task_data

from merpo.algorithm.duals import init_duals
from merpo.algorithm.meta_model import init_meta_model
from merpo.algorithm.rac import RAC, Anchors, TaskState, fresh_state
from merpo.algorithm.rollout import empty_buffer
from merpo.nn.params import expand, stack
from merpo.nn.policy import init_policy
from merpo.types import Params

__all__ = ["T", "anchors", "models", "start"]

T = 2


def start(algorithm: RAC, tasks: int = T, seed: int = 0, alpha: float = 0.4) -> TaskState:
    """The initial state of a few tasks."""
    knobs = algorithm.settings
    policy = stack([init_policy(SPEC, knobs.policy_hidden, generator(seed, "pi", t)) for t in range(tasks)])
    critic = stack([algorithm.critic.init(SPEC, generator(seed, "q", t)) for t in range(tasks)])
    duals = init_duals(knobs, alpha, tasks, "cpu")
    return fresh_state(policy, critic, duals, empty_buffer(SPEC, tasks, knobs.model_buffer, "cpu"))


def anchors(tasks: int = T) -> Anchors:
    """Random behaviour policies and a random meta-policy."""
    behavior = stack([init_policy(SPEC, (8,), generator("beta", t)) for t in range(tasks)])
    return Anchors(behavior, init_policy(SPEC, (8,), generator("meta")))


def models(algorithm: RAC, tasks: int = T) -> Params:
    """Untrained elite models of a few tasks."""
    data = task_data(tasks)
    theta = expand(init_meta_model(algorithm.dynamics, data, generator("phi")), tasks)  # type: ignore[arg-type]
    return algorithm.dynamics.keep_best(theta, torch.zeros(tasks, 3))  # type: ignore[union-attr]
