"""One RAC step for all tasks of a batch (Algorithm 1, lines 3 to 5): merpo and a loop over tasks with modules.

`modules` is the usual style (`_reference.py`), `shared` an optimised version (`_reference_shared.py`); both must give
merpo's parameters. FLOP are those of merpo's products, so that the others' GFLOP/s count useful work only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from _check import check
from _options import parse
from _problem import SIZES, Stepper, make_problem, step_flop
from _reference import Reference
from _reference_shared import Shared
from _timing import interleave, parser, prepare, show, write


def main() -> None:
    """Check that results agree, time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    for knobs in ({}, {"lambda_tune": False}):
        check(lambda: make_problem(SIZES["tiny"], 3, rows=40, **knobs), [Reference, Shared])  # noqa: B023
    write(arguments, {"sizes": {name: measure(name, arguments) for name in arguments.sizes}})


def measure(name: str, arguments: argparse.Namespace) -> object:
    """All variants at these sizes."""
    problem, steps = make_problem(SIZES[name], arguments.tasks), arguments.steps
    peers = {kind: [kind(problem, t) for t in range(problem.tasks)] for kind in (Reference, Shared)}

    merpo = Stepper(problem)

    def one_by_one(kind: type[Reference]) -> None:
        for task in peers[kind]:
            task.step()

    def seconds_per_step(step: Callable[[], object]) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - start) / steps

    variants = {
        "modules": lambda: seconds_per_step(lambda: one_by_one(Reference)),
        "shared": lambda: seconds_per_step(lambda: one_by_one(Shared)),
        "merpo": lambda: seconds_per_step(merpo.step),
    }
    timings = interleave(variants, arguments.rounds)
    title = f"inner step, {name}, {problem.tasks} tasks"
    return show(title, timings, ("modules", "shared"), step_flop(problem))


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=15)
    made.add_argument("--tasks", type=int, default=8)
    made.add_argument("--steps", type=int, default=5, help="steps in sequence, as in training, whose mean is timed")
    made.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=["3x64", "5x300"])
    return parse(made, rounds=1, tasks=2, steps=1, sizes=["tiny"])


if __name__ == "__main__":
    main()
