"""Adaptation on tiny tasks, for tests of `merpo.algorithm.adapt`."""

from __future__ import annotations

from typing import Any

import torch
from small import SPEC, generator, make, rac, task_data

from merpo.algorithm.adapt import AdaptedPolicies, adapt_policies
from merpo.algorithm.meta_model import init_meta_model
from merpo.algorithm.meta_policy import MetaPolicy, init_meta_policy
from merpo.algorithm.settings import AdaptSettings
from merpo.components.context import Context
from merpo.nn.params import expand
from merpo.nn.policy import init_policy

__all__ = ["T", "adapt", "meta"]

T = 2


def adapt(
    context: Context | None = None, tasks: int = T, rac_settings: Any = None, alpha: Any = None, **knobs: Any
) -> AdaptedPolicies:
    """The result of `adapt_policies` on tiny tasks; `knobs` are fields of `AdaptSettings`."""
    algorithm, data = rac(**(rac_settings or {})), task_data(tasks)
    theta = expand(init_meta_model(algorithm.dynamics, data, generator("phi")), tasks)  # type: ignore[arg-type]
    models = algorithm.dynamics.keep_best(theta, torch.zeros(tasks, 3))  # type: ignore[union-attr]
    behavior = expand(init_policy(SPEC, (8,), generator("beta")), tasks)
    settings = AdaptSettings(**{"steps": 4, **knobs})
    scheduler = alpha or make("alpha", "adaptive", learning_rate=0.05)
    return adapt_policies(algorithm, scheduler, data, models, behavior, meta(), settings, context or Context(seed=1))


def meta() -> MetaPolicy:
    """An initialised meta-policy with fixed dual variables."""
    start = init_meta_policy(rac(), 0.4, task_data(T), Context(seed=9))
    duals = {
        "log_beta": torch.tensor(0.5),
        "lambda": torch.tensor(2.0),
        "log_temperature": torch.tensor(-1.0),
        "alpha": torch.tensor(0.3),
    }
    return start._replace(duals=duals)
