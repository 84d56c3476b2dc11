"""Loading of the paper's largest data, 20 tasks with 40,000 transitions of Walker-2D-Params' sizes, as in a run.

"loaded" is all work before training: SHA-256 and checks of every dataset, then every task's rows shuffled and stacked.
The transitions are random, and in the system's cache, as they were just written. Wall and CPU time are of one thread:
if they differ, other programs were running.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from _options import parse
from _stored import own_store, store_tasks
from _timing import parser, prepare, summary, write

from merpo.data.dataset import stack_tasks
from merpo.data.needed import load_data
from merpo.recipe.recipe import Recipe, from_tables
from merpo.types import Task

OBSERVATION, ACTION = 17, 6  # Walker-2D-Params


def main() -> None:
    """Time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    with own_store():
        tasks: list[Task] = [{"machine": i} for i in range(arguments.tasks + 1)]
        recipe = recipe_of(store_tasks("logs", tasks, arguments.rows, OBSERVATION, ACTION))
        work = {"read and checked": lambda: load_data(recipe, 256)[0], "loaded": lambda: load(recipe)}
        found = {name: measure(name, part, arguments.rounds) for name, part in work.items()}
    size = arguments.tasks * arguments.rows * 4 * (2 * OBSERVATION + ACTION + 3)
    print(f"  {size / 2**20:.0f} MiB, and the one unseen task that a recipe must have")
    write(arguments, {"bytes": size, **found})


def recipe_of(names: list[str]) -> Recipe:
    """A recipe with all datasets but the last for training."""
    return from_tables(
        {
            "title": "Loading",
            "tasks": {"component": "logs", "observation_dim": OBSERVATION, "action_dim": ACTION},
            "data": {"train": names[:-1], "test": names[-1:]},
            "method": {"component": "merpo"},
        }
    )


def load(recipe: Recipe) -> object:
    """Load as `merpo run` does."""
    train, test = load_data(recipe, recipe.method.min_transitions)
    return [stack_tasks([data for data, _ in part], recipe.tasks.spec(), recipe.seed) for part in (train, test)]


def measure(name: str, work: Callable[[], object], rounds: int) -> dict[str, dict[str, float]]:
    """CPU and wall seconds, after one warm-up round."""
    work()
    cpu, wall = [], []
    for _ in range(rounds):
        begun = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - begun[0])
        wall.append(time.perf_counter() - begun[1])
    found = {"cpu_seconds": summary(cpu)._asdict(), "wall_seconds": summary(wall)._asdict()}
    for kind, value in found.items():
        print(f"  {name:18} {kind:13} {value['median']:.2f} ({value['low']:.2f}-{value['high']:.2f})", flush=True)
    return found


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=7)
    made.set_defaults(threads=1)
    made.add_argument("--tasks", type=int, default=20)
    made.add_argument("--rows", type=int, default=40_000)
    return parse(made, rounds=1, tasks=2, rows=400)


if __name__ == "__main__":
    main()
