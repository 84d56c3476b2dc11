"""Time of a meta-iteration (Algorithm 2, lines 10 to 17) at the paper's sizes, and of its inner steps alone.

One call of `fit_meta_policy` runs all iterations. Between two of them the same number of inner steps is timed alone, on
the same tasks. The time of the inner steps within an iteration is measured in `rac_step` itself.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from typing import Any
from unittest.mock import patch

import torch
from _options import parse
from _problem import SIZES, Problem, Stepper, make_problem, step_flop
from _timing import Timings, gemm_rate, parser, prepare, show, summary, write

import merpo.algorithm.meta_policy
import merpo.algorithm.rac_steps
from merpo.algorithm.rac import Anchors, rac_step
from merpo.algorithm.settings import MetaPolicySettings
from merpo.components.context import Context
from merpo.nn.params import gather
from merpo_alpha import Adaptive

ITERATION, INNER, ALONE = "meta-iteration", "its inner steps", "inner steps alone"


class Watch:
    """Callback after every meta-iteration: records its time, then times inner steps alone."""

    def __init__(self, problem: Problem, steps: int) -> None:
        self.problem, self.steps = problem, steps
        self.timings = Timings({ITERATION: [], INNER: [], ALONE: []}, [])
        self.alone: Stepper | None = None
        self.inner = 0.0
        self.begun = 0.0
        self.peak = 0  # bytes, before anything of this class is in memory

    def rac_step(self, *arguments: Any, **options: Any) -> Any:
        """`merpo.algorithm.rac.rac_step`, timed."""
        start = time.perf_counter()
        found = rac_step(*arguments, **options)
        self.inner += time.perf_counter() - start
        return found

    def log(self, *_: object) -> None:
        """Record the end of an iteration; the first one is a warm-up."""
        now = time.perf_counter()
        if self.alone is None:
            self.peak = peak_bytes()
            self.alone = Stepper(self.problem)
            self.alone.step()
        else:
            self.timings.seconds[ITERATION].append(now - self.begun)
            self.timings.seconds[INNER].append(self.inner)
            self.timings.gemm.append(gemm_rate())
            self.timings.seconds[ALONE].append(self._run_alone(self.alone))
        self.inner, self.begun = 0.0, time.perf_counter()

    def _run_alone(self, alone: Stepper) -> float:
        start = time.perf_counter()
        for _ in range(self.steps):
            alone.step()
        return time.perf_counter() - start


def main() -> None:
    """Time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    imported = peak_bytes()
    watch = run(arguments)
    work = step_flop(watch.problem) * arguments.inner_steps
    title = f"{arguments.sizes}, {arguments.batch} of {arguments.tasks} tasks, J = {arguments.inner_steps}"
    found = show(title, watch.timings, (ALONE,), work)
    seconds = watch.timings.seconds
    outside = summary([1.0 - i / k for i, k in zip(seconds[INNER], seconds[ITERATION], strict=True)])
    print(f"  outside of inner steps: {outside.median:.2%} ({outside.low:.2%}-{outside.high:.2%}) of the iteration")
    print(f"  peak memory: {watch.peak / 2**20:.0f} MiB, of which {imported / 2**20:.0f} MiB once imported")
    memory = {"peak_bytes": watch.peak, "imported_bytes": imported}
    write(arguments, {**found, "outside": outside._asdict(), **memory})


def run(arguments: argparse.Namespace) -> Watch:
    """Meta-train for a warm-up iteration and one per round."""
    whole = make_problem(SIZES[arguments.sizes], arguments.tasks)
    settings = MetaPolicySettings(
        iterations=arguments.rounds + 1,
        task_batch=arguments.batch,
        inner_steps=arguments.inner_steps,
        task_networks="critic-from-meta",
    )
    watch = Watch(some_tasks(whole, arguments.batch), arguments.inner_steps)
    context = Context(log=watch.log, log_every=1)
    assert whole.anchors is not None
    with patch.object(merpo.algorithm.rac_steps, "rac_step", watch.rac_step):
        merpo.algorithm.meta_policy.fit_meta_policy(
            whole.rac, Adaptive(), whole.data, whole.models, whole.anchors.behavior, settings, context
        )
    return watch


def some_tasks(problem: Problem, count: int) -> Problem:
    """The problem restricted to the first tasks."""
    where = torch.arange(count)
    assert problem.anchors is not None
    return problem._replace(
        state=gather(problem.state, where),
        data=problem.data.select(range(count)),
        members=gather(problem.members, where),
        elites=problem.elites[:count],
        models=gather(problem.models, where),
        anchors=Anchors(gather(problem.anchors.behavior, where), problem.anchors.meta),
    )


def peak_bytes() -> int:
    """The process's peak memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # Linux counts in KiB


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=7)
    made.add_argument("--sizes", choices=sorted(SIZES), default="5x300")
    made.add_argument("--tasks", type=int, default=20, help="training tasks")
    made.add_argument("--batch", type=int, default=8, help="tasks of a meta-iteration")
    made.add_argument("--inner-steps", type=int, default=10)
    return parse(made, rounds=1, sizes="tiny", tasks=3, batch=2, inner_steps=2)


if __name__ == "__main__":
    main()
