"""Random tasks of given sizes for timing one step of Algorithm 1, and the FLOP of its matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from merpo.algorithm.duals import init_duals
from merpo.algorithm.meta_model import init_meta_model
from merpo.algorithm.rac import RAC, Anchors, TaskState, fresh_state, rac_step
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import BehaviorSettings, RacSettings
from merpo.components.task_data import TaskData
from merpo.data.dataset import TaskDataset, stack_tasks
from merpo.nn.noise import Streams
from merpo.nn.packed import pack
from merpo.nn.params import clone, expand, stack
from merpo.nn.policy import init_policy
from merpo.types import Params, Spec
from merpo_critics import Conservative
from merpo_dynamics import ProbabilisticEnsemble
from merpo_regularizers import KL

__all__ = ["SIZES", "Problem", "Sizes", "Stepper", "make_data", "make_problem", "multiplications", "step_flop"]


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a task family, and sizes of networks and batches."""

    observation_dim: int
    action_dim: int
    hidden: tuple[int, ...]  # of policies and critics
    dynamics_hidden: tuple[int, ...]
    batch: int  # half of the rows are from the model
    rollout_batch: int
    members: int = 7
    elites: int = 5
    clone: tuple[int, ...] = BehaviorSettings().hidden


SIZES = {
    "tiny": Sizes(3, 2, (9, 8), (6,), 8, 7, 4, 3, (5,)),  # for checks; uneven on purpose, to find errors in shapes
    "3x64": Sizes(2, 2, (64,) * 3, (64,) * 3, 128, 64),  # Point-Robot-Wind, networks that learn it
    "4x256": Sizes(17, 6, (256,) * 4, (256,) * 4, 256, 128),
    "5x300": Sizes(17, 6, (300,) * 5, (256,) * 4, 256, 260),  # Walker-2D-Params, A.2.1 and A.2.2
}


class Problem(NamedTuple):
    """T tasks with the initial training state."""

    rac: RAC
    state: TaskState
    data: TaskData
    members: Params  # every member's network [T, member, ...]
    elites: torch.Tensor  # indices of the best members, best first [T, elite]
    models: Params  # the elites' networks [T, elite, ...]
    anchors: Anchors | None

    @property
    def tasks(self) -> int:
        """The number of tasks, T."""
        return self.data.n_tasks


# The steps that the reference implementations take: the paper's, on rewards as they are
TABLE_2: dict[str, Any] = {
    "discount": 0.99, "reward_scale": 1.0, "rollout_length": 1, "actor_lr": 1e-3, "polyak": 5e-3, "max_entropy": True,
    "beta_initial": 0.5, "beta_tune": True, "lambda_initial": 5.0, "lambda_tune": True, "lambda_relative": False,
    "clip_rollouts": False, "halt": False,
}  # fmt: skip


