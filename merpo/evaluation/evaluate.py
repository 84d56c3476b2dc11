"""Rollouts of policies in environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple, TypeAlias

from merpo.components.interfaces import Method, TaskFamily
from merpo.lazy import np, torch
from merpo.nn.noise import Streams, derive_seed
from merpo.recipe.sections import PolicyKind
from merpo.types import Params, Task

__all__ = ["Actor", "Begun", "Evaluation", "actor", "evaluate", "oracle_evaluation", "starts"]


class Evaluation(NamedTuple):
    """Undiscounted returns, lengths and terminations of episodes, and the first trajectory of each task."""

    returns: torch.Tensor  # [T, E]
    lengths: torch.Tensor  # [T, E]
    terminations: torch.Tensor  # [T, E], 1.0 for a terminal state, 0.0 for a time-out
    trajectories: list[list[list[float]]]  # per task, the observations of its first episode
    begun: Begun | None = None


class Begun(NamedTuple):
    """How episodes begin, and their discounted returns: what a critic can be compared with."""

    observations: torch.Tensor  # [T, E, O]
    actions: torch.Tensor  # [T, E, A]
    discounted: torch.Tensor  # [T, E]


def evaluate(
    family: TaskFamily,
    tasks: Sequence[Task],
    act: Callable[[torch.Tensor], torch.Tensor],
    episodes: int,
    seed: int,
    device: str = "cpu",
    discount: torch.Tensor | None = None,
) -> Evaluation:
    """Run `act` (observations [T, E, O] -> actions [T, E, A]) for `episodes` episodes in every task's environment.

    With a `discount` [T], how they begin and their discounted returns are kept, too.
    """
    returns, discounted, lengths, terminations = (torch.zeros(len(tasks), episodes) for _ in range(4))
    factor, begin = torch.ones(len(tasks), 1), None
    with closing(family.grid(tasks, episodes, seed, restart=False)) as grid:
        first = [grid.observations()[:, 0]]  # of every task's first episode, by step
        while grid.running.any() and len(first) <= family.horizon:
            lengths += torch.as_tensor(grid.running)
            observations = grid.observations()
            with torch.no_grad():
                actions = act(observations.to(device)).cpu()
            batch, _ = grid.step(observations, actions)
            returns += batch.rewards
            if discount is not None:
                begin = (observations, actions) if begin is None else begin
                discounted += factor * batch.rewards
                factor = factor * discount.cpu().view(-1, 1)
            terminations += batch.terminations
            first.append(batch.next_observations[:, 0])
    paths = [path[: int(n) + 1].tolist() for path, n in zip(torch.stack(first, 1), lengths[:, 0], strict=True)]
    return Evaluation(returns, lengths, terminations, paths, None if begin is None else Begun(*begin, discounted))


def starts(seed: int) -> int:
    """The seed of a run's evaluation episodes, distinct from other runs' and from those of the data."""
    return derive_seed(seed, "evaluate") % 2**31  # some environments accept only 32 bits


def oracle_evaluation(family: TaskFamily, tasks: Sequence[Task], episodes: int, seed: int) -> Evaluation | None:
    """The evaluation of the optimal policies, or None if the family does not provide them for all tasks."""
    oracles = [family.oracle(task) for task in tasks]
    known = [oracle for oracle in oracles if oracle is not None]
    if len(known) < len(oracles):
        return None

    def act(observations: torch.Tensor) -> torch.Tensor:
        rows = [[oracle(o) for o in row] for oracle, row in zip(known, observations.cpu().numpy(), strict=True)]
        return torch.as_tensor(np.asarray(rows), dtype=torch.float32)

    return evaluate(family, tasks, act, episodes, seed)


Actor: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"  # observations [T, E, O] -> actions [T, E, A]


def actor(
    method: Method, policy: Params, kind: PolicyKind, action_dim: int, seed: int, tasks: Sequence[int], device: str
) -> Actor:
    """The actor of policies [T, ...], one per task; `tasks` are their indices.

    Each actor starts new random streams, and a task's draws do not depend on the other tasks.
    """
    if kind == "deterministic":
        return lambda observations: method.act(policy, observations)
    noise = Streams.seeded((derive_seed(seed, "evaluate", task) for task in tasks), device)
    return lambda observations: method.sample(policy, observations, noise.normal(observations.shape[1], action_dim))
