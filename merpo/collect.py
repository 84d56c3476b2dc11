"""Offline data as in appendix A.2.2: SAC on every task, checkpoints of different quality, rollouts of a checkpoint.

SAC is RAC with β = λ = 0, no model, and a buffer that grows; all tasks train at once in the same stacked engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from merpo.collect_settings import CollectSettings
from merpo.context import Context
from merpo.dataset import TaskData, TaskDataset, concatenate, pack
from merpo.duals import init_duals
from merpo.evaluation import evaluate
from merpo.interfaces import Critic, TaskFamily
from merpo.lazy import np, torch
from merpo.params import clone, expand, stack, tree_map
from merpo.policy import act, init_policy
from merpo.rac import RAC, TaskState, fresh_state, rac_step
from merpo.rollout import empty_buffer
from merpo.settings import RacSettings
from merpo.types import Batch, Params, Spec, Task

if TYPE_CHECKING:
    from merpo.recipe import Recipe

__all__ = [
    "QUALITIES",
    "Checkpoints",
    "Episodes",
    "collect_quality",
    "collect_recipe",
    "pick_checkpoints",
    "roll_out_policies",
    "train_behavior",
]

QUALITIES = ("random", "medium", "expert", "mixed")


class Checkpoints(NamedTuple):
    """Behaviour policies of T tasks at K moments of SAC training; the first is untrained."""

    policies: Params  # [K, T, ...]
    steps: list[int]  # environment steps taken by each task at each checkpoint
    returns: torch.Tensor  # [K, T], mean return of stochastic episodes


def train_behavior(
    family: TaskFamily, critic: Critic, tasks: Sequence[Task], settings: CollectSettings, context: Context
) -> Checkpoints:
    """SAC on all `tasks` at once, `settings.steps` environment steps each, with a checkpoint every so many."""
    spec, n = family.spec(), len(tasks)
    rac = RAC(_sac_settings(settings), critic, None, None)
    generator, noise = context.generator("collect-init"), context.streams("collect", n)
    state = _first_state(rac, spec, n, generator)
    envs = _Envs(family, tasks, 1, context.seed, restart=True)
    width = 2 * spec.observation_dim + spec.action_dim + 2
    rows = torch.zeros(n, settings.steps, width)
    policies, steps, returns = [], [], []
    for step in range(settings.steps + 1):
        if step % settings.checkpoint_every == 0:
            policies.append(clone(state.policy))
            steps.append(step)
            returns.append(_mean_returns(family, tasks, state.policy, spec, context))
            context.log("collect", step, settings.steps, {"return": returns[-1]})
        if step == settings.steps:
            break
        seen = envs.observations()
        if step < settings.seed_steps:
            actions = noise.uniform(1, spec.action_dim) * 2.0 - 1.0
        else:
            with torch.no_grad():
                actions = act(state.policy, seen, noise.normal(1, spec.action_dim))
        rows[:, step] = pack(envs.step(seen, actions)[0])[:, 0]
        if step + 1 >= settings.seed_steps and step % settings.update_every == 0:
            starts = tuple(t * settings.steps for t in range(n))
            data = TaskData(rows.view(-1, width), starts, (step + 1,) * n, spec)
            state, _, _ = rac_step(rac, state, data, None, None, noise)
    return Checkpoints(stack(policies), steps, torch.stack(returns))


def pick_checkpoints(checkpoints: Checkpoints, quality: str, medium_fraction: float) -> list[list[int]]:
    """Which checkpoints make a quality, per task.

    random: the untrained policy. expert: the best. medium: the first that closes `medium_fraction` of the distance
    from random to best. mixed: all of them in turn.
    """
    returns = checkpoints.returns
    if quality == "mixed":
        return [list(range(len(returns)))] * returns.shape[1]
    if quality == "random":
        return [[0]] * returns.shape[1]
    if quality == "expert":
        return [[int(k)] for k in returns.argmax(0)]
    first, best = returns[0], returns.amax(0)
    good = returns >= first + medium_fraction * (best - first)
    return [[int(k)] for k in good.int().argmax(0)]


class Episodes(NamedTuple):
    """One task's data of one quality, and the policy that made it where it was a single one."""

    data: TaskDataset
    policy: Params | None
    step: int  # environment steps for which that policy was trained; the last one's for mixed data


def collect_quality(
    family: TaskFamily,
    tasks: Sequence[Task],
    index: Sequence[int],
    checkpoints: Checkpoints,
    quality: str,
    episodes: int,
    settings: CollectSettings,
    context: Context,
) -> list[Episodes]:
    """`episodes` stochastic episodes of each task, from the checkpoints that make `quality`.

    `index` says which task of the checkpoints each of `tasks` is.
    """
    picks = pick_checkpoints(checkpoints, quality, settings.medium_fraction)
    parts: list[list[TaskDataset]] = [[] for _ in tasks]
    rounds = len(picks[0])
    for k in range(rounds):
        share = episodes // rounds + (k < episodes % rounds)
        if share == 0:
            continue
        chosen = [picks[i][k] for i in index]
        policies = tree_map(lambda leaf: leaf[chosen, list(index)], checkpoints.policies)  # noqa: B023
        labelled = replace(context, labels=tuple(f"{quality}-{k}-{i}" for i in index))
        for part, data in zip(parts, roll_out_policies(family, tasks, policies, share, labelled), strict=True):
            part.append(data)
    single = rounds == 1
    return [
        Episodes(
            concatenate(part),
            tree_map(lambda leaf: leaf[picks[i][0], i], checkpoints.policies) if single else None,  # noqa: B023
            checkpoints.steps[picks[i][-1]],
        )
        for part, i in zip(parts, index, strict=True)
    ]


