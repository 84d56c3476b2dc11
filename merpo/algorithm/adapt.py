"""Section 4.3: adaptation of a policy to an unseen task, from its own data, the meta-model and the meta-policy."""

from __future__ import annotations

from typing import Any, NamedTuple

from merpo.algorithm.duals import init_duals
from merpo.algorithm.meta_policy import MetaPolicy
from merpo.algorithm.rac import RAC, Anchors, TaskState, fresh_state
from merpo.algorithm.rac_steps import rac_steps
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import AdaptSettings
from merpo.components.context import Adapted, Constant, Context
from merpo.components.interfaces import AlphaScheduler
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.params import clone, expand, fast_layout, to_device
from merpo.nn.policy import init_policy
from merpo.nn.workers import worker_pool
from merpo.types import Params

__all__ = ["AdaptedPolicies", "adapt_policies"]

ALPHA_EVERY = 10  # RAC steps per update of α, as in meta-training (Table 2: inner steps)
CURVES = ("alpha", "beta", "lambda_", "q", "q_gap", "to_behavior", "to_meta")  # recorded metrics


class AdaptedPolicies(NamedTuple):
    """Adapted policies of T tasks, snapshots during adaptation, and metrics of every step."""

    state: TaskState
    snapshots: dict[int, Params]  # number of steps -> policies [T, ...]
    curves: dict[str, torch.Tensor]  # [steps, T]

    def adapted(self, models: dict[str, Params] | None, references: dict[str, Params]) -> Adapted:
        """The result in a method's format; `models` has the tasks' "models" and "scores", None without a model."""
        return Adapted(
            policy=self.state.policy,
            snapshots=self.snapshots,
            references=references,
            curves=self.curves,
            artifacts={"policy": self.state.policy, "critic": self.state.critic, **(models or {})},
            scores=models["scores"] if models else {},
        )


def adapt_policies(
    rac: RAC,
    alpha: AlphaScheduler,
    data: TaskData,
    models: Params | None,
    behavior: Params | None,
    meta: MetaPolicy,
    settings: AdaptSettings,
    context: Context,
) -> AdaptedPolicies:
    """RAC (Algorithm 1) on every task for `settings.steps` steps; the first `critic_lead` train only the critics.

    Without `behavior` the policy is not regularized: with a conservative critic that is COMBO.
    """
    overrides = {key: getattr(settings, key) for key in ("critic_lr", "actor_lr", "polyak", "rho_batch")}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    rac = rac._replace(settings=rac.settings.model_copy(update=overrides))
    state = _start(rac, data, meta, settings, context)
    noise = context.streams("adapt", data.n_tasks)
    anchors = None if behavior is None else Anchors(fast_layout(behavior), fast_layout(meta.policy))
    models = None if models is None else fast_layout(models)
    history = _History.empty(context.snapshots)
    first, saved = context.resume("adapt", {"state": state, "noise": noise, **history.start()})
    if first:
        state = saved["state"]
        history = history.restored(saved)
    with worker_pool(context.workers) as workers:
        for step in range(first + 1, settings.steps + 1):
            history.snapshot(step - 1, state.policy)
            improve = step > settings.critic_lead
            state, _, metrics = rac_steps(rac, state, data, models, anchors, noise, 1, workers, improve)
            if settings.alpha is None and "to_meta" in metrics and step % ALPHA_EVERY == 0:
                new = alpha.update(state.duals.alpha, metrics["to_behavior"], metrics["to_meta"])
                state = state._replace(duals=state.duals._replace(alpha=new))
            metrics.setdefault("lambda_", state.duals.lambda_)
            metrics.setdefault("alpha", state.duals.alpha)
            history.append(metrics)
            context.check("adapt", step, metrics)
            if context.end_step(step, settings.steps):
                context.log("adapt", step, settings.steps, metrics)
            context.save_state("adapt", step, lambda: {"state": state, "noise": noise, **history.state()})  # noqa: B023
    snapshots = {**history.policies, settings.steps: clone(state.policy)}
    return AdaptedPolicies(state, snapshots, {key: torch.stack(rows) for key, rows in history.curves.items()})


class _History(NamedTuple):
    """Record of an adaptation: snapshots of the policies after some steps, and metrics of every step."""

    steps: tuple[int, ...]  # steps after which a snapshot is taken
    policies: dict[int, Params]  # step -> policies [T, ...]
    curves: dict[str, list[torch.Tensor]]  # metric -> [T] of every step

    @staticmethod
    def empty(steps: tuple[int, ...]) -> _History:
        return _History(steps, {}, {})

    def snapshot(self, step: int, policy: Params) -> None:
        """Copy the policy after `step` steps, if a snapshot is due."""
        if step in self.steps:
            self.policies[step] = clone(policy)

    def append(self, metrics: dict[str, torch.Tensor]) -> None:
        """Record the metrics of a step."""
        for key in CURVES:
            if key in metrics:
                self.curves.setdefault(key, []).append(metrics[key])

    def start(self) -> dict[str, Any]:
        """The template of `state` for `Context.resume`; refuses a checkpoint with snapshots after other steps."""
        return {"policies": None, "curves": None, "steps": self._constant()}

    def state(self) -> dict[str, Any]:
        """The tree that a checkpoint saves; policies as plain dicts."""
        policies = {str(step): dict(policy) for step, policy in self.policies.items()}
        curves = {key: torch.stack(rows) for key, rows in self.curves.items()}
        return {"policies": policies, "curves": curves, "steps": self._constant()}

    def restored(self, saved: dict[str, Any]) -> _History:
        """The inverse of `state`."""
        policies = {int(step): fast_layout(policy) for step, policy in saved["policies"].items()}
        return _History(self.steps, policies, {key: list(rows) for key, rows in saved["curves"].items()})

    def _constant(self) -> Constant:
        return Constant(torch.tensor(sorted(self.steps), dtype=torch.int64))


def _start(rac: RAC, data: TaskData, meta: MetaPolicy, settings: AdaptSettings, context: Context) -> TaskState:
    """The initial state: networks from meta-policy and meta-Q, or untrained; duals from the training tasks' means."""
    n = data.n_tasks
    generator = context.generator("adapt-init")
    policy = init_policy(data.spec, rac.settings.policy_hidden, generator)
    critic = rac.critic.init(data.spec, generator)
    policy = meta.policy if settings.init_policy else to_device(policy, context.device)
    critic = meta.critic if settings.init_critic else to_device(critic, context.device)
    alpha = float(meta.duals["alpha"]) if settings.alpha is None else settings.alpha
    duals = init_duals(rac.settings, alpha, n, context.device)
    duals = duals._replace(
        log_beta=meta.duals["log_beta"].expand(n).clone(),
        lambda_=meta.duals["lambda"].expand(n).clone(),
        log_temperature=meta.duals["log_temperature"].expand(n).clone(),
    )
    buffer = empty_buffer(data.spec, n, rac.settings.model_buffer if rac.dynamics else 1, context.device)
    return fresh_state(expand(policy, n), expand(critic, n), duals, buffer)
