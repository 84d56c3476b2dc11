"""RAC and its baselines on each task's own data (Section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, final

from pydantic import Field

import merpo
from merpo import (
    AdaptSettings,
    AlphaScheduler,
    BehaviorSettings,
    Critic,
    DynamicsLearner,
    GivenPolicySettings,
    Method,
    ModelSettings,
    Params,
    PolicyRegularizer,
    RacSettings,
    component_field,
)
from merpo_methods.actor_critic import critic_mean

if TYPE_CHECKING:
    from merpo import Adapted, Context, TaskData
    from merpo.lazy import torch

__all__ = ["Single"]


@final
class _TaskScales(NamedTuple):
    """Discount and factor of Algorithm 1, and the factor from each task's rewards to its critics' units, [T]."""

    discount: float
    factor: float
    reward_scale: torch.Tensor


@final
class Single(Method):
    """RAC (Algorithm 1) from scratch on each task's own data, with a given meta-policy (Section 5.1)."""

    name = "single"

    learns_from_tasks: ClassVar[bool] = False

    steps: int = Field(2000, ge=0, le=10_000_000, description="Steps of Algorithm 1; an episode of Fig. 4 has 1000.")
    dynamics: DynamicsLearner = component_field("ensemble", description="The learnt dynamics T̂_θ.")
    critic: Critic = component_field("conservative", description="Q and the terms of Eq. (1).")
    regularizer: PolicyRegularizer = component_field("kl", description="D of Eq. (7).")
    alpha: AlphaScheduler = component_field("fixed", description="The balance α of Eq. (7).")
    model: ModelSettings = Field(default_factory=ModelSettings, description="Training of the task's model.")
    behavior: BehaviorSettings = Field(default_factory=BehaviorSettings, description="The behaviour clone.")
    rac: RacSettings = Field(default_factory=RacSettings, description="Algorithm 1.")
    meta_policy: GivenPolicySettings = Field(
        default_factory=GivenPolicySettings, description="The given meta-policy π_c, which is not trained."
    )

    def model_post_init(self, _: object) -> None:
        """Refuse a positive weight on the meta-policy if none is given."""
        if self.meta_policy.source == "none" and self._regularized and self.alpha.initial < 1:
            raise ValueError(
                f"meta_policy.source = 'none' with alpha.initial = {self.alpha.initial}, expected 1, or "
                "rac.lambda_initial = 0 and rac.lambda_tune = false"
            )

    @property
    def min_transitions(self) -> int:
        """The largest batch size of the networks that are trained."""
        model = self.model.batch_size if self.rac.use_model else 0
        clone = self.behavior.batch_size if self._regularized else 0
        return max(model, clone, self.rac.batch_size)

    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        """The given meta-policy, without tensors if there is none; nothing is trained."""

        def compute() -> dict[str, Params]:
            given = merpo.given_policy(self.meta_policy, tasks.spec, self.rac.policy_hidden, context)
            return {"meta_policy": given or {}}

        return context.stage("meta-policy", compute)

    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        """Train every task's model and behaviour clone, then RAC, all from scratch."""
        tasks, scales = self._scaled(tasks)
        models = self._models(tasks, context, scales.discount)
        behavior = self._behavior(tasks, context)
        start = merpo.init_meta_policy(self._rac(scales), self.alpha.initial, tasks, context)
        start = start._replace(policy=meta["meta_policy"] or start.policy)
        alone = self.meta_policy.source == "none"
        settings = AdaptSettings(
            steps=self.steps,
            init_policy=False,
            init_critic=False,
            candidates=0,
            alpha=self.alpha.initial if alone else None,
        )
        result = merpo.adapt_policies(
            self._rac(scales),
            self.alpha,
            tasks,
            models["models"] if models else None,
            behavior,
            start,
            settings,
            context,
        )
        references = {} if alone else {"meta-policy": merpo.expand(start.policy, tasks.n_tasks)}
        found = {**(models or {}), "scales": {"reward_scale": scales.reward_scale}}
        adapted = result.adapted(found, references if behavior is None else {**references, "clone": behavior})
        figures = merpo.diagnose(
            self._rac(scales),
            result,
            tasks,
            models["models"] if models else None,
            behavior,
            start,
            self.behavior,
            self.model.holdout,
            context,
        )
        back = scales.factor / scales.reward_scale  # to the data's units of reward
        figures |= {key: figures[key] * back for key in ("q_mean", "q_floor", "q_ceiling") if key in figures}
        return adapted._replace(scores={**adapted.scores, **figures})

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        """The deterministic action: the mode of the squashed Gaussian."""
        return merpo.act(policy, observations)

    def sample(self, policy: Params, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A sample of the squashed Gaussian."""
        return merpo.act(policy, observations, noise)

    def value(self, adapted: Adapted, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The mean of the task's critics [T, B], in units of reward."""
        return critic_mean(self.critic, adapted, observations, actions)

    @property
    def _regularized(self) -> bool:
        """Whether the weight λ of Eq. (7) can be positive; without it the policy step is COMBO's."""
        return self.rac.lambda_initial > 0 or self.rac.lambda_tune

    def _scaled(self, tasks: TaskData) -> tuple[TaskData, _TaskScales]:
        """The tasks with rewards in units of each task's own returns, or as they are if the recipe gives the factor."""
        discount, factor = self.rac.discount, self.rac.reward_scale
        if discount == "auto":  # one number for all tasks, from the longest episode of any
            discount = merpo.fit_scales(tasks, "auto", 1.0).discount
        if factor != "auto":
            return tasks, _TaskScales(discount, factor, tasks.rows.new_full((tasks.n_tasks,), factor))
        alone = [merpo.fit_scales(tasks.select([t]), discount, "auto").reward_scale for t in range(tasks.n_tasks)]
        rows, column = tasks.rows.clone(), tasks.spec.observation_dim + tasks.spec.action_dim
        for start, size, own in zip(tasks.starts, tasks.sizes, alone, strict=True):
            rows[start : start + size, column] *= own
        return tasks._replace(rows=rows), _TaskScales(discount, 1.0, rows.new_tensor(alone))

    def _rac(self, scales: _TaskScales) -> merpo.RAC:
        regularizer = self.regularizer if self._regularized else None
        settings = self.rac.model_copy(update={"discount": scales.discount, "reward_scale": scales.factor})
        return merpo.RAC(settings, self.critic, regularizer, self.dynamics if self.rac.use_model else None)

    def _models(self, tasks: TaskData, context: Context, discount: float) -> dict[str, Params] | None:
        """Every task's elite models with their losses before and after training, or None without a model."""
        if not self.rac.use_model:
            return None

        def compute() -> dict[str, Params]:
            fitted = merpo.fit_models(self.dynamics, tasks, self.model, context, "unseen-models")
            models = fitted.models
            if self.rac.halt:
                models = merpo.with_halting(self.dynamics, models, tasks, discount)
            return {"models": models, "scores": fitted.measures()}

        return context.stage("unseen-models", compute)

    def _behavior(self, tasks: TaskData, context: Context) -> Params | None:
        """Every task's behaviour clone, or None without regularization."""
        if not self._regularized:
            return None
        stage = "unseen-behavior"
        return context.stage(stage, lambda: merpo.fit_behavior(tasks, self.behavior, context, stage).groups())[
            "behavior"
        ]
