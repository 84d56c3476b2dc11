"""Scaling of the time of an inner step with tasks, and of loading and sampling with transitions per task."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _options import parse
from _problem import SIZES, Stepper, make_dataset, make_problem
from _timing import Summary, Timings, interleave, parser, prepare, summary, write

from merpo.components.task_data import TaskData
from merpo.data.dataset import stack_tasks
from merpo.data.store import read_dataset, write_dataset
from merpo.nn.noise import Streams
from merpo.types import Spec

SPEC = Spec(2, 2)
ROWS, CALLS = 128, 50  # rows of a sample, and samples per timing


@dataclass(frozen=True)
class Stored:
    """One task's transitions in a store, with functions that read them."""

    folder: Path
    name: str

    def read(self) -> object:
        """Read memory-mapped and checked, as in a run, without the SHA-256."""
        return read_dataset(self.folder, self.name, verify=False)

    def verified(self) -> object:
        """Read memory-mapped and checked, with the SHA-256."""
        return read_dataset(self.folder, self.name)

    def stacked(self) -> TaskData:
        """Read shuffled into memory, as for training."""
        return stack_tasks([read_dataset(self.folder, self.name, verify=False)[0]], SPEC)


def main() -> None:
    """Time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    tasks = measure_tasks(arguments)
    with tempfile.TemporaryDirectory() as folder:
        transitions = measure_transitions(arguments, Path(folder))
    write(arguments, {"tasks": tasks, "transitions": transitions})


def measure_tasks(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time an inner step for increasing numbers of tasks."""
    counts = [2**k for k in range(arguments.doublings + 1)]
    sizes = SIZES["3x64"]
    steppers = {str(n): Stepper(make_problem(sizes, n)) for n in counts}
    timings = interleave({name: stepper.step for name, stepper in steppers.items()}, arguments.rounds)
    return show_growth("inner step, 3x64", "tasks", timings, 1e3, "ms")


def measure_transitions(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time loading and sampling for increasing numbers of transitions of one task."""
    counts = [10**k for k in range(4, arguments.largest + 1)]
    stored = {str(n): store(folder, n) for n in counts}
    found: dict[str, Any] = {}
    for what, method, unit in (
        ("read from the store", Stored.read, "ms"),
        ("read with SHA-256", Stored.verified, "ms"),
        ("read, shuffle and stack", Stored.stacked, "ms"),
    ):
        variants = {name: (lambda each=each, method=method: method(each)) for name, each in stored.items()}
        timings = interleave(variants, arguments.load_rounds)
        found[what] = show_growth(what, "transitions", timings, 1e3, unit)
    samplers = {name: _sampler(each.stacked()) for name, each in stored.items()}
    timings = interleave(samplers, arguments.rounds)
    found["sample"] = show_growth(f"sample {ROWS} rows", "transitions", timings, 1e6, "us")
    return found


def store(folder: Path, rows: int) -> Stored:
    """Store random transitions in the format of collection."""
    name = f"task-{rows}.random"
    write_dataset(
        folder, name, make_dataset(SPEC, rows, 0), family="random", family_settings={}, task_index=0,
        quality="random", step=0, return_mean=0.0, return_std=0.0, seed=0, settings={},
    )  # fmt: skip
    return Stored(folder, name)


def _sampler(data: TaskData) -> Callable[[], float]:
    noise = Streams.seeded([0])

    def timed() -> float:
        start = time.perf_counter()
        for _ in range(CALLS):
            data.sample(noise, ROWS)
        return (time.perf_counter() - start) / CALLS

    return timed


def show_growth(title: str, what: str, timings: Timings, scale: float, unit: str) -> dict[str, Any]:
    """Print the time for every size, and its ratios to the smallest and to the previous size."""
    print(f"\n{title}")
    print(f"  {what:>12}  {unit + ' (min-max)':>30}  {'x smallest':>10}  {'x before':>10}")
    table, names = [], list(timings.seconds)
    for before, name in zip([names[0], *names], names, strict=False):
        seconds = summary(timings.seconds[name])
        against = {key: _times(timings, name, other) for key, other in (("smallest", names[0]), ("before", before))}
        span = f"{seconds.median * scale:.3f} ({seconds.low * scale:.3f}-{seconds.high * scale:.3f})"
        line = "".join(f"  {times.median:10.2f}" for times in against.values())
        print(f"  {name:>12}  {span:>30}{line}", flush=True)
        ratios = {key: value._asdict() for key, value in against.items()}
        table.append({what: int(name), "seconds": seconds._asdict(), "times": ratios})
    return {"table": table, "rounds": timings.seconds, "sgemm": timings.gemm}


def _times(timings: Timings, name: str, other: str) -> Summary:
    pairs = zip(timings.seconds[name], timings.seconds[other], strict=True)
    return summary([mine / theirs for mine, theirs in pairs])


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=15)
    made.add_argument("--doublings", type=int, default=6, help="up to 2^this tasks")
    made.add_argument("--largest", type=int, default=7, help="up to 10^this transitions")
    made.add_argument("--load-rounds", type=int, default=3)
    return parse(made, rounds=1, doublings=1, largest=4, load_rounds=1)


if __name__ == "__main__":
    main()
