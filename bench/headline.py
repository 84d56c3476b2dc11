"""The main recipe beside what needs no meta-learning, on tasks that need adaptation: `python bench/headline.py`.

Point-Robot-Wind with goals on the semicircle, 30 unseen tasks, data of three qualities. Every seed collects data of its
own, meta-trains and adapts. The goals and winds differ from those on which recipes were tuned. Beside MerPO-Adp:

- MerPO with one α, and Eq. (5), which has the meta-policy alone as its regularizer;
- COMBO from scratch, with models of its own, after as many steps as MerPO-Adp and more, with two target rates (below);
- each task's behaviour policy and clone, and one clone of all training tasks' data;
- the best blind controller, clip(k (g − s)), with one g and one k for all tasks, those best on the training tasks.

Runs are `merpo run` with one thread, two at a time. Finished runs are not repeated, so that the script can be
interrupted and resumed. Prints the tables of the existing runs; writes `headline.json` and `headline.md` once all runs
exist. With `--stored` the tables are made anew from `headline.json`, without any run.

COMBO's rates were chosen on other tasks, those of the recipe's own seed: `merpo run recipes/merpo_adp.toml` with
`COMBO` below as `--set` and these rates (seed 0, one thread) earned, after so many steps, by mode and at last drawn:

    actor_lr  polyak    1000    2000    3500    5000   drawn
    3e-3      0.1      -6.16   -5.91   -5.98   -6.03   -6.24
    3e-3      0.005    -9.67   -5.76   -5.80   -5.84   -6.11
    3e-4      0.1      -7.01   -6.02   -5.92   -6.06   -6.28
    3e-4      0.005   -10.68   -9.58   -5.87   -5.88   -6.15

With the higher actor rate a target rate τ (`polyak`) of 0.1 is better early, 0.005 later, so both are arms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from _command import merpo
from _headline_page import Cells, page
from _headline_references import blind_returns, pooled_clone_returns
from _options import options, parse
from _results import RESULTS, write_results
from _stored import own_store
from _tiny import tiny_overrides

from merpo.recipe.recipe import Recipe, load_recipe

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "merpo_adp.toml"
QUALITIES = ("medium", "random", "expert")
TASKS = 2026  # seed of the tasks: goals and winds other than those used for tuning the recipes (1337, 11)
COMBO = (  # the models train for as many steps as the meta-model in all; no critic waits for the policy
    "method.meta_model.iterations=0",
    "method.meta_model.adaptation_steps=1500",
    "method.meta_policy.iterations=0",
    "method.rac.lambda_initial=0.0",
    "method.adaptation.init_policy=false",
    "method.adaptation.init_critic=false",
    "method.adaptation.critic_lead=0",
    "method.adaptation.actor_lr=3e-3",
    "method.adaptation.steps=5000",
    "evaluate.snapshots=[0,100,1000,2000]",
)


class Arm(NamedTuple):
    """A run of every quality and seed, and the steps of adaptation after which its policies are shown."""

    label: str
    overrides: tuple[str, ...]  # of the main recipe
    steps: tuple[int, ...] = (2000,)


ARMS = {
    "combo": Arm("COMBO from scratch, τ = 0.1", COMBO, (100, 1000, 2000, 5000)),
    "combo-slow": Arm(
        "COMBO from scratch, τ = 0.005", (*COMBO, "method.adaptation.polyak=5e-3"), (100, 1000, 2000, 5000)
    ),
    "meta-only": Arm("Eq. (5), meta-policy only", ("method.alpha={component='fixed',initial=0.0}",)),
    "merpo": Arm("MerPO, α = 0.4", ("method.alpha={component='fixed',initial=0.4}",)),
    "merpo-adp": Arm("MerPO-Adp", (), (100, 1000, 2000)),
}
OWN = ("behavior", "behavior_mode", "clone", "clone_drawn", "meta_policy", "meta_policy_drawn", "oracle")  # by a report


@dataclass(frozen=True)
class Plan:
    """The planned runs and their folder."""

    runs: Path
    seeds: Sequence[int]
    qualities: Sequence[str]
    overrides: Sequence[str]  # of every run, KEY=VALUE
    pooled_steps: int | None  # of the pooled clone, at most; None: the default

    def jobs(self) -> Iterator[tuple[str, str, int]]:
        """Arm, quality and seed of every run, all of a seed before the next seed."""
        for seed in self.seeds:
            for quality in self.qualities:
                for arm in ARMS:
                    yield arm, quality, seed

    def folder(self, arm: str, quality: str, seed: int) -> Path:
        """The folder of a run."""
        return self.runs / f"{arm}-{quality}-{seed}"

    def settings(self, arm: str, quality: str, seed: int) -> list[str]:
        """The overrides of a run, KEY=VALUE."""
        own = [f"data.quality={quality}", f"tasks.seed={TASKS}", f"collect.seed={seed}"]
        few = ["evaluate.videos=0", "run.tensorboard=false"]
        return [*ARMS[arm].overrides, *own, *few, *self.overrides]

    def recipe(self, quality: str, seed: int) -> Recipe:
        """The recipe of the main arm."""
        return load_recipe(RECIPE, self.settings("merpo-adp", quality, seed))


def main() -> None:
    """Run what is missing, print the tables, and write them if complete."""
    arguments = _arguments()
    if arguments.stored:
        stored = json.loads((RESULTS / "headline.json").read_text("utf-8"))
        write_results(arguments.script, {arguments.out / "headline.md": page(stored["cells"])})
        return
    plan = _plan(arguments)
    with own_store() if arguments.tiny else contextlib.nullcontext():
        if not arguments.tables:
            run_all(plan, arguments.jobs)
        cells = dict(measured(plan))
    text = page(cells)
    print(text)
    missing = [f"run without a report: {plan.folder(*job)}" for job in plan.jobs() if not _report(plan, *job).is_file()]
    files = {arguments.out / "headline.json": {"cells": cells}, arguments.out / "headline.md": text}
    write_results(arguments.script, files, missing, indent=None)


def run_all(plan: Plan, at_once: int) -> None:
    """Run all jobs without a report. The data of a seed is there before runs share it."""
    for seed in plan.seeds:
        jobs = [job for job in plan.jobs() if job[2] == seed and not _report(plan, *job).is_file()]
        if jobs:
            _command(plan, "collect", ("merpo-adp", plan.qualities[0], seed), "--quality", ",".join(plan.qualities))
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda job: _run(plan, *job), jobs))


def measured(plan: Plan) -> Iterator[tuple[str, Cells]]:
    """Quality -> policy -> returns [seed][task], for the seeds with which all arms have finished."""
    for quality in plan.qualities:
        seeds = [s for s in plan.seeds if all(_report(plan, arm, quality, s).is_file() for arm in ARMS)]
        if seeds:
            yield quality, _cells(plan, quality, seeds)


def _cells(plan: Plan, quality: str, seeds: Sequence[int]) -> Cells:
    rows = {arm: [_tasks(plan, arm, quality, seed) for seed in seeds] for arm in ARMS}
    own = {name: [[task[name] for task in row] for row in rows["merpo-adp"]] for name in OWN}
    oracle = own.pop("oracle")
    own["pooled clone"] = [pooled_clone_returns(plan.recipe(quality, s), s, plan.pooled_steps) for s in seeds]
    blind, choice = blind_returns(plan.recipe(quality, seeds[0]))
    own[f"blind controller, {choice}"] = [blind] * len(seeds)
    for arm in ARMS:
        own |= _of_arm(arm, rows[arm])
    return {**own, "oracle": oracle}


def _tasks(plan: Plan, arm: str, quality: str, seed: int) -> list[Any]:
    """What a run's report has of its unseen tasks."""
    found: list[Any] = json.loads(_report(plan, arm, quality, seed).read_text("utf-8"))["tasks"]
    return found


