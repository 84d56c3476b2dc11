"""What can be earned on the foreign suite: by those who made the logs, blind, and by the best controller known.

    python bench/foreign/references.py

For every family and quality, on the unseen tasks and on the episodes of merpo's runs with the seeds `--starts`:

- `behavior`: the controller of the logs as it acted, with its noise; `behavior_mode`: without.

For every family, by a cross-entropy search in the simulators (`_search.py`):

- `blind`: the best controller that is the same for every task, tuned on the training tasks;
- `known`: the best controller known of each unseen task, tuned on that task: a bound from below of what is possible.

Both are the best of scripted gains, a linear policy in standardised observations, and their sum, chosen on episodes
other than those reported; the returns of all three are in `classes`. Writes `foreign_references.json`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import _bench  # noqa: F401
import numpy as np
from _options import options, parse, recorded
from _results import write_results
from _search import Best, Budget, Class, search
from merpo_foreign.logs import episode_returns, parameters_of, scripted
from merpo_foreign.simulated import Parameters, Policy, Simulated
from merpo_foreign.suite import DEVELOPMENT, FAMILIES, TEST, TRAIN, family, suite_logs

from merpo import Task
from merpo.evaluation.evaluate import starts

CLASSES = {"scripted": (True, False), "linear": (False, True), "sum": (True, True)}


def main() -> None:
    """Measure every family, print a table and write the results."""
    arguments = _arguments()
    first = {cls.name for cls in DEVELOPMENT}
    measured = {}
    for name in arguments.families:
        began, one = time.monotonic(), family(name)
        measured[name] = {"half": "development" if one.name in first else "reporting", **measure(one, arguments)}
        print("\n".join(rows(name, measured[name])), f"({time.monotonic() - began:.0f} s)", flush=True)
    content = {"arguments": recorded(arguments), "families": measured}
    write_results("foreign/references", {arguments.out / "foreign_references.json": content})


def measure(one: Simulated, arguments: argparse.Namespace) -> dict[str, Any]:
    """Mean returns [seed of the starts][task] of all references of one family."""
    train, test = one.tasks(arguments.train, arguments.test)
    parameters = parameters_of(one, test)

    def returns(policy: Policy, noise: float = 0.0) -> list[list[float]]:
        every = (starts(seed) for seed in arguments.starts)
        found = [episode_returns(one, parameters, policy, arguments.episodes, s, noise).mean(1) for s in every]
        return [each.tolist() for each in found]

    qualities = {}
    for quality, controller in one.controllers.items():
        policy = scripted(one, parameters, controller.gains)
        qualities[quality] = {"behavior": returns(policy, controller.noise), "behavior_mode": returns(policy)}
    budget = Budget(arguments.candidates, arguments.generations, arguments.search_episodes, arguments.validation)
    result: dict[str, Any] = {"qualities": qualities}
    for label, groups, of in (("blind", [train], [0] * len(test)), ("known", [[t] for t in test], range(len(test)))):
        found = searched(one, groups, label == "known", budget, arguments.train)
        classes = {kind: returns(best.policy(one, parameters, of)) for kind, best in found.items()}
        chosen = returns(chosen_policy(one, found, parameters, of))
        result[label] = {"returns": chosen, "classes": classes}
    return result


def searched(
    one: Simulated, groups: Sequence[Sequence[Task]], told: bool, budget: Budget, train: int
) -> dict[str, Best]:
    """The best controllers of every class."""
    data = suite_logs(one, "good", train, 0)[0]
    return {name: search(one, Class(*parts, told), groups, data, budget, 0) for name, parts in CLASSES.items()}


def chosen_policy(one: Simulated, found: dict[str, Best], parameters: Parameters, groups: Sequence[int]) -> Policy:
    """For every task, the policy of the class that was the best on the episodes of validation."""
    policies = [best.policy(one, parameters, groups) for best in found.values()]
    best = np.stack([each.validated[list(groups)] for each in found.values()]).argmax(0)

    def act(observations: np.ndarray) -> np.ndarray:
        actions = np.stack([policy(observations) for policy in policies])
        return actions[best, np.arange(len(groups))]

    return act


def rows(name: str, measured: dict[str, Any]) -> list[str]:
    """The rows of a Markdown table for one family, a row per quality."""
    means = [f"{np.mean(measured[key]['returns']):.5g}" for key in ("blind", "known")]
    return [
        "| "
        + " | ".join([name, quality, *(f"{np.mean(own[k]):.5g}" for k in ("behavior", "behavior_mode")), *means])
        + " |"
        for quality, own in measured["qualities"].items()
    ]


def _arguments() -> argparse.Namespace:
    names = [cls.name.removeprefix("foreign-") for cls in FAMILIES]
    made = options(__doc__, __file__)
    made.add_argument("--families", nargs="+", choices=names, default=names)
    made.add_argument("--train", type=int, default=TRAIN)
    made.add_argument("--test", type=int, default=TEST)
    made.add_argument("--episodes", type=int, default=20, help="per seed of starts")
    made.add_argument("--starts", type=int, nargs="+", default=[0, 1, 2, 3], help="seeds of the evaluation episodes")
    made.add_argument("--candidates", type=int, default=64, help="per generation of the search")
    made.add_argument("--generations", type=int, default=80)
    made.add_argument("--search-episodes", type=int, default=8, help="per candidate, task and generation")
    made.add_argument("--validation", type=int, default=100, help="episodes per task that choose between classes")
    return parse(
        made, train=2, test=2, episodes=2, starts=[0], candidates=8, generations=2, search_episodes=2, validation=2
    )


if __name__ == "__main__":
    main()