class Stepper:
    """Repeated `rac_step` on a problem: merpo's side of a comparison."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self.problem = problem
        self.state = clone(problem.state)  # steps are in place
        self.noise = Streams.seeded(range(seed, seed + problem.tasks))

    def step(self) -> None:
        """One inner step for all tasks."""
        problem = self.problem
        self.state, _, _ = rac_step(problem.rac, self.state, problem.data, problem.models, problem.anchors, self.noise)


def make_problem(
    sizes: Sizes,
    tasks: int,
    rows: int = 2000,
    anchored: bool = True,
    critic: dict[str, Any] | None = None,
    **knobs: Any,
) -> Problem:
    """Random data, networks and anchors; every task has its own. Without anchors the actor's step is SAC's (COMBO)."""
    settings = {
        **TABLE_2,
        "policy_hidden": sizes.hidden,
        "batch_size": sizes.batch,
        "rollout_batch": sizes.rollout_batch,
        **knobs,
    }
    dynamics = ProbabilisticEnsemble(
        members=sizes.members, elites=sizes.elites, hidden=sizes.dynamics_hidden, beta_nll=0.0
    )
    chosen = Conservative(hidden=sizes.hidden, **{"output_scale": 1.0, "standardize_actions": False, **(critic or {})})
    rac = RAC(RacSettings(**settings), chosen, KL() if anchored else None, dynamics)
    generator = torch.Generator().manual_seed(0)
    data = make_data(sizes, tasks, rows)
    spec = data.spec
    policies = stack([init_policy(spec, sizes.hidden, generator) for _ in range(tasks)])
    critics = stack([chosen.init(spec, generator) for _ in range(tasks)])
    buffer = empty_buffer(spec, tasks, rac.settings.model_buffer, "cpu")
    state = fresh_state(policies, critics, init_duals(rac.settings, 0.4, tasks, "cpu"), buffer)
    members = pack(expand(init_meta_model(dynamics, data, generator), tasks))
    scores = torch.rand(tasks, sizes.members, generator=generator)
    elites = scores.topk(sizes.elites, dim=-1, largest=False).indices
    clones = pack(stack([init_policy(spec, sizes.clone, generator) for _ in range(tasks)]))
    anchors = Anchors(clones, pack(init_policy(spec, sizes.hidden, generator))) if anchored else None
    return Problem(rac, state, data, members, elites, pack(dynamics.keep_best(members, scores)), anchors)


def make_data(sizes: Sizes, tasks: int, rows: int) -> TaskData:
    """Random transitions of every task."""
    spec = Spec(sizes.observation_dim, sizes.action_dim)
    return stack_tasks([make_dataset(spec, rows, t) for t in range(tasks)], spec)


def make_dataset(spec: Spec, rows: int, seed: int) -> TaskDataset:
    """Random transitions of one task, one episode."""
    g = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, spec.observation_dim, generator=g)
    following = states + 0.1 * torch.randn(rows, spec.observation_dim, generator=g)
    actions = torch.randn(rows, spec.action_dim, generator=g).tanh()
    never, offsets = torch.zeros(rows), torch.tensor([0, rows])
    return TaskDataset(states, actions, torch.randn(rows, generator=g), following, never, never.clone(), offsets)


def multiplications(*sizes: int) -> int:
    """Multiplications of one row's forward pass through a network with these layer sizes."""
    return sum(a * b for a, b in pairwise(sizes))


def step_flop(problem: Problem) -> float:
    """FLOP of the matrix products of merpo's `rac_step`, without padding (2 per multiplication).

    A forward pass costs P, Q, M, C per row of policy, critic, model, behaviour clone; a backward pass to the weights
    twice that, less the first layer's input gradient; one to the inputs alone, once that.
    """
    rac, spec = problem.rac, problem.data.spec
    settings, critic, dynamics = rac.settings, rac.critic, rac.dynamics
    o, a, k = spec.observation_dim, spec.action_dim, critic.critics
    policy, value = (o, *settings.policy_hidden, 2 * a), (o + a, *critic.hidden, 1)
    p, q = multiplications(*policy), multiplications(*value)
    m = multiplications(o + a, *dynamics.hidden, 2 * (o + 1))
    batch, rollouts = settings.batch_size, settings.rollout_batch * settings.rollout_length
    real = round(batch * settings.real_ratio)
    rho, dealt = batch - real, dynamics.elites * -(-rollouts // dynamics.elites)
    pushed = rho if critic.penalty == "rho" else 3 * critic.proposals * rho  # rows at which Eq. (1) penalises Q
    proposals = 0 if critic.penalty == "rho" else rho  # π(s') at the states of ρ; π(s) is already computed
    total = rollouts * p + dealt * m  # D_model: each row by one elite
    total += batch * p + batch * k * q  # π(s'), targets
    total += proposals * p  # the actions at which Q is penalised
    total += (batch + pushed) * k * (3 * q - value[0] * value[1])  # Eq. (1)
    total += batch * (3 * p - policy[0] * policy[1])  # π(s) at the data's states and at those of ρ
    total += rho * k * 2 * q  # Q(s, a) and its gradient in a
    if problem.anchors is not None:
        sizes = [problem.anchors.behavior[f"w{i}"].shape[-2:] for i in range(len(problem.anchors.behavior) // 2)]
        total += real * multiplications(o, *(size[1] for size in sizes)) + rho * p  # π̂_β, π_c
    return 2.0 * total * problem.tasks
