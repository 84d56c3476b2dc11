"""Training of behaviour policies by SAC, and choice of the policies of a quality (A.2.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from merpo.algorithm.duals import init_duals
from merpo.algorithm.rac import RAC, TaskState, fresh_state, rac_step
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import RacSettings
from merpo.artifacts.trees import flatten
from merpo.components.context import Context
from merpo.components.interfaces import Critic, TaskFamily
from merpo.components.task_data import TaskData, from_rows, to_rows
from merpo.errors import PluginError
from merpo.evaluation.evaluate import evaluate
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import clone, expand, fast_layout, stack, tree_map
from merpo.nn.policy import act, init_policy
from merpo.recipe.sections import QUALITIES, CollectSettings
from merpo.types import Grid, Params, Spec, Task

__all__ = [
    "LOOP",
    "MEASURED_EPISODES",
    "QUALITIES",
    "BehaviorPolicies",
    "choose_policies",
    "sac_state",
    "state_bytes",
    "train_behavior",
]

LOOP = "collect"  # label of the training loop in checkpoints and logs
MEASURED_EPISODES = 5  # per task, for the return of a policy


class BehaviorPolicies(NamedTuple):
    """Behaviour policies of T tasks at K stages of SAC training; the first is untrained."""

    policies: Params  # [K, T, ...]
    steps: list[int]  # environment steps of each task before each policy
    returns: torch.Tensor  # [K, T], mean return of stochastic episodes


class Training(NamedTuple):
    """The constant inputs of a SAC iteration on T tasks, with one environment of each."""

    rac: RAC
    grid: Grid
    spec: Spec
    settings: CollectSettings
    rows: torch.Tensor  # [T, steps, D], the replay buffer: a row per environment step
    noise: Streams


def collection_iteration(training: Training, state: TaskState, step: int) -> tuple[TaskState, dict[str, torch.Tensor]]:
    """A.2.2: environment step `step` (from 0) of every task, and the gradient step of SAC that follows it.

    Returns the next state, and metrics [T] if there was a gradient step. Rows are written in place.
    """
    _, grid, spec, settings, rows, noise = training
    seen = grid.observations()
    if step < settings.seed_steps:
        actions = noise.uniform(1, spec.action_dim) * 2.0 - 1.0
    else:
        with torch.no_grad():
            actions = act(state.policy, seen, noise.normal(1, spec.action_dim))
    rows[:, step] = to_rows(grid.step(seen, actions)[0])[:, 0]
    if not settings.learns(step):
        return state, {}
    tasks, capacity, width = rows.shape
    starts = tuple(task * capacity for task in range(tasks))
    data = TaskData(rows.view(-1, width), starts, (step + 1,) * tasks, spec)
    state, _, metrics = rac_step(training.rac, state, data, None, None, noise)
    return state, metrics


def train_behavior(
    family: TaskFamily, critic: Critic, tasks: Sequence[Task], settings: CollectSettings, context: Context
) -> BehaviorPolicies:
    """SAC on all `tasks` at once, `settings.steps` environment steps each, with policies saved and measured."""
    spec, n = family.spec(), len(tasks)
    noise = context.streams("collect", n)
    rac, state = sac_state(settings, critic, spec, n, context.generator("collect-init"))
    grid = family.grid(tasks, 1, context.seed, restart=True)
    rows = torch.zeros(n, settings.steps, 2 * spec.observation_dim + spec.action_dim + 2)
    training = Training(rac, grid, spec, settings, rows, noise)
    policies, steps, returns = [], [], []
    start: dict[str, Any] = {"state": state, "noise": noise, "rows": None, "policies": None, "returns": None}
    first, saved = context.resume(LOOP, start)
    if first:
        _replay(grid, saved["rows"], spec)
        state, rows[:, :first] = saved["state"], saved["rows"]
        returns = list(saved["returns"])
        every = fast_layout(saved["policies"])
        policies = [clone(tree_map(lambda leaf: leaf[k], every)) for k in range(len(returns))]  # noqa: B023
        steps = [step for step in range(first) if step % settings.checkpoint_every == 0]
    for step in range(first, settings.steps + 1):
        if settings.keeps_policy(step):
            policies.append(clone(state.policy))
            steps.append(step)
            returns.append(_mean_returns(family, tasks, state.policy, spec, context))
            context.log(LOOP, step, settings.steps, {"return": returns[-1]})
        if step == settings.steps:
            break
        context.on_step()
        state, metrics = collection_iteration(training, state, step)
        if metrics:
            context.check("collect", step + 1, metrics)
        context.save_state(LOOP, step + 1, lambda: _loop_state(state, noise, rows[:, : step + 1], policies, returns))  # noqa: B023
    grid.close()
    return BehaviorPolicies(stack(policies), steps, torch.stack(returns))


def _loop_state(
    state: TaskState, noise: Streams, rows: torch.Tensor, policies: list[Params], returns: list[torch.Tensor]
) -> dict[str, Any]:
    """The state of the training loop for a checkpoint; environments are restored by the actions in `rows`."""
    measured = {"policies": dict(stack(policies)), "returns": torch.stack(returns)}
    return {"state": state, "noise": noise, "rows": rows, **measured}


def _replay(grid: Grid, rows: torch.Tensor, spec: Spec) -> None:
    """Restore the state of the environments by replaying the actions of `rows` [T, steps, D].

    Raises `PluginError` if the transitions differ.
    """
    for step, expected in enumerate(rows.unbind(1)):
        actions = from_rows(expected[:, None], spec).actions.contiguous()
        found = to_rows(grid.step(grid.observations(), actions)[0])[:, 0]
        if not torch.equal(found, expected):
            task = int((found != expected).any(1).nonzero()[0])
            raise PluginError(
                f"collect, step {step}: the environment of task {task} is not deterministic: the same actions gave "
                "other transitions, so training cannot resume; delete the checkpoint to train from scratch"
            )


def choose_policies(trained: BehaviorPolicies, quality: str, medium_fraction: float) -> list[list[int]]:
    """The indices of the policies of a quality, per task.

    random: the untrained policy. expert: the best. medium: the first that reaches `medium_fraction` of the distance
    from random to best. mixed: all of them in order.
    """
    returns = trained.returns
    if quality == "mixed":
        return [list(range(len(returns)))] * returns.shape[1]
    if quality == "random":
        return [[0]] * returns.shape[1]
    if quality == "expert":
        return [[int(k)] for k in returns.argmax(0)]
    first, best = returns[0], returns.amax(0)
    good = (returns >= first + medium_fraction * (best - first)) | (returns == best)  # the sum may round above the best
    return [[int(k)] for k in good.int().argmax(0)]


def _mean_returns(
    family: TaskFamily, tasks: Sequence[Task], policy: Params, spec: Spec, context: Context
) -> torch.Tensor:
    noise, e = context.streams("collect-eval", len(tasks)), MEASURED_EPISODES
    play: Callable[[torch.Tensor], torch.Tensor] = lambda s: act(policy, s, noise.normal(e, spec.action_dim))  # noqa: E731
    return evaluate(family, tasks, play, e, context.seed).returns.mean(1)


def sac_state(
    settings: CollectSettings, critic: Critic, spec: Spec, n: int, generator: torch.Generator
) -> tuple[RAC, TaskState]:
    """SAC and its initial state for `n` tasks."""
    rac = RAC(_sac_settings(settings), critic, None, None)
    policy = expand(init_policy(spec, rac.settings.policy_hidden, generator), n)
    networks = expand(rac.critic.init(spec, generator), n)
    state = fresh_state(policy, networks, init_duals(rac.settings, 0.0, n, "cpu"), empty_buffer(spec, n, 1, "cpu"))
    return rac, state


def state_bytes(settings: CollectSettings, critic: Critic, spec: Spec) -> int:
    """Bytes of one task's training state in a checkpoint, without rows and saved policies."""
    generator = torch.Generator()
    state = {"state": sac_state(settings, critic, spec, 1, generator)[1], "noise": Streams([generator])}
    return sum(leaf.numel() * leaf.element_size() for leaf in flatten(state).values())


def _sac_settings(settings: CollectSettings) -> RacSettings:
    return RacSettings(
        policy_hidden=settings.hidden,
        discount=settings.discount,
        reward_scale=1.0,
        batch_size=settings.batch_size,
        real_ratio=1.0,
        use_model=False,
        critic_lr=settings.learning_rate,
        actor_lr=settings.learning_rate,
        polyak=settings.polyak,
        max_entropy=True,
        temperature_lr=settings.learning_rate,
        temperature_initial=settings.temperature,
        beta_initial=0.0,
        beta_tune=False,
        lambda_initial=0.0,
        lambda_tune=False,
        lambda_relative=False,
    )
