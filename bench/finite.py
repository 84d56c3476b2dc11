"""Cost of checking every step's losses and duals on the CPU (`Context.check`), relative to the step itself.

The sizes are those of the README's recipe: its step of Algorithm 1 in adaptation, and its step of Eq. (4).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from _options import parse
from _problem import SIZES, Stepper, make_problem
from _timing import Variant, interleave, parser, prepare, show, summary, write
from meta_model_step import Problem as Models

from merpo.algorithm.rac import rac_step
from merpo.components.context import Context
from merpo.nn.noise import Streams

CALLS = 200
CHECK, STEP = "its check", "step"
ROWS, BATCH, STEPS = 2000, 128, 10


def main() -> None:
    """Time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    found, sizes = {}, SIZES[arguments.sizes]
    for tasks in (4, 1):
        problem = make_problem(sizes, tasks)
        stepper, noise = Stepper(problem), Streams.seeded(range(tasks))
        state = Stepper(problem).state
        _, _, metrics = rac_step(problem.rac, state, problem.data, problem.models, problem.anchors, noise)
        found[f"rac {tasks}"] = share(f"Algorithm 1, {tasks} tasks", stepper.step, metrics, arguments.rounds)
        models = Models(sizes, tasks, ROWS, BATCH)
        losses = {"loss": torch.rand(tasks, sizes.members)}
        work = _one_of(lambda models=models: models.merpo(STEPS), STEPS)
        found[f"model {tasks}"] = share(f"Eq. (4), {tasks} tasks", work, losses, arguments.rounds)
    write(arguments, found)


def share(title: str, step: Variant, metrics: dict[str, torch.Tensor], rounds: int) -> dict[str, Any]:
    """The check's fraction of a step's time, round by round."""
    check = _one_of(lambda: [Context().check("adapt", 1, metrics) for _ in range(CALLS)], CALLS)
    timings = interleave({STEP: step, CHECK: check}, rounds)
    made = show(title, timings, (STEP,), unit="us")
    parts = summary([c / s for c, s in zip(timings.seconds[CHECK], timings.seconds[STEP], strict=True)])
    print(f"  check: {parts.median:.2%} of a step ({parts.low:.2%}-{parts.high:.2%})")
    return {**made, "share": parts._asdict()}


def _one_of(work: Callable[[], object], calls: int) -> Variant:
    """Seconds of one call, from several in one timing."""

    def timed() -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / calls

    return timed


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=31)
    made.add_argument("--sizes", choices=sorted(SIZES), default="3x64")
    return parse(made, rounds=1, sizes="tiny")


if __name__ == "__main__":
    main()
