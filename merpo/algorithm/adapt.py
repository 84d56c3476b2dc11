"""Section 4.3: adaptation of a policy to an unseen task, from its own data, the meta-model and the meta-policy."""

from __future__ import annotations

from typing import Any, NamedTuple

from merpo.algorithm.choice import Choice, choose
from merpo.algorithm.duals import Duals, init_duals
from merpo.algorithm.meta_policy import MetaPolicy
from merpo.algorithm.rac import RAC, Anchors, TaskState, fresh_state
from merpo.algorithm.rac_steps import rac_steps
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import AdaptSettings, RacSettings
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
CURVES = ("q_spread", "alpha", "beta", "lambda_", "q", "q_gap", "to_behavior", "to_meta")  # recorded metrics


class AdaptedPolicies(NamedTuple):
    """Adapted policies of T tasks, snapshots during adaptation, and metrics of every step."""

    state: TaskState
    snapshots: dict[int, Params]  # number of steps -> policies [T, ...]
    curves: dict[str, torch.Tensor]  # [steps, T]
    candidates: dict[int, Params]  # number of steps -> policies [T, ...], for `chosen`

    def adapted(
        self, groups: dict[str, Params], references: dict[str, Params], choice: Choice | None = None
    ) -> Adapted:
        """The result in a method's format; `groups` has the tasks' "models" and "scores" if there is a model.

        The policies are those of the `choice`, else the last.
        """
        policy, scores = self.state.policy, groups.get("scores", {})
        if choice is not None:
            policy, scores = choice.policy, {**scores, **self._measures(choice)}
        return Adapted(
            policy=policy,
            snapshots=self.snapshots,
            references=references,
            curves=self.curves,
            artifacts={"policy": policy, "critic": self.state.critic, **groups},
            scores=scores,
        )

    def chosen(
        self,
        rac: RAC,
        models: Params | None,
        others: dict[int, Params],
        data: TaskData,
        context: Context,
    ) -> Choice | None:
        """The choice among the candidates and `others`, the policies after 0 steps (the meta-policy) or -1 (the clone).

        None without a model, without candidates, or where the order of the tasks' rows in time is not known.
        """
        if models is None or rac.dynamics is None or not self.candidates or data.episodes is None:
            return None
        units = rac.scales.units if rac.scales is not None and rac.settings.clip_rollouts else None
        noise = context.streams("choice", data.n_tasks)
        return choose(rac.dynamics, models, {**others, **self.candidates}, data, noise, units)

    def _measures(self, choice: Choice) -> dict[str, torch.Tensor]:
        """After how many steps the chosen policies were taken; 0 is the meta-policy, -1 the clone."""
        steps = torch.tensor(list(choice.candidates), device=choice.position.device)
        return {"chosen_steps": steps[choice.position].float()}


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
    wanted = {settings.steps * part // settings.candidates for part in range(1, settings.candidates + 1)} - {0}
    history = _History.empty(tuple(sorted({*context.snapshots, *wanted})))
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
    policies = {**history.policies, settings.steps: clone(state.policy)}
    asked = {*context.snapshots, settings.steps}
    snapshots, candidates = ({k: v for k, v in policies.items() if k in steps} for steps in (asked, wanted))
    curves = {key: torch.stack(rows) for key, rows in history.curves.items()}
    return AdaptedPolicies(state, snapshots, curves, candidates)


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
    duals = starting_duals(rac.settings, settings, alpha, meta.duals, n, context.device)
    buffer = empty_buffer(data.spec, n, rac.settings.model_buffer if rac.dynamics else 1, context.device)
    return fresh_state(expand(policy, n), expand(critic, n), duals, buffer)


def starting_duals(
    rac: RacSettings, settings: AdaptSettings, alpha: float, meta: Params, n: int, device: torch.device | str
) -> Duals:
    """The initial duals of n new tasks: as given for adaptation; else, where tuned, the training tasks' means.

    What is not tuned is the recipe's number, so that another one takes effect without meta-training again.
    """
    given = {
        "beta_initial": settings.beta_start,
        "lambda_initial": settings.lambda_start,
        "temperature_initial": settings.temperature_start,
    }
    duals = init_duals(rac.model_copy(update={k: v for k, v in given.items() if v is not None}), alpha, n, device)
    learnt: dict[str, Any] = {}
    if rac.beta_tune and settings.beta_start is None:
        learnt["log_beta"] = meta["log_beta"].expand(n).clone()
    if rac.lambda_tune and settings.lambda_start is None:
        learnt["lambda_"] = meta["lambda"].expand(n).clone()
    if rac.temperature_lr > 0 and settings.temperature_start is None:
        learnt["log_temperature"] = meta["log_temperature"].expand(n).clone()
    return duals._replace(**learnt)
