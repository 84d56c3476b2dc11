"""Evaluation of a different policy per task in MuJoCo environments: merpo and a plain Gymnasium loop.

`gym loop` is the usual approach: task by task, one environment, one action at a time from a `torch.nn.Module`. Its
environments are made beforehand, those of `merpo` in every round. `env by env` is merpo with the default grid: the
actions of all tasks in one call, but Gymnasium's environments. The returns must be equal.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import torch
from _bodies import KINDS, Bodies, loop
from _networks import MLP
from _options import parse
from _timing import interleave, parser, prepare, show, write

from merpo.evaluation.evaluate import evaluate
from merpo.nn.packed import pack
from merpo.nn.policy import act, init_policy
from merpo.types import Params

TOLERANCE = 1e-5  # of a return; merpo sums rewards in float32


def main() -> None:
    """Check that results agree, time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    write(arguments, {"bodies": {name: measure(name, arguments) for name in arguments.bodies}})


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """All variants on one body."""
    family = Bodies(body=name, horizon=arguments.steps)
    plain = Bodies(body=name, horizon=arguments.steps, together=False)
    tasks = family.tasks(arguments.tasks, 0)[0]
    envs = [family.make(task) for task in tasks]
    params = policies(family, arguments.hidden, arguments.tasks)
    check(family, envs, {key: value.double() for key, value in params.items()})
    networks, policy = modules(params), stacked(params)
    variants = {
        "gym loop": lambda: torch.tensor(loop(envs, networks, 0)),
        "env by env": lambda: evaluate(plain, tasks, policy, 1, 0).returns[:, 0],
        "merpo": lambda: evaluate(family, tasks, policy, 1, 0).returns[:, 0],
    }
    timings = interleave(variants, arguments.rounds)
    title = f"{name}, {arguments.steps} steps, {arguments.tasks} policies of {'x'.join(map(str, arguments.hidden))}"
    return show(title, timings, ("gym loop", "env by env"))


def check(family: Bodies, envs: list[Any], params: Params) -> None:
    """Check that the returns are equal, with policies in float64, because contacts magnify rounding; exit if not."""
    theirs = torch.tensor(loop(envs, modules(params), 1), dtype=torch.float64)
    tasks = family.tasks(len(envs), 0)[0]
    ours = evaluate(family, tasks, stacked(params), 1, 1).returns[:, 0].double()
    worst = float(((ours - theirs).abs() / theirs.abs().clamp(min=1.0)).max())
    if not worst < TOLERANCE:
        raise AssertionError(f"{family.body}: returns differ by {worst:.1e}: {theirs.tolist()}, merpo {ours.tolist()}")
    print(f"{family.body}: returns {theirs.min():.2f} to {theirs.max():.2f}, merpo's equal within {worst:.1e}")


def policies(family: Bodies, hidden: list[int], count: int) -> Params:
    """Networks with weights so large that actions cover their range, as after training; else the bodies hardly move."""
    params = init_policy(family.spec(), hidden, torch.Generator().manual_seed(0), (count,))
    return {key: math.sqrt(6.0) * value if key.startswith("w") else value for key, value in params.items()}


def modules(params: Params) -> list[MLP]:
    """A module per task."""
    count = len(params["w0"])
    return [MLP({key: value[t] for key, value in params.items()}).to(params["w0"].dtype) for t in range(count)]


def stacked(params: Params) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function that computes all tasks' actions at once."""
    packed, dtype = pack(params), params["w0"].dtype
    return lambda observations: act(packed, observations.to(dtype)).float()


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=9)
    made.add_argument("--bodies", nargs="+", choices=sorted(KINDS), default=list(KINDS))
    made.add_argument("--tasks", type=int, default=8)
    made.add_argument("--steps", type=int, default=200)
    made.add_argument("--hidden", type=int, nargs="+", default=[300] * 5)
    return parse(made, rounds=1, tasks=2, steps=5, hidden=[8])


if __name__ == "__main__":
    main()
