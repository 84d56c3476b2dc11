"""MerPO: meta-training by Algorithm 2, then adaptation to every unseen task (Section 4.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

from pydantic import Field

import merpo
from merpo import (
    AdaptSettings,
    AlphaScheduler,
    BehaviorSettings,
    Critic,
    DynamicsLearner,
    MetaLearner,
    MetaModelSettings,
    MetaPolicySettings,
    Method,
    Params,
    PolicyRegularizer,
    RacSettings,
    component_field,
)
from merpo_methods.actor_critic import critic_mean

if TYPE_CHECKING:
    from merpo import Adapted, Context, TaskData
    from merpo.lazy import torch

__all__ = ["MerPO"]


ADAPTS = ("adaptation", "alpha", "behavior", "rac", "regularizer")  # sections that `adapt` reads
# What networks and units of the meta-artifact depend on
NETWORKS = ("rac.policy_hidden", "rac.discount", "rac.reward_scale", "rac.use_model")
TUNED = {"beta": "beta_tune", "lambda": "lambda_tune", "temperature": "temperature_lr"}  # true or above 0 if tuned


@final
class MerPO(Method):
    """Meta-model (Eq. (3)) and meta-policy (Eq. (10)), and RAC (Algorithm 1) regularized by it on every new task."""

    name = "merpo"

    dynamics: DynamicsLearner = component_field("ensemble", description="The learnt dynamics T̂_θ.")
    meta_learner: MetaLearner = component_field(
        "proximal", description="Outer update of the meta-model from the tasks' models."
    )
    critic: Critic = component_field("conservative", description="Q and the terms of Eq. (1).")
    regularizer: PolicyRegularizer = component_field("kl", description="D of Eq. (7).")
    alpha: AlphaScheduler = component_field("adaptive", description="The balance α of Eq. (7).")
    meta_model: MetaModelSettings = Field(default_factory=MetaModelSettings, description="Eq. (3) and Eq. (4).")
    behavior: BehaviorSettings = Field(default_factory=BehaviorSettings, description="The behaviour clones.")
    rac: RacSettings = Field(default_factory=RacSettings, description="Algorithm 1.")
    meta_policy: MetaPolicySettings = Field(
        default_factory=MetaPolicySettings, description="Algorithm 2, lines 9 to 18."
    )
    adaptation: AdaptSettings = Field(default_factory=AdaptSettings, description="Section 4.3.")

    @property
    def min_transitions(self) -> int:
        """The largest batch size of the three stages."""
        model = self.meta_model.batch_size if self.rac.use_model else 0
        return max(model, self.behavior.batch_size, self.rac.batch_size)

    def fixed_after_fit(self, key: str) -> str:
        """Empty for settings of adaptation that fit the networks and scales of a meta-artifact."""
        first, _, rest = key.partition(".")
        if first not in ADAPTS or key in NETWORKS:
            return f"cannot change after meta-training; expected a key of {', '.join(ADAPTS)}"
        dual, _, what = rest.partition("_")
        if first == "rac" and what == "initial" and getattr(self.rac, TUNED[dual]):
            return f"is the value before meta-training, which tuned it; set method.adaptation.{dual}_start"
        return ""

    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        """Train the meta-model, the training tasks' models and behaviour clones, then the meta-policy and meta-Q."""
        scales = self._scales(tasks, context)
        tasks, found = scales.applied(tasks), {"scales": scales.group()}
        phi = self._fit_meta_model(tasks, context)
        found["meta_model"] = phi
        if self.meta_policy.iterations == 0:  # no meta-training: the tasks' models are not needed
            untrained = merpo.init_meta_policy(self._rac(scales), self.alpha.initial, tasks, context)
            return {**untrained.groups(), **found}
        models = self._models(phi, tasks, context, "models", scales.discount)
        behavior = self._behavior(tasks, context, "behavior")
        partial = replace(context, evaluate_meta=lambda k, meta: context.evaluate_meta(k, {**meta, **found}))

        def compute() -> dict[str, Params]:
            meta = merpo.fit_meta_policy(
                self._rac(scales),
                self.alpha,
                tasks,
                models["models"] if models else None,
                behavior["behavior"],
                self.meta_policy,
                partial,
            )
            return meta.groups()

        return {**context.stage("meta-policy", compute), **found}

    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        """Eq. (4) for every task's model, a behaviour clone, then RAC from the meta-policy and meta-Q."""
        scales = merpo.Scales.from_group(meta["scales"])
        tasks = scales.applied(tasks)
        models = self._models(meta["meta_model"], tasks, context, "unseen-models", scales.discount)
        behavior = self._behavior(tasks, context, "unseen-behavior")
        start = merpo.MetaPolicy.from_groups(meta)
        rac, task_models = self._rac(scales), models["models"] if models else None
        result = merpo.adapt_policies(
            rac,
            self.alpha,
            tasks,
            task_models,
            behavior["behavior"],
            start,
            self.adaptation,
            context,
        )
        meta_policy = merpo.expand(start.policy, tasks.n_tasks)
        others = {0: meta_policy}
        if self.rac.policy_hidden == self.behavior.hidden:  # candidates have equal shapes
            others[-1] = behavior["behavior"]
        choice = result.chosen(rac, task_models, others, tasks, context)
        references = {"meta-policy": meta_policy, "clone": behavior["behavior"]}
        adapted = result.adapted({**(models or {}), "scales": scales.group()}, references, choice)
        figures = merpo.diagnose(
            rac,
            result,
            tasks,
            task_models,
            behavior["behavior"],
            start,
            self.behavior,
            self.meta_model.holdout,
            context,
            adapted.policy,
        )
        return adapted._replace(scores={**adapted.scores, **behavior.get("clone", {}), **figures})

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        """The deterministic action: the mode of the squashed Gaussian."""
        return merpo.act(policy, observations)

    def sample(self, policy: Params, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A sample of the squashed Gaussian."""
        return merpo.act(policy, observations, noise)

    def value(self, adapted: Adapted, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The mean of the task's critics [T, B], in units of reward."""
        return critic_mean(self.critic, adapted, observations, actions)

    def _scales(self, tasks: TaskData, context: Context) -> merpo.Scales:
        scales = merpo.fit_scales(tasks, self.rac.discount, self.rac.reward_scale)
        found = {"discount": scales.discount, "reward_scale": scales.reward_scale}
        context.log("scales", tasks.n_tasks, tasks.n_tasks, found)
        return scales

    def _rac(self, scales: merpo.Scales) -> merpo.RAC:
        return merpo.RAC(self.rac, self.critic, self.regularizer, self.dynamics if self.rac.use_model else None, scales)

    def _fit_meta_model(self, tasks: TaskData, context: Context) -> Params:
        if not self.rac.use_model:
            return {}

        def compute() -> dict[str, Params]:
            return {"phi": merpo.fit_meta_model(self.dynamics, self.meta_learner, tasks, self.meta_model, context)}

        return context.stage("meta-model", compute)["phi"]

    def _models(
        self, phi: Params, tasks: TaskData, context: Context, stage: str, discount: float
    ) -> dict[str, Params] | None:
        """Every task's elite models with their losses before and after adaptation, or None without a model."""
        if not self.rac.use_model:
            return None

        def compute() -> dict[str, Params]:
            fitted = merpo.adapt_models(self.dynamics, self.meta_learner, phi, tasks, self.meta_model, context, stage)
            models = fitted.models
            if self.rac.halt:
                models = merpo.with_halting(self.dynamics, models, tasks, discount)
            return {"models": models, "scores": fitted.measures()}

        return context.stage(stage, compute)

    def _behavior(self, tasks: TaskData, context: Context, stage: str) -> dict[str, Params]:
        return context.stage(stage, lambda: merpo.fit_behavior(tasks, self.behavior, context, stage).groups())
