"""The claims of Section 5.2 on Point-Robot-Wind, on unseen tasks, with 4 seeds: `python bench/results.py`.

Every arm is a recipe run by `merpo run` with one thread, two at a time. What has finished is not run again, so that
the script can be stopped and started. Arms marked `@` take the meta-artifact of MerPO-Adp and change the adaptation
only. The winds are others than those with which the recipes were tuned. Writes
`bench/results/point_robot_wind.json` and the tables of `bench/results/point_robot_wind.md`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from _command import merpo

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "bench" / "results"
QUALITIES = ("medium", "random", "expert")
MAIN = {  # arm -> recipe, on every quality
    "MerPO-Adp": "merpo_adp",
    "MerPO (α = 0.4)": "merpo",
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
    "@ time-outs as terminations": "merpo_adp",
}
CUT = "@ time-outs as terminations"  # the arm whose datasets say that time-outs are terminations
WINDS = 2026  # seed of the tasks: other winds than those with which the recipes were tuned (1337, 11)
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
    "semicircle",
    "reward_scale_1",
    "output_scale_1",
    "real_half",
    "meta_q_table2",
    "meta_model_table2",
    "temperature_fixed",
    "paper_networks",  # an hour on one core
)


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--ablation-seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tables", action="store_true", help="only write the tables, from the runs that are there")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "results")
    options = parser.parse_args()
    seeds = range(options.seeds)
    if not options.tables:
        run_all(options.runs, seeds, range(options.ablation_seeds), options.jobs)
    arms = {}
    for quality in QUALITIES:
        there = [s for s in seeds if all(finished(options.runs, recipe, quality, s) for recipe in MAIN.values())]
        arms |= {quality: collect_arms(options.runs, quality, there)} if there else {}
    ablations = {}
    for name in ABLATIONS:
        recipe = f"ablations/{name}"
        done = [s for s in seeds if finished(options.runs, recipe, "medium", s)]
        if done:
            ablations[name] = gather(options.runs, recipe, "medium", done)
    OUT.mkdir(parents=True, exist_ok=True)
    write(arms, ablations)


def run_all(runs: Path, seeds: Sequence[int], ablation_seeds: Sequence[int], at_once: int) -> None:
    """Every run that is not there yet."""
    for quality in QUALITIES:  # the data first: two runs must not collect the same
        command("collect", "merpo_adp", quality)
    command("collect", "ablations/semicircle", "medium")
    jobs = [(recipe, quality, seed) for seed in seeds for quality in QUALITIES for recipe in MAIN.values()]
    jobs += [(f"ablations/{name}", "medium", seed) for seed in ablation_seeds for name in ABLATIONS]
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda job: run(runs, *job), jobs))


def command(name: str, recipe: str, quality: str, *more: str, makes: Path | None = None) -> None:
    """One `merpo` command with one thread."""
    sets = ("--set", f"data.quality={quality}", "--set", f"tasks.seed={WINDS}")
    path = str(ROOT / "recipes" / f"{recipe}.toml")
    merpo(name, path, *sets, *more, makes=makes, quiet=True, env={"OMP_NUM_THREADS": "1"})


def folder(runs: Path, recipe: str, quality: str, seed: int) -> Path:
    """Where a run is."""
    return runs / f"{recipe.replace('/', '-')}-{quality}-{seed}"


def finished(runs: Path, recipe: str, quality: str, seed: int) -> bool:
    """Whether a run has come to its report."""
    return (folder(runs, recipe, quality, seed) / "report.json").exists()


def run(runs: Path, recipe: str, quality: str, seed: int) -> None:
    """One run, unless its report is there."""
    where = folder(runs, recipe, quality, seed)
    if finished(runs, recipe, quality, seed):
        return
    began = time.monotonic()
    few = ("--set", "evaluate.during_training=4", "--set", "run.tensorboard=false")
    report = where / "report.json"
    command("run", recipe, quality, "--seed", str(seed), "--out", str(where), *few, makes=report)
    print(f"{where.name}: {time.monotonic() - began:.0f} s", flush=True)


def gather(runs: Path, recipe: str, quality: str, seeds: Sequence[int]) -> dict[str, list[list[float]]]:
    """Returns [seed][task] of behaviour, meta-policy, adapted policy and oracle."""
    names = ("behavior", "meta_policy", "adapted", "oracle")
    reports = [json.loads((folder(runs, recipe, quality, s) / "report.json").read_text()) for s in seeds]
    return {name: [[task[name] for task in report["tasks"]] for report in reports] for name in names}


def collect_arms(runs: Path, quality: str, seeds: Sequence[int]) -> dict[str, dict[str, list[list[float]]]]:
    """All arms of one quality."""
    arms = {arm: gather(runs, recipe, quality, seeds) for arm, recipe in MAIN.items()}
    for arm, recipe in READAPTED.items():
        rows = [readapt(folder(runs, "merpo_adp", quality, seed), recipe, quality, seed, arm == CUT) for seed in seeds]
        arms[arm] = {**arms["MerPO-Adp"], "adapted": rows}
    return arms


def readapt(where: Path, recipe: str, quality: str, seed: int, cut: bool) -> list[float]:
    """Returns on the unseen tasks when `recipe`'s adaptation starts from the meta-artifact of the run in `where`."""
    from merpo.artifacts import load_artifact
    from merpo.context import Context
    from merpo.data import load_data
    from merpo.dataset import stack_tasks
    from merpo.evaluation import evaluate
    from merpo.lazy import torch
    from merpo.recipe import load_recipe

    loaded = load_recipe(ROOT / "recipes" / f"{recipe}.toml", [f"data.quality={quality}", f"tasks.seed={WINDS}"])
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


