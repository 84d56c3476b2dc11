"""Test of Section 4.1's claim: after few steps from the meta-model, a task's model is better than one from scratch.

The held-out negative log-likelihood of unseen tasks' models, by gradient steps on their own data: from the meta-model
of a recipe, and from an untrained one with the same statistics and batches, without a penalty. From scratch all
`RATES` is tried, and the best one is taken for each task and number of steps; the meta-model has its recipe's only.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from _options import options, parse
from _results import write_results
from _stored import own_store
from _tiny import tiny_overrides

from merpo import Context, MetaModelSettings, adapt_models, fit_meta_model, fit_normalization, load_recipe, stack_tasks
from merpo.collect.collect import ensure_data
from merpo.data.needed import load_data
from merpo.data.normalize import normalize_tasks
from merpo.support.statistics.estimate import student

STEPS = (0, 10, 25, 100, 400, 1600)
RATES = (3e-4, 1e-3, 3e-3)


def main() -> None:
    """Fit, adapt, print a table and write the results."""
    arguments = _arguments()
    torch.set_num_threads(1)
    began = time.monotonic()
    recipe = load_recipe(arguments.recipe, arguments.set)
    with own_store() if arguments.tiny else contextlib.nullcontext():
        ensure_data(recipe, Context(seed=recipe.collect.seed), print)
        parts = load_data(recipe, recipe.method.min_transitions)
        table = [_one_seed(recipe, parts, seed, arguments.steps) for seed in range(arguments.seeds)]
    found = {
        "recipe": arguments.recipe.as_posix(),
        "tasks": {"train": len(parts[0]), "unseen": len(parts[1])},
        "rows": [len(data) for part in parts for data, _ in part],
        "seeds": arguments.seeds,
        "rates": {"meta": recipe.method.meta_learner.inner_lr, "scratch": RATES},
        "seconds": round(time.monotonic() - began),
        "nll": {str(steps): _row([seed[steps] for seed in table]) for steps in arguments.steps},
    }
    for steps, row in found["nll"].items():
        means = {name: tuple(round(value[key], 2) for key in ("mean", "low", "high")) for name, value in row.items()}
        print(f"{steps:>5} steps", means)
    write_results(arguments.script, {arguments.out / "meta_model_transfer.json": found})


def _one_seed(
    recipe: Any, parts: Any, seed: int, numbers: Sequence[int]
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """After each number of steps, held-out NLL [T] from the meta-model and from scratch."""
    method = recipe.method
    train, unseen = (stack_tasks([data for data, _ in part], recipe.tasks.spec(), seed) for part in parts)
    if recipe.data.normalize_observations:
        normalization = fit_normalization([data for data, _ in parts[0]])
        train, unseen = normalize_tasks(normalization, train), normalize_tasks(normalization, unseen)
    context = Context(seed=seed)
    settings = method.meta_model
    phi = fit_meta_model(method.dynamics, method.meta_learner, train, settings, context)
    untrained = settings.model_copy(update={"iterations": 0})
    blank = fit_meta_model(method.dynamics, method.meta_learner, train, untrained, context)
    scratch = method.meta_learner.model_copy(update={"eta": 0.0})

    def nll(learner: Any, start: Any, own: MetaModelSettings) -> torch.Tensor:
        return adapt_models(method.dynamics, learner, start, unseen, own, context, "transfer").nll_after

    found = {}
    for steps in numbers:
        own = settings.model_copy(update={"adaptation_steps": steps})
        rates = [own.model_copy(update={"adaptation_lr": rate}) for rate in RATES]
        best = torch.stack([nll(scratch, blank, each) for each in rates]).amin(0)
        found[steps] = (nll(method.meta_learner, phi, own), best)
        print(f"seed {seed}, {steps} steps: meta-model {found[steps][0].mean():.2f}, from scratch {best.mean():.2f}")
    return found


def _row(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, dict[str, Any]]:
    """Means over seeds, with intervals for new tasks by Student's t; lower is better."""
    meta, scratch = (torch.stack(values).mean(0) for values in zip(*pairs, strict=True))
    columns = {"meta_model": meta, "scratch": scratch, "meta_model_minus_scratch": meta - scratch}
    return {
        name: {**asdict(student(values.tolist(), ("tasks",))), "tasks": values.tolist()}
        for name, values in columns.items()
    }


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("recipe", nargs="?", type=Path, default=Path("recipes/walker_2d_params.toml"))
    made.add_argument("--seeds", type=int, default=4)
    made.add_argument("--steps", type=int, nargs="+", default=list(STEPS), help="gradient steps on an unseen task")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
    return parse(made, recipe=Path("recipes/merpo_adp.toml"), seeds=1, steps=[0, 2], set=tiny_overrides())


if __name__ == "__main__":
    main()
