"""Ablations of MerPO on Point-Robot-Wind with one goal, 4 seeds, unseen winds: `python bench/results.py`.

Every arm is a recipe run by `merpo run` with one thread, two at a time. Finished runs are not repeated, so that the
script can be interrupted and resumed. Arms marked `@` use the meta-artifact of MerPO-Adp and change only the
adaptation. The winds differ from those used for tuning the recipes. Prints the tables of the existing runs; writes
`point_robot_wind.json` and the tables of `point_robot_wind.md` once all runs exist. With `--stored` the tables are made
anew from `point_robot_wind.json`, without any run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from _command import merpo
from _options import options, parse
from _results import RESULTS, write_results
from _stored import own_store
from _tiny import tiny_overrides

ROOT = Path(__file__).resolve().parent.parent
QUALITIES = ("medium", "random", "expert")
MAIN = {  # arm -> recipe, on every quality
    "MerPO-Adp": "ablations/one_goal",
    "MerPO (α = 0.4)": "ablations/alpha_fixed",
    "meta only (Eq. 5)": "ablations/alpha_0",
    "COMBO from scratch": "ablations/combo",
}
READAPTED = {  # arm -> recipe whose adaptation is used, on every quality
    "@ behaviour only (Fig. 7c)": "ablations/behavior_only",
    "@ λ = 0": "ablations/lambda_0",
    "@ no init of policy": "ablations/no_init_policy",
    "@ no init": "ablations/no_init",
    "@ no critic lead, rates of training": "ablations/no_critic_lead",
    "@ rates of a single new task (A.2.2)": "ablations/single_task_rates",
    "@ rows of ρ of the batch": "ablations/rho_of_batch",
    "@ time-outs as terminations": "ablations/one_goal",
}
CUT = "@ time-outs as terminations"  # the arm whose datasets record time-outs as terminations
SEEDS = ("meta-training", "adaptation")  # what the seed of a run decides
WINDS = 2026  # seed of the tasks: winds other than those used for tuning the recipes (1337, 11)
ABLATIONS = (  # on medium data
    "alpha_1",
    "cql",
    "lambda_0",
    "lambda_tuned",
    "lambda_bounded",
    "beta_fixed",
    "logsumexp",
    "tv",
    "persistent",
    "from_meta",
    "reptile",
    "maml",
    "maml_second_order",
    "reward_scale_1",
    "output_scale_1",
    "real_half",
    "meta_q_table2",
    "meta_model_table2",
    "temperature_fixed",
    "paper_networks",  # an hour on one core
)


Job = tuple[str, str, int]  # recipe, quality of the data, seed
Arm = dict[str, list[list[float]]]  # returns [seed][task] of each policy


@dataclass(frozen=True)
class Plan:
    """The planned runs and their folder."""

    runs: Path
    seeds: Sequence[int]
    ablation_seeds: Sequence[int]
    qualities: Sequence[str]
    ablations: Sequence[str]
    overrides: Sequence[str]  # of every recipe, KEY=VALUE

    def jobs(self) -> list[Job]:
        """Every run."""
        main = [(recipe, quality, s) for s in self.seeds for quality in self.qualities for recipe in MAIN.values()]
        return main + [(f"ablations/{name}", "medium", s) for s in self.ablation_seeds for name in self.ablations]

    def folder(self, recipe: str, quality: str, seed: int) -> Path:
        """The folder of a run."""
        return self.runs / f"{recipe.replace('/', '-')}-{quality}-{seed}"

    def report(self, recipe: str, quality: str, seed: int) -> Path:
        """The report of a run, the last file that it writes."""
        return self.folder(recipe, quality, seed) / "report.json"

    def finished(self, recipe: str, quality: str, seed: int) -> bool:
        """Whether a run has a report."""
        return self.report(recipe, quality, seed).exists()

    def settings(self, quality: str) -> list[str]:
        """The overrides of a run, KEY=VALUE."""
        return [f"data.quality={quality}", f"tasks.seed={WINDS}", *self.overrides]


def main() -> None:
    """Run what is missing, print the tables, and write them if complete."""
    arguments = _arguments()
    if arguments.stored:
        write_stored(arguments)
        return
    plan = _plan(arguments)
    with own_store() if arguments.tiny else contextlib.nullcontext():
        if not arguments.tables:
            run_all(plan, arguments.jobs)
        arms = dict(_arms(plan))
        ablations = dict(_ablations(plan))
    lines = tables(arms, ablations)
    print("\n".join(lines))
    files = {
        arguments.out / "point_robot_wind.json": {"arms": arms, "ablations": ablations},
        arguments.out / "point_robot_wind.md": "\n".join(lines) + "\n",
    }
    missing = [f"run without a report: {plan.folder(*job)}" for job in plan.jobs() if not plan.finished(*job)]
    write_results(arguments.script, files, missing, indent=None)


def write_stored(arguments: argparse.Namespace) -> None:
    """The tables of the stored returns."""
    stored = json.loads((RESULTS / "point_robot_wind.json").read_text("utf-8"))
    text = "\n".join(tables(stored["arms"], stored["ablations"])) + "\n"
    write_results(arguments.script, {arguments.out / "point_robot_wind.md": text})


def run_all(plan: Plan, at_once: int) -> None:
    """Run all jobs without a report."""
    for quality in plan.qualities:  # the data first: two runs must not collect the same
        command(plan, "collect", MAIN["MerPO-Adp"], quality)
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda job: run(plan, *job), plan.jobs()))


def command(plan: Plan, name: str, recipe: str, quality: str, *more: str, makes: Path | None = None) -> None:
    """One `merpo` command with one thread."""
    sets = [part for setting in plan.settings(quality) for part in ("--set", setting)]
    path = str(ROOT / "recipes" / f"{recipe}.toml")
    merpo(name, path, *sets, *more, makes=makes, quiet=True, env={"OMP_NUM_THREADS": "1"})


def run(plan: Plan, recipe: str, quality: str, seed: int) -> None:
    """One run, unless its report is there."""
    if plan.finished(recipe, quality, seed):
        return
    where, report = plan.folder(recipe, quality, seed), plan.report(recipe, quality, seed)
    began = time.monotonic()
    few = ("--set", "evaluate.during_training=4", "--set", "run.tensorboard=false")
    command(plan, "run", recipe, quality, "--seed", str(seed), "--out", str(where), *few, makes=report)
    print(f"{where.name}: {time.monotonic() - began:.0f} s", flush=True)


def _arms(plan: Plan) -> Iterator[tuple[str, dict[str, Arm]]]:
    """The arms of each quality, for the seeds with which all of `MAIN` have finished."""
    for quality in plan.qualities:
        there = [s for s in plan.seeds if all(plan.finished(recipe, quality, s) for recipe in MAIN.values())]
        if there:
            yield quality, collect_arms(plan, quality, there)


def _ablations(plan: Plan) -> Iterator[tuple[str, Arm]]:
    for name in plan.ablations:
        recipe = f"ablations/{name}"
        done = [s for s in plan.seeds if plan.finished(recipe, "medium", s)]
        if done:
            yield name, gather(plan, recipe, "medium", done)


def gather(plan: Plan, recipe: str, quality: str, seeds: Sequence[int]) -> Arm:
    """Returns [seed][task] of behaviour, meta-policy, adapted policy and oracle."""
    names = ("behavior", "meta_policy", "adapted", "oracle")
    reports = [json.loads(plan.report(recipe, quality, s).read_text("utf-8")) for s in seeds]
    return {name: [[task[name] for task in report["tasks"]] for report in reports] for name in names}


def collect_arms(plan: Plan, quality: str, seeds: Sequence[int]) -> dict[str, Arm]:
    """All arms of one quality."""
    arms = {arm: gather(plan, recipe, quality, seeds) for arm, recipe in MAIN.items()}
    for arm, recipe in READAPTED.items():
        rows = [readapt(plan, recipe, quality, seed, arm == CUT) for seed in seeds]
        arms[arm] = {**arms["MerPO-Adp"], "adapted": rows}
    return arms


def readapt(plan: Plan, recipe: str, quality: str, seed: int, cut: bool) -> list[float]:
    """Returns on the unseen tasks when `recipe`'s adaptation starts from the meta-artifact of MerPO-Adp's run."""
    from merpo.algorithm.units import Scales
    from merpo.artifacts.artifact import load_artifact
    from merpo.components.context import Context
    from merpo.data.dataset import stack_tasks
    from merpo.data.needed import load_data
    from merpo.evaluation.evaluate import evaluate
    from merpo.lazy import torch
    from merpo.recipe.recipe import load_recipe

    where = plan.folder(MAIN["MerPO-Adp"], quality, seed)
    loaded = load_recipe(ROOT / "recipes" / f"{recipe}.toml", plan.settings(quality))
    _, test = load_data(loaded, 2)
    if cut:
        ends = [torch.maximum(data.terminations, data.truncations) for data, _ in test]
        test = [(replace(data, terminations=end), m) for (data, m), end in zip(test, ends, strict=True)]
    groups = {
        name: load_artifact(where / "artifacts" / f"{name}.safetensors")[0]
        for name in ("meta-model", "meta-policy", "unseen-models", "unseen-behavior")
    }
    meta = {**groups["meta-policy"], "meta_model": groups["meta-model"]["phi"]}
    settings = loaded.method.rac  # type: ignore[attr-defined]
    meta["scales"] = Scales(settings.discount, settings.reward_scale, None).group()  # numbers in this recipe
    if not settings.lambda_tune:
        meta["duals"] = {**meta["duals"], "lambda": torch.tensor(settings.lambda_initial)}
    context = Context(
        seed,
        stage=lambda name, compute: groups[name],
        labels=tuple(f"unseen-{manifest.task_index}" for _, manifest in test),
    )
    data = stack_tasks([data for data, _ in test], loaded.tasks.spec(), seed)
    policy = loaded.method.adapt(meta, data, context).policy
    tasks = [data.task for data, _ in test]
    act = loaded.method.act
    return evaluate(loaded.tasks, tasks, lambda s: act(policy, s), 1, seed).returns.mean(1).tolist()


def tables(arms: dict[str, dict[str, Arm]], ablations: dict[str, Arm]) -> list[str]:
    """The Markdown of all summaries."""
    lines = [
        "# Point-Robot-Wind with one goal, unseen winds",
        "",
        f"Made by `python bench/results.py`, on winds drawn with seed {WINDS}: no recipe was tuned on them.",
        "Brackets: 95 % intervals by Student's t, for gaps closed Fieller's. In the first table of each quality they",
        "are for new seeds of meta-training and adaptation and new winds together; those of the interquartile mean and",
        "of the worst decile (a seed's worst tenth of the winds) are for new seeds on these winds. Of an arm with one",
        "seed they are for new winds with these trained policies. The tables are exploratory: intervals are not",
        f"corrected for how many there are. {_data(arms)}",
        "",
    ]
    for quality, table in arms.items():
        lines += [
            f"## {quality} data",
            "",
            *_table(table),
            "",
            *_differences(table),
            "",
            "Task by task, over the seeds: mean, least and greatest.",
            "",
            *_by_task(table["MerPO-Adp"]),
            "",
        ]
    if ablations:
        lines += ["## Ablations, medium data", "", *_table(ablations)]
    return lines


def _table(table: dict[str, Arm]) -> list[str]:
    from merpo.report.summary import summarize
    from merpo.support.statistics.scores import iqm, worst_decile

    columns = ["arm", "seeds", "behaviour", "meta-policy", "adapted, 100 steps", "interquartile mean", "worst decile"]
    columns += ["oracle", "gap closed"]
    columns += ["adapted − behaviour", "adapted − meta-policy", "worse than behaviour / meta-policy"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for arm, rows in table.items():
        shown = ("behavior", "meta_policy", "adapted", "oracle")
        s = summarize({key: rows[key] for key in shown}, SEEDS)
        spread = (iqm(rows["adapted"], SEEDS), worst_decile(rows["adapted"], SEEDS))
        intervals = (*(s.returns.get(key) for key in shown[:3]), *spread, s.returns.get("oracle"), s.gap_closed)
        intervals += (s.adapted_minus["behavior"], s.adapted_minus["meta_policy"])
        cells = [arm, str(s.seeds), *map(_i, intervals)]
        cells.append(f"{s.worse_than['behavior']} / {s.worse_than['meta_policy']} of {s.tasks * s.seeds}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _differences(table: dict[str, Arm]) -> list[str]:
    """MerPO-Adp's adapted policies against every other arm's, paired by seed.

    Runs with one seed start from the same networks and draw the same numbers, as far as their recipes are the same.
    """
    from merpo.support.statistics.crossed import crossed
    from merpo.support.statistics.estimate import paired
    from merpo.support.statistics.holm import holm
    from merpo.support.statistics.interval import judged

    ours, others = table["MerPO-Adp"]["adapted"], {arm: rows["adapted"] for arm, rows in table.items()}
    del others["MerPO-Adp"]
    means = {arm: [sum(row) / len(row) for row in rows] for arm, rows in (("", ours), *others.items())}
    found = {arm: paired(means[""], means[arm], SEEDS) for arm in others}
    corrected = dict(zip(found, holm([one.p_value() for one in found.values()]), strict=True))
    head = ["MerPO-Adp minus", "on new seeds", "p", "MerPO-Adp is better", "on new seeds and winds"]
    lines = [
        "MerPO-Adp's adapted return minus another arm's, paired by seed. On these winds MerPO-Adp is better: holds,",
        "cannot be told, or does not hold, by the interval for new seeds and by its p, which is corrected for all arms",
        "of the table (Holm).",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
    ]
    for arm, rows in others.items():
        difference, p = found[arm].interval, corrected[arm]
        both = crossed([[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(ours, rows, strict=True)], SEEDS)
        cells = (arm, _i(difference), "–" if p is None else f"{p:.2g}", judged(difference, corrected=p), _i(both))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _by_task(rows: Arm) -> list[str]:
    """MerPO-Adp's returns by task: mean over seeds, with the least and greatest seed in brackets."""
    lines = [
        "| MerPO-Adp, unseen task | adapted − behaviour | adapted − meta-policy | oracle − meta-policy |",
        "|---|---|---|---|",
    ]
    for t in range(len(rows["adapted"][0])):
        cells = [str(t)]
        for first, second in (("adapted", "behavior"), ("adapted", "meta_policy"), ("oracle", "meta_policy")):
            values = [a[t] - b[t] for a, b in zip(rows[first], rows[second], strict=True)]
            cells.append(f"{sum(values) / len(values):.2f} [{min(values):.2f}, {max(values):.2f}]")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _i(interval: object) -> str:
    if interval is None:
        return "–"
    if interval.low is None:  # type: ignore[attr-defined]
        return f"{interval.mean:.2f}"  # type: ignore[attr-defined]
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"  # type: ignore[attr-defined]


