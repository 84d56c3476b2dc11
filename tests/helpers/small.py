"""Small components, settings and data for tests of the algorithm in milliseconds."""

from __future__ import annotations

from typing import Any

import torch
from strategies import make_dataset

from merpo.algorithm.rac import RAC
from merpo.algorithm.settings import RacSettings
from merpo.components import registry
from merpo.components.component import Component
from merpo.components.task_data import TaskData
from merpo.data.dataset import stack_tasks
from merpo.nn.noise import Streams, derive_seed
from merpo.types import Params, Spec

SPEC = Spec(3, 2)

DYNAMICS: dict[str, Any] = {"members": 3, "elites": 2, "hidden": (8,), "beta_nll": 0.0}
CRITIC: dict[str, Any] = {"hidden": (8,)}
RAC_SETTINGS: dict[str, Any] = {
    "policy_hidden": (8,), "batch_size": 8, "rollout_batch": 4, "rollout_length": 1, "model_buffer": 16,
    "discount": 0.99, "reward_scale": 1.0, "max_entropy": True, "beta_initial": 0.5, "beta_tune": True,
    "lambda_initial": 5.0, "lambda_tune": True, "lambda_lr": 0.1, "lambda_relative": False,
}  # fmt: skip
METHOD: dict[str, Any] = {
    "critic": {"component": "conservative", **CRITIC},
    "dynamics": {"component": "ensemble", **DYNAMICS},
    "meta_model": {"iterations": 2, "inner_steps": 2, "batch_size": 8, "adaptation_steps": 2},
    "behavior": {"hidden": (8,), "steps": 3, "batch_size": 8},
    "rac": RAC_SETTINGS,
    "meta_policy": {"iterations": 2, "inner_steps": 2},
    "adaptation": {"steps": 3, "critic_lead": 1},
}


SINGLE: dict[str, Any] = {
    "critic": METHOD["critic"],
    "dynamics": METHOD["dynamics"],
    "model": {"steps": 2, "batch_size": 8},
    "behavior": METHOD["behavior"],
    "rac": RAC_SETTINGS,
    "steps": 3,
}


def make(kind: str, name: str, **fields: Any) -> Any:
    """A component from the registry, by kind and name."""
    return registry.from_table(registry.get(kind, name), fields)


def dynamics(**fields: Any) -> Any:
    """A small ensemble."""
    return make("dynamics", "ensemble", **{**DYNAMICS, **fields})


def critic(**fields: Any) -> Any:
    """A small critic."""
    return make("critic", "conservative", **{**CRITIC, **fields})


def rac(use_model: bool = True, regularizer: str = "kl", **settings: Any) -> RAC:
    """Algorithm 1 with small networks."""
    knobs = RacSettings(**{**RAC_SETTINGS, "use_model": use_model, **settings})
    return RAC(knobs, critic(), make("regularizer", regularizer), dynamics() if use_model else None)


def task_data(tasks: int = 3, rows: int = 40, seed: int = 0, spec: Spec = SPEC) -> TaskData:
    """Random rows of some tasks, in truncated episodes of five steps."""
    lengths = [5] * (rows // 5)
    made = [
        make_dataset(lengths, [False] * len(lengths), spec.observation_dim, spec.action_dim, derive_seed(seed, t))
        for t in range(tasks)
    ]
    return stack_tasks(made, spec)


def streams(n: int, *labels: object) -> Streams:
    """Random streams, a generator per task."""
    return Streams.seeded(derive_seed(*labels, t) for t in range(n))


def generator(*labels: object) -> torch.Generator:
    """A generator seeded from labels."""
    return torch.Generator().manual_seed(derive_seed(*labels))


def double(params: Params) -> Params:
    """The same numbers in float64."""
    return {key: value.double() for key, value in params.items()}


def normal(*shape: int, label: object = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=generator("normal", label), dtype=dtype)


def component_of(cls: type[Component], kind: str, **fields: Any) -> Any:
    """A component from its class, with small fields."""
    return registry.from_table(cls, {**small_fields(kind, cls.name), **fields})


def small_fields(kind: str, name: str = "") -> dict[str, Any]:
    """Fields for a small instance of a kind's built-in."""
    if name == "single":
        return SINGLE
    return {"dynamics": DYNAMICS, "critic": CRITIC, "method": METHOD}.get(kind, {})
