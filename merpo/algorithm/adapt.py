"""Section 4.3: a policy for an unseen task from its own data, the meta-model and the meta-policy."""

from __future__ import annotations

from typing import Any, NamedTuple

from merpo.algorithm.duals import init_duals
from merpo.algorithm.meta_policy import MetaPolicy
from merpo.algorithm.rac import RAC, Anchors, TaskState, fresh_state
from merpo.algorithm.rac_steps import rac_steps
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import AdaptSettings
from merpo.components.context import Adapted, Context
from merpo.components.interfaces import AlphaScheduler
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import clone, expand, fast_layout, to_device
from merpo.nn.policy import init_policy
from merpo.nn.workers import workers
from merpo.types import Params

__all__ = ["AdaptedPolicies", "adapt_policies"]

ALPHA_EVERY = 10  # RAC steps per update of α, as in meta-training (Table 2: inner steps)


class AdaptedPolicies(NamedTuple):
    """Policies of T tasks, copies of them on the way, and what happened at every step."""

    state: TaskState
    snapshots: dict[int, Params]  # after so many steps, [T, ...]
    curves: dict[str, torch.Tensor]  # [steps, T]

    def adapted(self, models: dict[str, Params] | None, references: dict[str, Params]) -> Adapted:
        """What a method gives back: `models` are the tasks' "models" and their "scores", None without a model."""
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
    """RAC (Algorithm 1) on every task for `settings.steps` steps; in the first `critic_lead` only critics move.

    Without `behavior` nothing regularizes the policy: with a conservative critic that is COMBO.
    """
    own = {key: getattr(settings, key) for key in ("critic_lr", "actor_lr", "polyak", "rho_batch")}
    knobs = rac.settings.model_copy(update={key: value for key, value in own.items() if value is not None})
    rac = rac._replace(settings=knobs)
    state = _start(rac, data, meta, settings, context)
    noise = context.streams("adapt", data.n_tasks)
    anchors = None if behavior is None else Anchors(fast_layout(behavior), fast_layout(meta.policy))
    models = None if models is None else fast_layout(models)
    saved: dict[int, Params] = {}
    history: dict[str, list[torch.Tensor]] = {}
    asked = {str(step): torch.zeros(0) for step in context.snapshots}  # a checkpoint that lacks others is refused
    start: dict[str, Any] = {"state": state, "noise": noise, "saved": None, "history": None, "asked": asked}
    first, kept = context.resume("adapt", start)
    if first:
        state = kept["state"]
        saved = {int(step): fast_layout(policy) for step, policy in kept["saved"].items()}
        history = {key: list(rows) for key, rows in kept["history"].items()}
    with workers(context.workers) as share:
        for step in range(first, settings.steps):
            if step in context.snapshots:
                saved[step] = clone(state.policy)
            improve = step >= settings.critic_lead
            state, _, metrics = rac_steps(rac, state, data, models, anchors, noise, 1, share, improve)
            if settings.alpha is None and "to_meta" in metrics and (step + 1) % ALPHA_EVERY == 0:
                new = alpha.update(state.duals.alpha, metrics["to_behavior"], metrics["to_meta"])
                state = state._replace(duals=state.duals._replace(alpha=new))
            metrics.setdefault("lambda_", state.duals.lambda_)
            metrics.setdefault("alpha", state.duals.alpha)
            for key in ("alpha", "beta", "lambda_", "q_gap", "to_behavior", "to_meta"):
                if key in metrics:
                    history.setdefault(key, []).append(metrics[key])
            context.check("adapt", step + 1, metrics)
            if context.due(step + 1, settings.steps):
                context.log("adapt", step + 1, settings.steps, metrics)
            context.keep("adapt", step + 1, lambda: {**_kept(state, noise, saved, history), "asked": asked})  # noqa: B023
    saved[settings.steps] = clone(state.policy)
    return AdaptedPolicies(state, saved, {key: torch.stack(rows) for key, rows in history.items()})


def _kept(
    state: TaskState, noise: Streams, saved: dict[int, Params], history: dict[str, list[torch.Tensor]]
) -> dict[str, Any]:
    """What adaptation needs to go on; policies as ordinary tensors, whatever their layout."""
    policies = {str(step): dict(policy) for step, policy in saved.items()}
    curves = {key: torch.stack(rows) for key, rows in history.items()}
    return {"state": state, "noise": noise, "saved": policies, "history": curves}


def _start(rac: RAC, data: TaskData, meta: MetaPolicy, settings: AdaptSettings, context: Context) -> TaskState:
    """Networks from the meta-policy and meta-Q, or fresh ones; duals from the training tasks' means."""
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
