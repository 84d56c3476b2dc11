"""Sampling of real rows: `TaskData.sample` and NumPy arrays per task and field, and its fraction of an inner step."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _networks import Fields
from _options import parse
from _problem import SIZES, Problem, Stepper, make_data, make_problem
from _timing import Variant, interleave, parser, prepare, show, summary, write

from merpo.algorithm.rollout import ModelBuffer, sample_buffer
from merpo.components.task_data import TaskData
from merpo.nn.noise import Streams
from merpo.types import Batch

CALLS = 50  # per round, as one takes less than a millisecond


class Kit:
    """Rows in NumPy arrays per task and field."""

    def __init__(self, data: TaskData) -> None:
        parts = zip(data.starts, data.sizes, strict=True)
        self.tasks = [Fields(data.rows[start : start + size], data.spec) for start, size in parts]
        self.random = np.random.default_rng(0)

    def sample(self, count: int) -> list[Batch]:
        """Rows of every task, drawn with replacement."""
        return [fields.sample(self.random.integers(0, len(fields), count)) for fields in self.tasks]


def main() -> None:
    """Check that results agree, time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    data = make_data(SIZES[arguments.sizes], arguments.stored, arguments.rows)
    chosen = data.select(range(0, arguments.stored, max(1, arguments.stored // arguments.tasks))[: arguments.tasks])
    kit, noise = Kit(chosen), Streams.seeded(range(arguments.tasks))
    check(kit, chosen)
    variants = {
        "numpy per field": _often(lambda: kit.sample(arguments.batch)),
        "merpo": _often(lambda: chosen.sample(noise, arguments.batch)),
    }
    timings = interleave(variants, arguments.rounds)
    title = f"{arguments.batch} rows of {chosen.n_tasks} tasks out of {data.n_tasks} x {arguments.rows}"
    drawing = show(title, timings, ("numpy per field",), unit="us")
    write(arguments, {"sampling": drawing, "share": share(arguments, chosen)})


def check(kit: Kit, data: TaskData) -> None:
    """Check that equal indices give equal rows; exit if not."""
    ours = data.sample(Streams.seeded(range(data.n_tasks)), 16)
    for t, fields in enumerate(kit.tasks):
        index = torch.randint(len(fields), (16,), generator=torch.Generator().manual_seed(t)).numpy()
        if not all(torch.equal(mine[t], theirs) for mine, theirs in zip(ours, fields.sample(index), strict=True)):
            raise AssertionError(f"task {t}: merpo and NumPy draw other rows from the same indices")
    print("numpy equals merpo exactly from the same indices")


def share(arguments: argparse.Namespace, data: TaskData) -> dict[str, Any]:
    """Time all draws of an inner step (starts of rollouts, rows of the data and of the model), and the step itself."""
    problem = make_problem(SIZES[arguments.sizes], data.n_tasks)._replace(data=data)
    stepper = Stepper(problem)
    stepper.step()  # fills some of the model's buffer
    draws = _draws(problem, stepper.state.buffer, Streams.seeded(range(data.n_tasks)))
    timings = interleave({"step": stepper.step, "its draws": _often(draws)}, arguments.step_rounds)
    found = show(f"inner step, {arguments.sizes}, {data.n_tasks} tasks", timings, ("step",))
    pairs = zip(timings.seconds["its draws"], timings.seconds["step"], strict=True)
    part = summary([draw / step for draw, step in pairs])
    print(f"  draws: {part.median:.3%} of a step ({part.low:.3%}-{part.high:.3%})")
    return {**found, "share": part._asdict()}


def _draws(problem: Problem, buffer: ModelBuffer, noise: Streams) -> Callable[[], None]:
    settings, data = problem.rac.settings, problem.data
    real = round(settings.batch_size * settings.real_ratio)

    def work() -> None:
        data.sample(noise, settings.rollout_batch)
        data.sample(noise, real)
        sample_buffer(buffer, noise, settings.batch_size - real, data.spec)

    return work


def _often(work: Callable[[], object]) -> Variant:
    """Seconds of one call, from many in one timing."""

    def timed() -> float:
        start = time.perf_counter()
        for _ in range(CALLS):
            work()
        return (time.perf_counter() - start) / CALLS

    return timed


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=21)
    made.add_argument("--sizes", choices=sorted(SIZES), default="5x300")
    made.add_argument("--stored", type=int, default=20, help="stored tasks")
    made.add_argument("--rows", type=int, default=40_000, help="rows per task")
    made.add_argument("--tasks", type=int, default=8, help="tasks of a batch")
    made.add_argument("--batch", type=int, default=128, help="rows drawn per task")
    made.add_argument("--step-rounds", type=int, default=7)
    return parse(made, rounds=1, sizes="tiny", stored=4, rows=200, tasks=2, batch=8, step_rounds=1)


if __name__ == "__main__":
    main()
