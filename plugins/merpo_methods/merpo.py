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

    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        """Train the meta-model, the training tasks' models and behaviour clones, then the meta-policy and meta-Q."""
        phi = self._fit_meta_model(tasks, context)
        if self.meta_policy.iterations == 0:  # no meta-training: the tasks' models are not needed
            untrained = merpo.init_meta_policy(self._rac(), self.alpha.initial, tasks, context)
            return {**untrained.groups(), "meta_model": phi}
        models = self._models(phi, tasks, context, "models")
        behavior = self._behavior(tasks, context, "behavior")
        partial = replace(context, evaluate_meta=lambda k, meta: context.evaluate_meta(k, {**meta, "meta_model": phi}))

        def compute() -> dict[str, Params]:
            meta = merpo.fit_meta_policy(
                self._rac(),
                self.alpha,
                tasks,
                models["models"] if models else None,
                behavior,
                self.meta_policy,
                partial,
            )
            return meta.groups()

        return {**context.stage("meta-policy", compute), "meta_model": phi}

    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        """Eq. (4) for every task's model, a behaviour clone, then RAC from the meta-policy and meta-Q."""
        models = self._models(meta["meta_model"], tasks, context, "unseen-models")
        behavior = self._behavior(tasks, context, "unseen-behavior")
        start = merpo.MetaPolicy.from_groups(meta)
        result = merpo.adapt_policies(
            self._rac(),
            self.alpha,
            tasks,
            models["models"] if models else None,
            behavior,
            start,
            self.adaptation,
            context,
        )
        references = {"meta-policy": merpo.expand(start.policy, tasks.n_tasks), "clone": behavior}
        adapted = result.adapted(models, references)
        figures = merpo.diagnose(
            self._rac(),
            result,
            tasks,
            models["models"] if models else None,
            behavior,
            start,
            self.behavior,
            self.meta_model.holdout,
            context,
        )
        return adapted._replace(scores={**adapted.scores, **figures})

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        """The deterministic action: the mode of the squashed Gaussian."""
        return merpo.act(policy, observations)

    def sample(self, policy: Params, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A sample of the squashed Gaussian."""
        return merpo.act(policy, observations, noise)

    def value(self, adapted: Adapted, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The mean of the task's critics [T, B], in units of reward."""
        return critic_mean(self.critic, self.rac, adapted, observations, actions)

    def _rac(self) -> merpo.RAC:
        return merpo.RAC(self.rac, self.critic, self.regularizer, self.dynamics if self.rac.use_model else None)

    def _fit_meta_model(self, tasks: TaskData, context: Context) -> Params:
        if not self.rac.use_model:
            return {}

        def compute() -> dict[str, Params]:
            return {"phi": merpo.fit_meta_model(self.dynamics, self.meta_learner, tasks, self.meta_model, context)}

        return context.stage("meta-model", compute)["phi"]

    def _models(self, phi: Params, tasks: TaskData, context: Context, stage: str) -> dict[str, Params] | None:
        """Every task's elite models with their losses before and after adaptation, or None without a model."""
        if not self.rac.use_model:
            return None

        def compute() -> dict[str, Params]:
            fitted = merpo.adapt_models(self.dynamics, self.meta_learner, phi, tasks, self.meta_model, context, stage)
            return {"models": fitted.models, "scores": fitted.measures()}

        return context.stage(stage, compute)

    def _behavior(self, tasks: TaskData, context: Context, stage: str) -> Params:
        return context.stage(stage, lambda: {"behavior": merpo.fit_behavior(tasks, self.behavior, context, stage)})[
            "behavior"
        ]