def write(
    arms: dict[str, dict[str, dict[str, list[list[float]]]]], ablations: dict[str, dict[str, list[list[float]]]]
) -> None:
    """The JSON of all returns and the Markdown of their summaries."""
    lines = [
        "# Point-Robot-Wind, unseen tasks",
        "",
        f"Made by `python bench/results.py`, on winds drawn with seed {WINDS}: no recipe was tuned on them.",
        "Brackets: 95 % bootstrap intervals over tasks and seeds; task by task, the least and greatest seed.",
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
            *_by_task(table["MerPO-Adp"]),
            "",
        ]
    if ablations:
        lines += ["## Ablations, medium data", "", *_table(ablations)]
    (OUT / "point_robot_wind.json").write_text(
        json.dumps({"arms": arms, "ablations": ablations}, ensure_ascii=False) + "\n", "utf-8"
    )
    (OUT / "point_robot_wind.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


def _table(table: dict[str, dict[str, list[list[float]]]]) -> list[str]:
    from merpo.summary import summarize

    columns = ["arm", "seeds", "behaviour", "meta-policy", "adapted, 100 steps", "oracle", "gap closed"]
    columns += ["adapted − behaviour", "adapted − meta-policy", "worse than behaviour / meta-policy"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for arm, rows in table.items():
        s = summarize(rows["behavior"], rows["adapted"], meta_policy=rows["meta_policy"], oracle=rows["oracle"])
        intervals = (s.behavior, s.meta_policy, s.adapted, s.oracle, s.gap_closed)
        intervals += (s.adapted_minus_behavior, s.adapted_minus_meta_policy)
        cells = [arm, str(s.seeds), *map(_i, intervals)]
        cells.append(f"{s.worse_than_behavior} / {s.worse_than_meta_policy} of {s.tasks * s.seeds}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _differences(table: dict[str, dict[str, list[list[float]]]]) -> list[str]:
    """MerPO-Adp's adapted policies against every other arm's."""
    from merpo.statistics import paired_difference

    ours = table["MerPO-Adp"]["adapted"]
    lines = ["| MerPO-Adp minus | difference of adapted returns |", "|---|---|"]
    return lines + [
        f"| {arm} | {_i(paired_difference(ours, rows['adapted']))} |"
        for arm, rows in table.items()
        if arm != "MerPO-Adp"
    ]


def _by_task(rows: dict[str, list[list[float]]]) -> list[str]:
    """MerPO-Adp task by task: mean over seeds, and in brackets the least and greatest seed."""
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
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