def _of_arm(arm: str, rows: Sequence[Sequence[Any]]) -> Cells:
    """`label, steps` -> returns by mode, and the last also drawn."""
    label, _, shown = ARMS[arm]
    last = max(map(int, rows[0][0]["snapshots"]))
    steps = sorted({min(step, last) for step in shown})
    found = {f"{label}, {s:,} steps": [[task["snapshots"][str(s)] for task in row] for row in rows] for s in steps}
    drawn = {f"{label}, {steps[-1]:,} steps, drawn": [[task["adapted_drawn"] for task in row] for row in rows]}
    return {**found, **drawn}


def _report(plan: Plan, arm: str, quality: str, seed: int) -> Path:
    """The report of a run, the last file that it writes."""
    return plan.folder(arm, quality, seed) / "report.json"


def _run(plan: Plan, arm: str, quality: str, seed: int) -> None:
    job, began = (arm, quality, seed), time.monotonic()
    where = plan.folder(*job)
    _command(plan, "run", job, "--seed", str(seed), "--out", str(where), makes=_report(plan, *job))
    print(f"{where.name}: {time.monotonic() - began:.0f} s", flush=True)


def _command(plan: Plan, name: str, job: tuple[str, str, int], *more: str, makes: Path | None = None) -> None:
    """One `merpo` command with one thread."""
    sets = [part for setting in plan.settings(*job) for part in ("--set", setting)]
    merpo(name, str(RECIPE), *sets, *more, makes=makes, quiet=True, env={"OMP_NUM_THREADS": "1"})


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--jobs", type=int, default=2)
    made.add_argument("--qualities", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    made.add_argument("--tables", action="store_true", help="print only the tables, from existing runs")
    made.add_argument("--stored", action="store_true", help="only make the tables anew from headline.json")
    made.add_argument("--runs", type=Path, metavar="FOLDER", help="folder of the runs (runs/headline)")
    return parse(made, seeds=2, qualities=["medium"])


def _plan(arguments: argparse.Namespace) -> Plan:
    seeds = range(arguments.seeds)
    if arguments.tiny:
        return Plan(arguments.runs or arguments.out / "runs", seeds, arguments.qualities, tiny_overrides(), 20)
    return Plan(arguments.runs or ROOT / "runs" / "headline", seeds, arguments.qualities, (), None)


if __name__ == "__main__":
    main()
