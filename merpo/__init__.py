"""merpo: model-based offline meta-reinforcement learning with regularization, from plugins and recipes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that defines it. Nothing is imported before it is asked for.
_PUBLIC = {
    "API_VERSION": "merpo.api_version",
    "AdaptSettings": "merpo.settings",
    "AdamState": "merpo.optim",
    "Adapted": "merpo.context",
    "AlphaScheduler": "merpo.interfaces",
    "Batch": "merpo.types",
    "BehaviorSettings": "merpo.settings",
    "Component": "merpo.component",
    "Context": "merpo.context",
    "Critic": "merpo.interfaces",
    "DynamicsLearner": "merpo.interfaces",
    "GivenPolicySettings": "merpo.settings",
    "Grid": "merpo.types",
    "MerpoError": "merpo.errors",
    "MetaLearner": "merpo.interfaces",
    "MetaModelSettings": "merpo.settings",
    "MetaPolicy": "merpo.meta_policy",
    "MetaPolicySettings": "merpo.settings",
    "Method": "merpo.interfaces",
    "ModelSettings": "merpo.settings",
    "Normalization": "merpo.normalization",
    "Params": "merpo.types",
    "PolicyRegularizer": "merpo.interfaces",
    "Probes": "merpo.types",
    "Propose": "merpo.types",
    "RAC": "merpo.rac",
    "RacSettings": "merpo.settings",
    "Recipe": "merpo.recipe",
    "Spec": "merpo.types",
    "Streams": "merpo.noise",
    "TanhGaussian": "merpo.policy",
    "Task": "merpo.types",
    "TaskData": "merpo.dataset",
    "TaskDataset": "merpo.dataset",
    "TaskFamily": "merpo.interfaces",
    "act": "merpo.policy",
    "adam": "merpo.optim",
    "adam_init": "merpo.optim",
    "adapt_models": "merpo.meta_model",
    "adapt_policies": "merpo.adapt",
    "component_field": "merpo.component",
    "distribution": "merpo.policy",
    "evaluate": "merpo.evaluation",
    "expand": "merpo.params",
    "fit_behavior": "merpo.behavior",
    "fit_meta_model": "merpo.meta_model",
    "fit_meta_policy": "merpo.meta_policy",
    "fit_models": "merpo.task_models",
    "fit_normalization": "merpo.normalization",
    "given_policy": "merpo.policy_source",
    "gradient": "merpo.optim",
    "hookimpl": "merpo.hookspecs",
    "init_meta_policy": "merpo.meta_policy",
    "init_mlp": "merpo.nets",
    "init_policy": "merpo.policy",
    "load_policy": "merpo.policy_file",
    "load_recipe": "merpo.recipe",
    "mlp": "merpo.nets",
    "nearest": "merpo.errors",
    "run_recipe": "merpo.run",
    "squared_distance": "merpo.params",
    "stack_tasks": "merpo.dataset",
    "take": "merpo.params",
    "weights": "merpo.params",
}

if TYPE_CHECKING:
    from merpo.adapt import adapt_policies as adapt_policies
    from merpo.api_version import API_VERSION as API_VERSION
    from merpo.behavior import fit_behavior as fit_behavior
    from merpo.component import Component as Component
    from merpo.component import component_field as component_field
    from merpo.context import Adapted as Adapted
    from merpo.context import Context as Context
    from merpo.dataset import TaskData as TaskData
    from merpo.dataset import TaskDataset as TaskDataset
    from merpo.dataset import stack_tasks as stack_tasks
    from merpo.errors import MerpoError as MerpoError
    from merpo.errors import nearest as nearest
    from merpo.evaluation import evaluate as evaluate
    from merpo.hookspecs import hookimpl as hookimpl
    from merpo.interfaces import AlphaScheduler as AlphaScheduler
    from merpo.interfaces import Critic as Critic
    from merpo.interfaces import DynamicsLearner as DynamicsLearner
    from merpo.interfaces import MetaLearner as MetaLearner
    from merpo.interfaces import Method as Method
    from merpo.interfaces import PolicyRegularizer as PolicyRegularizer
    from merpo.interfaces import TaskFamily as TaskFamily
    from merpo.meta_model import adapt_models as adapt_models
    from merpo.meta_model import fit_meta_model as fit_meta_model
    from merpo.meta_policy import MetaPolicy as MetaPolicy
    from merpo.meta_policy import fit_meta_policy as fit_meta_policy
    from merpo.meta_policy import init_meta_policy as init_meta_policy
    from merpo.nets import init_mlp as init_mlp
    from merpo.nets import mlp as mlp
    from merpo.noise import Streams as Streams
    from merpo.normalization import Normalization as Normalization
    from merpo.normalization import fit_normalization as fit_normalization
    from merpo.optim import AdamState as AdamState
    from merpo.optim import adam as adam
    from merpo.optim import adam_init as adam_init
    from merpo.optim import gradient as gradient
    from merpo.params import expand as expand
    from merpo.params import squared_distance as squared_distance
    from merpo.params import take as take
    from merpo.params import weights as weights
    from merpo.policy import TanhGaussian as TanhGaussian
    from merpo.policy import act as act
    from merpo.policy import distribution as distribution
    from merpo.policy import init_policy as init_policy
    from merpo.policy_file import load_policy as load_policy
    from merpo.policy_source import given_policy as given_policy
    from merpo.rac import RAC as RAC
    from merpo.recipe import Recipe as Recipe
    from merpo.recipe import load_recipe as load_recipe
    from merpo.run import run_recipe as run_recipe
    from merpo.settings import AdaptSettings as AdaptSettings
    from merpo.settings import BehaviorSettings as BehaviorSettings
    from merpo.settings import GivenPolicySettings as GivenPolicySettings
    from merpo.settings import MetaModelSettings as MetaModelSettings
    from merpo.settings import MetaPolicySettings as MetaPolicySettings
    from merpo.settings import ModelSettings as ModelSettings
    from merpo.settings import RacSettings as RacSettings
    from merpo.task_models import fit_models as fit_models
    from merpo.types import Batch as Batch
    from merpo.types import Grid as Grid
    from merpo.types import Params as Params
    from merpo.types import Probes as Probes
    from merpo.types import Propose as Propose
    from merpo.types import Spec as Spec
    from merpo.types import Task as Task

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'merpo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
