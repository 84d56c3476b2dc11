"""One behaviour clone of all training tasks' data together, on every unseen task of the foreign suite.

    python bench/foreign/pooled_clone.py

What is earned by imitation that ignores which task it is in. The clone has the default settings of merpo's own
(`BehaviorSettings`), observations normalised and actions clipped as in `recipes/your_data.toml`, and the episodes of
the suite's runs. `foreign_pooled.json` has its mean return over the unseen tasks for every seed.
"""

from __future__ import annotations

import argparse

import _bench  # noqa: F401 - makes the modules of bench/ importable
import torch
from _options import options, parse, recorded
from _results import write_results
from merpo_foreign.suite import FAMILIES, QUALITIES, family, suite_logs

from merpo import (
    BehaviorSettings,
    Context,
    act,
    evaluate,
    expand,
    fit_behavior,
    fit_normalization,
    normalize_tasks,
    stack_tasks,
)
from merpo.data.dataset import concatenate_datasets
from merpo.evaluation.evaluate import starts
from merpo.recipe.sections import DataSection

NAMES = tuple(one.name.removeprefix("foreign-") for one in FAMILIES)


def main() -> None:
    """Measure every family and quality, and write the results."""
    arguments = _arguments()
    torch.set_num_threads(1)
    found = {}
    for name in arguments.families:
        for quality in arguments.qualities:
            returns = [pooled(name, quality, seed, arguments) for seed in range(arguments.seeds)]
            found[f"{name} {quality}"] = returns
            print(name, quality, *(f"{value:.4g}" for value in returns), flush=True)
    content = {"arguments": recorded(arguments), "returns": found}
    write_results("foreign/pooled_clone", {arguments.out / "foreign_pooled.json": content})


def pooled(name: str, quality: str, seed: int, arguments: argparse.Namespace) -> float:
    """The mean return of the clone's mode over the unseen tasks."""
    one, data = family(name), DataSection()
    seen, unseen = suite_logs(one, quality)
    normalization = fit_normalization(seen)
    together = stack_tasks([concatenate_datasets(seen)], one.spec(), seed, "cpu", data.largest_action)
    settings = BehaviorSettings(steps=arguments.steps)
    clone = fit_behavior(normalize_tasks(normalization, together), settings, Context(seed=seed), "pooled").policy
    policy = expand({key: value[0] for key, value in clone.items()}, len(unseen))
    tasks = [logs.task for logs in unseen]
    found = evaluate(one, tasks, lambda s: act(policy, normalization.apply(s)), arguments.episodes, starts(seed))
    return float(found.returns.mean())


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("--families", nargs="+", choices=NAMES, default=list(NAMES))
    made.add_argument("--qualities", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    made.add_argument("--seeds", type=int, default=4)
    made.add_argument("--steps", type=int, default=BehaviorSettings().steps, help="at most")
    made.add_argument("--episodes", type=int, default=20)
    return parse(made, families=list(NAMES[:1]), qualities=["medium"], seeds=1, steps=100, episodes=2)


if __name__ == "__main__":
    main()