def _data(arms: dict[str, dict[str, Arm]]) -> str:
    """Whether all seeds share their data, by the returns of its episodes."""
    shared = all(
        row == arm["behavior"][0] for table in arms.values() for arm in table.values() for row in arm["behavior"]
    )
    return "All seeds share one data set per quality." if shared else "Seeds have data sets of their own."


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("--seeds", type=int, default=4)
    made.add_argument("--ablation-seeds", type=int, default=1)
    made.add_argument("--jobs", type=int, default=2)
    made.add_argument("--tables", action="store_true", help="print only the tables, from existing runs")
    made.add_argument("--stored", action="store_true", help="only make the tables anew from point_robot_wind.json")
    made.add_argument("--runs", type=Path, metavar="FOLDER", help="folder of the runs (runs/results)")
    return parse(made, seeds=1)


def _plan(arguments: argparse.Namespace) -> Plan:
    """The plan of all runs, or with `--tiny` of the arms of one quality and one ablation."""
    seeds, ablation_seeds = range(arguments.seeds), range(arguments.ablation_seeds)
    if arguments.tiny:
        runs = arguments.runs or arguments.out / "runs"
        return Plan(runs, seeds, ablation_seeds, ("medium",), ("persistent",), tiny_overrides())
    return Plan(arguments.runs or ROOT / "runs" / "results", seeds, ablation_seeds, QUALITIES, ABLATIONS, ())


if __name__ == "__main__":
    main()
