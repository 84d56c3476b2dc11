"""Peak memory of a run of recipes/table2/walker_2d_params.toml: `merpo run` in a separate process.

Everything has the recipe's sizes: 20 + 5 tasks with 40,000 transitions each, networks, ensembles, batches, the buffers
of model rollouts. Only steps and iterations are few (`--times 4` shows how memory grows with them), and the transitions
are random, as it does not depend on them. A checkpoint is written after every step. The figure is the process's
greatest resident set (ru_maxrss), with the interpreter, PyTorch, MuJoCo, the evaluation, the videos and the report.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _command import merpo
from _options import parse
from _stored import LENGTH, own_store, store_tasks
from _timing import parser, prepare, write
from _tiny import tiny_overrides

from merpo.recipe.recipe import Recipe, load_recipe

RECIPE = Path(__file__).parent.parent / "recipes" / "table2" / "walker_2d_params.toml"
STEPS = {
    "method.meta_model.iterations": 2,
    "method.meta_model.inner_steps": 2,
    "method.meta_model.adaptation_steps": 2,
    "method.behavior.steps": 3,
    "method.meta_policy.iterations": 3,
    "method.meta_policy.inner_steps": 2,
    "method.adaptation.steps": 4,
    "method.adaptation.critic_lead": 2,
}
ELSE = {
    "evaluate.snapshots": [0, 1, 2, 3, 4],  # as many as a whole run keeps
    "evaluate.during_training": 1,
    "run.checkpoint_every": 0,
    "run.tensorboard": False,
    "run.device": "cpu",
}


def main() -> None:
    """Store data, run, measure and write the results."""
    arguments = _arguments()
    prepare(arguments)
    recipe = load_recipe(RECIPE, arguments.set)
    with own_store():
        names = _store(recipe)
        started = time.perf_counter()
        changed = {key: arguments.times * steps for key, steps in STEPS.items()} | ELSE
        _run(recipe, names, arguments.set, {**changed, "run.threads": arguments.threads})
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the only child
    peak *= 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    print(f"  peak memory: {peak / 2**20:.0f} MiB; the run took {time.perf_counter() - started:.0f} s")
    write(arguments, {"peak_bytes": peak, "changed": changed})


def _store(recipe: Recipe) -> list[str]:
    """Data for every task of the recipe."""
    data, family = recipe.data, recipe.tasks
    train, test = family.tasks(data.train_tasks, data.test_tasks)
    rows = data.episodes * family.horizon
    return store_tasks(family.name, [*train, *test], rows, *family.spec()[:2])


def _run(recipe: Recipe, names: list[str], overrides: list[str], changed: dict[str, Any]) -> None:
    """Run `merpo run` with few steps, in a process whose memory is measured."""
    count = recipe.data.train_tasks
    every = {**changed, "data.train": names[:count], "data.test": names[count:]}
    settings = [*overrides, *(f"{key}={json.dumps(value)}" for key, value in every.items())]
    sets = [part for setting in settings for part in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        merpo("run", str(RECIPE), "--out", str(out), *sets, makes=out / "report.json")


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=1)
    made.add_argument(
        "--times", type=int, default=1, help="factor on the number of steps, to show that memory stays constant"
    )
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
    return parse(made, set=tiny_overrides(tasks__horizon=LENGTH))


if __name__ == "__main__":
    main()