def roll_out_policies(
    family: TaskFamily, tasks: Sequence[Task], policies: Params, episodes: int, context: Context
) -> list[TaskDataset]:
    """`episodes` stochastic episodes of each task's policy [T, ...] as one dataset per task."""
    spec = family.spec()
    noise = context.streams("collect-episodes", len(tasks))
    envs = _Envs(family, tasks, episodes, context.seed, restart=False)
    steps: list[tuple[Batch, torch.Tensor, torch.Tensor]] = []
    for _ in range(family.horizon):
        seen = envs.observations()
        with torch.no_grad():
            actions = act(policies, seen, noise.normal(episodes, spec.action_dim))
        alive = torch.as_tensor(envs.running.copy())
        batch, truncated = envs.step(seen, actions)
        steps.append((batch, truncated, alive))
        if not envs.running.any():
            break
    return [_one_dataset(t, steps, task) for t, task in enumerate(tasks)]


def _one_dataset(t: int, steps: list[tuple[Batch, torch.Tensor, torch.Tensor]], task: Task) -> TaskDataset:
    """Time-major steps of all tasks -> one task's rows, episode after episode."""
    alive = torch.stack([a[t] for _, _, a in steps], 1)  # [E, H]
    fields = {key: torch.stack([getattr(b, key)[t] for b, _, _ in steps], 1)[alive] for key in Batch._fields}
    truncations = torch.stack([x[t] for _, x, _ in steps], 1)[alive]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), alive.sum(1).cumsum(0)])
    return TaskDataset(**fields, truncations=truncations, episode_offsets=offsets, task=task, name=f"task {t}")


class _Envs:
    """T × E environments, which start again when they end (training) or stay ended (one episode each)."""

    def __init__(self, family: TaskFamily, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> None:
        self.envs = [[family.make(task) for _ in range(episodes)] for task in tasks]
        self.restart = restart
        self.seen = np.stack([[env.reset(seed=seed + e)[0] for e, env in enumerate(row)] for row in self.envs])
        self.running = np.ones(self.seen.shape[:2], dtype=bool)

    def observations(self) -> torch.Tensor:
        """[T, E, O]."""
        return torch.as_tensor(self.seen, dtype=torch.float32)

    def step(self, seen: torch.Tensor, actions: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """One step everywhere: the transitions [T, E, ...] and which were cut by time [T, E]."""
        moves = actions.numpy()
        shape = self.seen.shape[:2]
        rewards, ends, cuts = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        following = self.seen.copy()
        for t, e in zip(*self.running.nonzero(), strict=True):
            following[t, e], rewards[t, e], ends[t, e], cuts[t, e], _ = self.envs[t][e].step(moves[t, e])
        self.seen = following.copy()
        done = (ends > 0) | (cuts > 0)
        if self.restart:
            for t, e in zip(*done.nonzero(), strict=True):
                self.seen[t, e] = self.envs[t][e].reset()[0]
        else:
            self.running &= ~done
        batch = Batch(*(torch.as_tensor(x, dtype=torch.float32) for x in (seen, actions, rewards, following, ends)))
        return batch, torch.as_tensor(cuts)


def _mean_returns(
    family: TaskFamily, tasks: Sequence[Task], policy: Params, spec: Spec, context: Context, episodes: int = 5
) -> torch.Tensor:
    noise = context.streams("collect-eval", len(tasks))
    play: Callable[[torch.Tensor], torch.Tensor] = lambda s: act(policy, s, noise.normal(episodes, spec.action_dim))  # noqa: E731
    return evaluate(family, tasks, play, episodes, context.seed).returns.mean(1)


def _sac_settings(settings: CollectSettings) -> RacSettings:
    return RacSettings(
        policy_hidden=settings.hidden,
        discount=settings.discount,
        batch_size=settings.batch_size,
        real_ratio=1.0,
        use_model=False,
        critic_lr=settings.learning_rate,
        actor_lr=settings.learning_rate,
        polyak=settings.polyak,
        temperature_lr=settings.learning_rate,
        temperature_initial=settings.temperature,
        beta_initial=0.0,
        beta_tune=False,
        lambda_initial=0.0,
        lambda_tune=False,
    )


def _first_state(rac: RAC, spec: Spec, n: int, generator: torch.Generator) -> TaskState:
    policy = expand(init_policy(spec, rac.settings.policy_hidden, generator), n)
    critic = expand(rac.critic.init(spec, generator), n)
    return fresh_state(policy, critic, init_duals(rac.settings, 0.0, n, "cpu"), empty_buffer(spec, n, 1, "cpu"))


def collect_recipe(recipe: Recipe) -> None:
    """Collect the data that a recipe needs and the store lacks, with progress; what `merpo collect` does."""
    from merpo.data import ensure_data
    from merpo.progress import Progress

    with Progress() as progress:
        ensure_data(recipe, Context(seed=recipe.collect.seed, log=progress.log), progress.note)
