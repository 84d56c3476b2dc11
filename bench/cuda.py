"""The inner step on a GPU for 1 to 64 tasks: captured as a CUDA graph, eager, and on this machine's CPU.

Without a CUDA device it prints a message and writes nothing. Before timing, it checks that all results are equal.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import torch
from _options import parse, skip
from _problem import SIZES, Problem, make_problem
from _timing import interleave, parser, prepare, show, write

from merpo.algorithm.rac import rac_step
from merpo.algorithm.rac_steps import FixedStep, rac_steps
from merpo.nn.noise import Streams
from merpo.nn.params import clone, to_device
from merpo.nn.workers import Workers
from merpo.testing.laws import named_leaves

TOLERANCE = 1e-2  # relative, after a few float32 steps on devices with different orders of summation


def main() -> None:
    """Check that results agree, time all variants, print a table and write the results."""
    arguments = _arguments()
    if not torch.cuda.is_available():
        skip("PyTorch finds no CUDA device")
    prepare(arguments)
    check()
    found = {name: {str(n): measure(name, n, arguments) for n in arguments.tasks} for name in arguments.sizes}
    write(arguments, {"device": torch.cuda.get_device_name(), "sizes": found})


class OnGpu:
    """A problem's tasks on the GPU."""

    def __init__(self, problem: Problem) -> None:
        self.rac, self.data = problem.rac, problem.data._replace(rows=problem.data.rows.cuda())
        self.state, self.models, self.anchors = to_device(
            clone((problem.state, problem.models, problem.anchors)), "cuda"
        )
        self.noise = Streams.seeded(range(problem.tasks), "cuda")
        self.share = Workers(1)

    def recorded(self, steps: int) -> None:
        """Steps as in a run, with the captured graph."""
        self.state, _, _ = rac_steps(
            self.rac, self.state, self.data, self.models, self.anchors, self.noise, steps, self.share
        )

    def plain(self, steps: int) -> None:
        """Eager steps."""
        for _ in range(steps):
            self.state, _, _ = rac_step(self.rac, self.state, self.data, self.models, self.anchors, self.noise)


def measure(name: str, tasks: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds per step of each variant."""
    problem, steps = make_problem(SIZES[name], tasks), arguments.steps
    one, two = OnGpu(problem), OnGpu(problem)

    def seconds(work: Any) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        work(steps)
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps

    on_cpu, noise = clone(problem.state), Streams.seeded(range(tasks))

    def cpu() -> float:
        start = time.perf_counter()
        rac_step(problem.rac, on_cpu, problem.data, problem.models, problem.anchors, noise)
        return time.perf_counter() - start

    variants = {
        "cpu": cpu, "gpu, as it stands": lambda: seconds(two.plain), "gpu, recorded": lambda: seconds(one.recorded),
    }  # fmt: skip
    timings = interleave(variants, arguments.rounds)
    return show(f"inner step, {name}, {tasks} tasks", timings, ("cpu", "gpu, as it stands"))


def check(steps: int = 3) -> None:
    """Check that the GPU's steps, captured or eager, have the CPU's results; exit if not."""
    problem = make_problem(SIZES["tiny"], 3, rows=40)
    assert problem.anchors is not None
    state, noise = clone(problem.state), Streams.seeded(range(3))
    fixed = FixedStep(problem.rac, state, problem.data, problem.models, problem.anchors, noise)
    expected, _, _ = fixed.run(state, problem.data, problem.models, problem.anchors, noise, steps)
    for way in ("recorded", "plain"):
        gpu = OnGpu(problem)
        getattr(gpu, way)(steps)
        pairs = zip(named_leaves(to_device(gpu.state, "cpu")), named_leaves(expected), strict=True)
        worst = max(float(((a - b).abs() / b.abs().clamp(min=1.0)).max()) for (_, a), (_, b) in pairs if a.numel())
        if not worst < TOLERANCE:
            raise AssertionError(f"{way}: differs from the CPU by {worst:.1e} after {steps} steps")
        sys.stdout.write(f"{way} equals the CPU within {worst:.1e} after {steps} small steps\n")


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=9)
    made.add_argument("--tasks", type=int, nargs="+", default=[1, 8, 32, 64])
    made.add_argument("--steps", type=int, default=10, help="steps in sequence, whose mean is timed")
    made.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=["3x64", "5x300"])
    return parse(made, rounds=1, tasks=[2], steps=2, sizes=["tiny"])


if __name__ == "__main__":
    main()
