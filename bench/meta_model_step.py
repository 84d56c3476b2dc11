"""One step of Eq. (4) for all members of all tasks: merpo and the usual loops over tasks.

`modules` has a module per member, `ensemble` a module per task with a `bmm` per layer, as OfflineRL-Kit; both must give
merpo's parameters. Only the steps are timed, not the initial copies of the meta-model; but merpo works on groups of
tasks, and its time includes the copies of the second and later groups.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from _options import parse
from _problem import SIZES, Sizes, make_data, multiplications
from _reference_model import Draws, Fitted, fit_ensemble, fit_modules
from _timing import interleave, parser, prepare, show, write

from merpo.algorithm.meta_model import init_meta_model
from merpo.algorithm.task_model import InnerLoop
from merpo.components.task_data import TaskData
from merpo.nn.noise import Streams
from merpo.nn.packed import pack
from merpo.nn.workers import worker_pool
from merpo.types import Params
from merpo_dynamics import ProbabilisticEnsemble
from merpo_meta import Proximal

PEERS = {"modules": fit_modules, "ensemble": fit_ensemble}
LEARNER = Proximal(inner_lr=1e-4, outer_lr=5e-2, eta=0.1)  # Table 2; η is not stated there


class Problem:
    """A meta-model and the tasks to which it is adapted."""

    def __init__(self, sizes: Sizes, tasks: int, rows: int, batch: int) -> None:
        self.dynamics = ProbabilisticEnsemble(
            members=sizes.members, elites=sizes.elites, hidden=sizes.dynamics_hidden, beta_nll=0.0
        )
        self.data: TaskData = make_data(sizes, tasks, rows)
        self.phi = init_meta_model(self.dynamics, self.data, torch.Generator().manual_seed(0))
        self.batch = batch

    def merpo(self, steps: int, count: int = 1) -> Fitted:
        """θ [T, member, ...] by merpo with `count` workers, and seconds from the first batch on."""
        noise = Streams.seeded(range(self.data.n_tasks))
        begun: list[float] = []

        def step() -> None:
            begun.append(time.perf_counter())

        with worker_pool(count) as workers:
            settings = (steps, LEARNER.inner_lr, self.batch)
            loop = InnerLoop(self.dynamics, LEARNER, self.data, noise, *settings, workers, step, lambda *_: None)
            theta = loop.adapt(pack(self.phi))
        return theta, time.perf_counter() - begun[0]

    def peer(self, fit: Callable[..., Fitted], steps: int) -> list[Fitted]:
        """θ [T, member, ...] by a reference, task by task, and seconds."""
        phi = dict(self.phi.items())
        draws = [Draws(self.data, t, t) for t in range(self.data.n_tasks)]
        return [fit(phi, each, steps, self.batch, LEARNER.inner_lr, LEARNER.eta) for each in draws]

    def flop(self) -> float:
        """FLOP of one step's products: forward, and backward to weights and hidden layers."""
        o, a = self.data.spec.observation_dim, self.data.spec.action_dim
        hidden = self.dynamics.hidden
        each = 3 * multiplications(o + a, *hidden, 2 * (o + 1)) - (o + a) * hidden[0]
        return 2.0 * each * self.data.n_tasks * self.dynamics.members * self.batch


def main() -> None:
    """Check that results agree, time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    check()
    write(arguments, {"tasks": {str(count): measure(count, arguments) for count in arguments.tasks}})


def measure(count: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Time all variants for a number of tasks."""
    problem, steps = Problem(SIZES[arguments.sizes], count, 2000, arguments.batch), arguments.steps
    variants = {
        "modules": lambda: _seconds(problem.peer(fit_modules, steps)) / steps,
        "ensemble": lambda: _seconds(problem.peer(fit_ensemble, steps)) / steps,
        "merpo": lambda: problem.merpo(steps)[1] / steps,
        "merpo, 2 workers": lambda: _one_thread(lambda: problem.merpo(steps, 2)[1] / steps),
    }
    timings = interleave(variants, arguments.rounds)
    title = f"step of Eq. (4), {count} tasks x {problem.dynamics.members} members x {arguments.batch} rows"
    return show(title, timings, ("modules", "ensemble"), problem.flop())


def check(steps: int = 3, tolerance: float = 1e-9) -> None:
    """Check that all have equal parameters in float64 after a few steps of a small problem; exit if not."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        problem = Problem(SIZES["tiny"], 3, 40, 8)
        ours, _ = problem.merpo(steps)
        for name, fit in PEERS.items():
            worst = max(_difference(ours, theirs, t) for t, (theirs, _) in enumerate(problem.peer(fit, steps)))
            if not worst < tolerance:
                raise AssertionError(f"{name}: differs from merpo by {worst:.1e} after {steps} steps")
            print(f"{name} equals merpo within {worst:.1e} after {steps} small steps, tasks: 3")
    finally:
        torch.set_default_dtype(before)


def _difference(ours: Params, theirs: Params, t: int) -> float:
    return max(float((ours[key][t] - value).abs().max()) for key, value in theirs.items())


def _one_thread(work: Callable[[], float]) -> float:
    """Workers have one thread each, as in a run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return work()
    finally:
        torch.set_num_threads(before)


def _seconds(fitted: list[Fitted]) -> float:
    return sum(seconds for _, seconds in fitted)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=5)
    made.add_argument("--tasks", type=int, nargs="+", default=[20, 1])
    made.add_argument("--sizes", choices=sorted(SIZES), default="5x300")
    made.add_argument("--batch", type=int, default=256)
    made.add_argument("--steps", type=int, default=5, help="steps per round")
    return parse(made, rounds=1, sizes="tiny", tasks=[2], batch=8, steps=1)


if __name__ == "__main__":
    main()
