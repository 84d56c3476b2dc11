"""Rollouts of length one: merpo, with one elite per row, and the approach of OfflineRL-Kit, MOPO and MBPO.

In those, task by task, every member predicts and samples every row, and an elite is then chosen per row at random, in
NumPy. With equal members and the noise set to zero both must give the same rows.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from _networks import MLP, EnsembleMLP, Fields, Scales, distribution, soft_clamp
from _options import parse
from _problem import SIZES, Problem, make_problem, multiplications
from _timing import Variant, interleave, parser, prepare, show, summary, write

from merpo.algorithm.rollout import roll_out
from merpo.nn.noise import Streams
from merpo.nn.packed import pack
from merpo.types import Params

SHAPES = {  # tasks, rows, and how many times the rounds asked for
    "batch": (8, 260, 6),
    "epoch": (1, 50_000, 1),
    "tiny": (2, 20, 1),
}


class Kit:
    """One task's rollouts as in the public implementations."""

    def __init__(self, problem: Problem, t: int, seed: int, still: bool = False) -> None:
        def mine(params: Params) -> Params:
            return {key: value[t] for key, value in params.items()}

        self.policy, models = MLP(mine(problem.state.policy)), mine(problem.members)
        self.model, self.scales, self.elites = EnsembleMLP(models), Scales.of(models), problem.elites[t].numpy()
        data = problem.data
        self.data = Fields(data.rows[data.starts[t] : data.starts[t] + data.sizes[t]], data.spec)
        self.starts, self.random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        self.scale = 0.0 if still else 1.0

    @torch.no_grad()
    def roll_out(self, count: int) -> np.ndarray:
        """Rows [count, 2 O + A + 2]."""
        index = torch.randint(len(self.data), (count,), generator=self.starts).numpy()  # as `TaskData.sample` draws
        start = self.data.sample(index).observations.numpy()
        policy = distribution(self.policy, torch.from_numpy(start))
        actions = policy.sample(self.scale * torch.randn(policy.mean.shape))[0].numpy()
        following, rewards = self.step(start, actions)
        ends = np.zeros((count, 1), dtype=start.dtype)
        return np.concatenate([start, actions, rewards[:, None], following, ends], axis=-1)

    @torch.no_grad()
    def step(self, start: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """s' and r of every row."""
        inputs = self.scales.normalised(torch.from_numpy(start), torch.from_numpy(actions))
        mean, log_var = soft_clamp(self.model(inputs))
        means, stds = mean.numpy(), np.sqrt(np.exp(log_var.numpy()))
        samples = means + self.scale * self.random.normal(size=means.shape).astype(means.dtype) * stds
        drawn = samples[self.random.choice(self.elites, size=len(start)), np.arange(len(start))]
        drawn = drawn * self.scales.target_std.numpy() + self.scales.target_mean.numpy()
        return start + drawn[:, :-1], drawn[:, -1]


def main() -> None:
    """Check that results agree, time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    check()
    shapes = {name: SHAPES[name] for name in arguments.shapes}
    write(arguments, {"shapes": {name: measure(t, n, k * arguments.rounds) for name, (t, n, k) in shapes.items()}})


def measure(tasks: int, count: int, rounds: int) -> dict[str, Any]:
    """Time both variants for numbers of tasks and rows: complete rollouts, and the model's step alone."""
    problem = make_problem(SIZES["4x256"], tasks)
    kits = [Kit(problem, t, t) for t in range(tasks)]
    noise = Streams.seeded(range(tasks))
    batch = problem.data.sample(noise, count)
    rows = [(batch.observations[t].numpy(), batch.actions[t].numpy()) for t in range(tasks)]

    @torch.no_grad()
    def step() -> None:
        problem.rac.dynamics.step(problem.models, problem.data.spec, batch.observations, batch.actions, noise)

    pairs: dict[str, tuple[Variant, Variant]] = {
        "rollouts": (lambda: [kit.roll_out(count) for kit in kits], lambda: merpo_rows(problem, noise, count)),
        "model steps": (lambda: [kit.step(*row) for kit, row in zip(kits, rows, strict=True)], step),
    }
    return {what: compare(what, problem, count, pair, rounds) for what, pair in pairs.items()}


def compare(what: str, problem: Problem, count: int, pair: tuple[Variant, Variant], rounds: int) -> dict[str, Any]:
    """Time kit and merpo."""
    timings = interleave(dict(zip(("kit", "merpo"), pair, strict=True)), rounds)
    work = flop(problem, count, with_policy=what == "rollouts")
    found = show(f"{what}, {problem.tasks} tasks x {count} rows", timings, ("kit",), work)
    transitions = problem.tasks * count
    rates = {name: summary([transitions / x for x in seconds]) for name, seconds in timings.seconds.items()}
    for name, rate in rates.items():
        print(f"  {name}: {rate.median:,.0f} transitions/s ({rate.low:,.0f}-{rate.high:,.0f})")
    return {**found, "transitions_per_second": {name: rate._asdict() for name, rate in rates.items()}}


def merpo_rows(problem: Problem, noise: Streams, count: int) -> torch.Tensor:
    """Rows [T, count, 2 O + A + 2] by merpo."""
    return roll_out(problem.rac.dynamics, problem.models, problem.state.policy, problem.data, noise, count, 1)


def flop(problem: Problem, count: int, with_policy: bool) -> float:
    """FLOP of merpo's products: one elite per row, and the policy."""
    o, a, elites = problem.data.spec.observation_dim, problem.data.spec.action_dim, problem.elites.shape[1]
    policy = count * multiplications(o, *problem.rac.settings.policy_hidden, 2 * a) if with_policy else 0
    model = elites * -(-count // elites) * multiplications(o + a, *problem.rac.dynamics.hidden, 2 * (o + 1))
    return 2.0 * problem.tasks * (policy + model)


def check(tolerance: float = 1e-5) -> None:
    """Check that both give equal rows if a task's members are equal and only the starts are random; exit if not."""
    problem, count = make_problem(SIZES["tiny"], 3, rows=40), 7
    problem = _alike(problem)
    seeds = range(problem.tasks)
    noise = Streams.seeded(seeds)
    noise.normal = lambda *shape: torch.zeros(len(noise), *shape)  # type: ignore[method-assign]
    ours = merpo_rows(problem, noise, count)
    theirs = torch.stack([torch.from_numpy(Kit(problem, t, t, still=True).roll_out(count)) for t in seeds])
    worst = float((ours - theirs).abs().max())
    if not worst < tolerance:
        raise AssertionError(f"kit: rows differ from merpo's by {worst:.1e} with equal members")
    print(f"kit equals merpo within {worst:.1e} with equal members and without noise")


def _alike(problem: Problem) -> Problem:
    """The problem with every member of a task's ensemble replaced by its first."""

    def alike(models: Params) -> Params:
        firsts = {key: value[:, :1] for key, value in problem.members.items() if not key.startswith("stat.")}
        return pack({**models, **{key: first.expand_as(models[key]) for key, first in firsts.items()}})

    return problem._replace(models=alike(problem.models), members=alike(problem.members))


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=4)
    made.add_argument("--shapes", nargs="+", choices=sorted(SHAPES), default=["batch", "epoch"])
    return parse(made, rounds=1, shapes=["tiny"])


if __name__ == "__main__":
    main()
