"""What policies are worth: rollouts in the true environments, with one batched policy call per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from merpo.interfaces import TaskFamily
from merpo.lazy import np, torch
from merpo.types import Task

__all__ = ["Evaluation", "evaluate", "oracle_evaluation"]


class Evaluation(NamedTuple):
    """Undiscounted returns and the first episode of each task."""

    returns: torch.Tensor  # [T, E]
    lengths: torch.Tensor  # [T, E]
    trajectories: list[list[list[float]]]  # per task, the observations of its first episode


def evaluate(
    family: TaskFamily,
    tasks: Sequence[Task],
    act: Callable[[torch.Tensor], torch.Tensor],
    episodes: int,
    seed: int,
    device: str = "cpu",
) -> Evaluation:
    """Run `act` (observations [T, E, O] -> actions [T, E, A]) for `episodes` episodes in every task's environment."""
    envs = [[family.make(task) for _ in range(episodes)] for task in tasks]
    seen = [[env.reset(seed=seed + e)[0] for e, env in enumerate(row)] for row in envs]
    returns, lengths = torch.zeros(len(tasks), episodes), torch.zeros(len(tasks), episodes)
    running = np.ones((len(tasks), episodes), dtype=bool)
    paths = [[list(map(float, row[0]))] for row in seen]
    while running.any():
        with torch.no_grad():
            actions = act(torch.as_tensor(np.asarray(seen), dtype=torch.float32, device=device)).cpu().numpy()
        for t, e in zip(*running.nonzero(), strict=True):
            seen[t][e], reward, terminated, truncated, _ = envs[t][e].step(actions[t, e])
            returns[t, e] += float(reward)
            lengths[t, e] += 1
            running[t, e] = not (terminated or truncated)
            if e == 0:
                paths[t].append(list(map(float, seen[t][e])))
    for env in (env for row in envs for env in row):
        env.close()
    return Evaluation(returns, lengths, paths)


def oracle_evaluation(family: TaskFamily, tasks: Sequence[Task], episodes: int, seed: int) -> Evaluation | None:
    """The returns of the optimal policies, or None where the family does not know them."""
    oracles = [family.oracle(task) for task in tasks]
    known = [oracle for oracle in oracles if oracle is not None]
    if len(known) < len(oracles):
        return None

    def act(observations: torch.Tensor) -> torch.Tensor:
        rows = [[oracle(o) for o in row] for oracle, row in zip(known, observations.cpu().numpy(), strict=True)]
        return torch.as_tensor(np.asarray(rows), dtype=torch.float32)

    return evaluate(family, tasks, act, episodes, seed)
