"""The table of the foreign suite, from finished runs of run_suite.py and the results beside them.

    python bench/foreign/table.py --runs runs/foreign

Arms: the behaviour controllers by their modes and the clones, a clone pooled over the training tasks
(pooled_clone.py), the meta-policy as it is, the adapted policies by mode and drawn, COMBO from scratch (run_suite.py's
arms), d3rlpy's algorithms (d3rlpy_baselines.py, if there are results), the best blind and the best known controller
(references.py). Scores are 0 for the behaviour policies' modes and 1 for the best known. Intervals are Student's t over
meta-training seeds, of means over the unseen tasks.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import _bench  # noqa: F401 - makes the modules of bench/ importable
from _options import options, parse, recorded
from _results import RESULTS, write_results
from merpo_foreign.suite import DEVELOPMENT, QUALITIES
from run_suite import ARMS, NAMES, ROOT

from merpo.errors import MerpoError
from merpo.support.format import number
from merpo.support.statistics.estimate import student
from merpo.support.statistics.interval import Interval

MEASURED = ("clone", "clone_drawn", "meta_policy", "adapted")  # in a run's report
LABELS = {
    "behavior_mode": "behaviour's mode",
    "clone": "clone",
    "clone_drawn": "clone, drawn",
    "pooled": "pooled clone",
    "meta_policy": "meta-policy",
    "adapted": "adapted",
    "adapted_drawn": "adapted, drawn",
    "combo": "COMBO, same steps",
    "combo-10000": "COMBO, 10,000",
    "bc": "d3rlpy BC",
    "td3bc": "d3rlpy TD3+BC",
    "iql": "d3rlpy IQL",
    "cql": "d3rlpy CQL",
    "blind": "blind",
    "known": "known",
}
D3RLPY = ("bc", "td3bc", "iql", "cql")

Rows = dict[str, dict[int, float]]  # arm -> seed -> mean return over the unseen tasks


def main() -> None:
    """Write foreign.json and foreign.md."""
    arguments = _arguments()
    references = json.loads((RESULTS / "foreign_references.json").read_text("utf-8"))["families"]
    fixed = {**_d3rlpy(arguments.d3rlpy), **_controllers(references)}
    pooled = json.loads((RESULTS / "foreign_pooled.json").read_text("utf-8"))["returns"]
    found: dict[str, Any] = {}
    for name in arguments.families:
        for quality in arguments.qualities:
            runs = sorted((arguments.runs / f"{name}-{quality}").glob("seed-*/report.json"))
            if runs:
                key = f"{name} {quality}"
                modes = references[name]["qualities"][quality]["behavior_mode"]
                measured = {**rows(runs, modes), "pooled": dict(enumerate(pooled[key]))}
                constants = {arm: value for (where, arm), value in fixed.items() if where in (key, name)}
                steps = _steps(runs[0])
                found[key] = {
                    **summary(measured, constants), "data_sets": len({_data(path) for path in runs}), "steps": steps,
                }  # fmt: skip
    missing = [] if found else [f"no finished run in {arguments.runs}"]
    costs = _costs(arguments.d3rlpy)
    page = "\n".join(markdown(found, costs)) + "\n"
    stored = {"arguments": _recorded(arguments), "rows": found, **({"d3rlpy": costs} if costs else {})}
    files: dict[Path, Any] = {arguments.out / "foreign.json": stored}
    write_results("foreign/table", {**files, arguments.out / "foreign.md": page}, missing)
    print(page)


def rows(runs: Sequence[Path], modes: Sequence[Any]) -> Rows:
    """The mean returns over the unseen tasks of every arm at every seed at which it was measured, and seconds per task.

    `modes` has the behaviour controllers' returns on the episodes of every seed.
    """
    made: Rows = defaultdict(dict)
    for path in runs:
        seed, beside = int(path.parent.name.removeprefix("seed-")), path.parent.parent
        report = json.loads(path.read_text("utf-8"))
        made["behavior_mode"][seed] = _mean(modes[seed % len(modes)])
        for arm in MEASURED:
            values = [task.get(arm) for task in report["tasks"]]
            if all(value is not None for value in values):
                made[arm][seed] = _mean(values)
        files = {arm: beside / f"seed-{seed}-{arm}" / "evaluation.json" for arm in ARMS}
        files["adapted_drawn"] = beside / f"seed-{seed}-drawn.json"
        for arm, measured in files.items():
            if measured.is_file():
                made[arm][seed] = json.loads(measured.read_text("utf-8"))["mean"]["mean"]
        times = report["timings"]
        stages = ("unseen-models", "unseen-behavior", "adapt")
        made["seconds"][seed] = sum(times[stage] for stage in stages) / len(report["tasks"])
    return dict(made)


def _data(report: Path) -> frozenset[str]:
    """The digests of the data that a run read."""
    return frozenset(entry["sha256"] for entry in json.loads(report.read_text("utf-8"))["datasets"])


def _steps(report: Path) -> dict[str, int]:
    """The gradient steps on a new task, at most: of policy and critics, of the model, of the clone."""
    method = json.loads(report.read_text("utf-8"))["recipe"]["method"]
    return {
        "policy": method["adaptation"]["steps"],
        "model": method["meta_model"]["adaptation_steps"],
        "clone": method["behavior"]["steps"],
    }


def _controllers(references: Any) -> dict[tuple[str, str], float]:
    """(family, arm) -> the mean return of the best blind and of the best known controller."""
    return {
        (name, arm): _mean(_flat(found[arm]["returns"]))
        for name, found in references.items()
        for arm in ("blind", "known")
    }


def summary(measured: Rows, constants: Mapping[str, float]) -> dict[str, Any]:
    """Means with intervals, scores, and the differences that the claims are about.

    `constants` are arms that do not depend on merpo's seeds.
    """
    seeds = sorted(measured["adapted"])
    zero, one = _mean([measured["behavior_mode"][seed] for seed in seeds]), constants["known"]
    known = {arm: {seed: row[seed] for seed in seeds if seed in row} for arm, row in measured.items()}
    returns = {arm: {"n": len(row), **_plain(student(list(row.values())))} for arm, row in known.items() if row}
    returns |= {arm: {"mean": value} for arm, value in constants.items()}
    outside = [constants[arm] for arm in D3RLPY if arm in constants]
    others: Rows = {
        "behaviour's mode": known["behavior_mode"],
        "meta-policy": known["meta_policy"],
        "the better of them": {seed: max(known["behavior_mode"][seed], known["meta_policy"][seed]) for seed in seeds},
        "clone": known.get("clone", {}),
        "COMBO, same steps": known.get("combo", {}),
        "COMBO, 10,000": known.get("combo-10000", {}),
        "the best of d3rlpy": {seed: max(outside) for seed in seeds} if outside else {},
    }
    return {
        "seeds": len(seeds),
        "returns": returns,
        "scores": {arm: (value["mean"] - zero) / (one - zero) for arm, value in returns.items() if arm in LABELS},
        "differences": {
            f"adapted − {name}": _plain(student([known["adapted"][seed] - row[seed] for seed in row]))
            for name, row in others.items()
            if row
        },
    }


def markdown(found: Mapping[str, Any], costs: Mapping[str, Any]) -> list[str]:
    """The page; `costs` are those of d3rlpy's algorithms."""
    half = {cls.name.removeprefix("foreign-") for cls in DEVELOPMENT}
    lines = [
        "# The foreign suite",
        "",
        "Made by `python bench/foreign/table.py`; [the suite](../foreign/README.md) describes families and arms.",
        "Constants were chosen on the families marked *. Brackets: 95 % intervals by Student's t for new seeds of",
        "meta-training and adaptation, of means over the four unseen tasks; (n) where an arm was measured at fewer",
        "seeds, no interval with one seed. The tables are exploratory: intervals are not corrected for how many there",
        "are. The rules that keep the meta-policy were settled with results of the reporting half in view (see there).",
        f"Seconds per task were measured on a machine with other work.{_shared(found)}",
        "",
    ]
    arms = [arm for arm in LABELS if any(arm in row["returns"] for row in found.values())]
    lines += _table(["returns", "seeds", *(LABELS[arm] for arm in arms), "s per task"])
    for key, row in found.items():
        returns = row["returns"]
        cells = [_counted(returns[arm], row["seeds"]) if arm in returns else "–" for arm in arms]
        lines.append(_line([_name(key, half), str(row["seeds"]), *cells, f"{returns['seconds']['mean']:.0f}"]))
    lines += ["", "Scores: 0 is the behaviour policies' mode, 1 the best known controller.", ""]
    lines += _table(["scores", *(LABELS[arm] for arm in arms)])
    for key, row in found.items():
        cells = [f"{row['scores'][arm]:.2f}" if arm in row["scores"] else "–" for arm in arms]
        lines.append(_line([_name(key, half), *cells]))
    for label, chosen in _groups(found, half).items():
        shared = {arm for arm in arms if all(arm in row["scores"] for row in chosen)}
        means = [f"{_mean([row['scores'][arm] for row in chosen]):.2f}" if arm in shared else "–" for arm in arms]
        lines.append(_line([f"**{label}**", *means]))
    kinds = list(dict.fromkeys(kind for row in found.values() for kind in row["differences"]))
    lines += ["", *_table(["differences of returns", *kinds])]
    for key, row in found.items():
        cells = [_text(row["differences"][kind]) if kind in row["differences"] else "–" for kind in kinds]
        lines.append(_line([_name(key, half), *cells]))
    return [*lines, "", *_cost_lines(found, costs)]


def _cost_lines(found: Mapping[str, Any], costs: Mapping[str, Any]) -> list[str]:
    """What a new task costs: gradient steps and seconds."""
    lines = ["A new task costs, on one core:", "", *_table(["", "gradient steps", "seconds"])]
    for steps in {json.dumps(row["steps"], sort_keys=True): row["steps"] for row in found.values()}.values():
        seconds = [row["returns"]["seconds"]["mean"] for row in found.values() if row["steps"] == steps]
        text = f"{steps['policy']:,}, after at most {steps['model']:,} of the model and {steps['clone']:,} of the clone"
        lines.append(_line(["adapted", text, f"{min(seconds):.0f} to {max(seconds):.0f}"]))
    for arm, cost in costs.items():
        lines.append(_line([LABELS[arm], f"{cost['steps']:,}", f"{cost['low']:.0f} to {cost['high']:.0f}, of the CPU"]))
    return lines


def _shared(found: Mapping[str, Any]) -> str:
    """Whether the seeds of every row share their data, where the rows have the number of data sets."""
    alone = all(row.get("data_sets") == 1 for row in found.values())
    return " All seeds of a row share one data set." if alone else ""


def _groups(found: Mapping[str, Any], half: set[str]) -> dict[str, list[Any]]:
    """Rows over which scores are averaged: all, and each half that has any."""
    first = [row for key, row in found.items() if key.split(maxsplit=1)[0] in half]
    rest = [row for key, row in found.items() if key.split(maxsplit=1)[0] not in half]
    groups = {"mean": list(found.values()), "mean of the families marked *": first, "mean of the others": rest}
    return {label: chosen for label, chosen in groups.items() if chosen}


def _d3rlpy(folder: Path | None) -> dict[tuple[str, str], float]:
    """(`family quality`, algorithm) -> mean return over the unseen tasks, where all of them are finished."""
    by_arm: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        job = json.loads(path.read_text("utf-8"))
        by_arm[f"{job['family']} {job['quality']}", job["algorithm"]][job["task"]] = _mean(_flat(job["returns"]))
    return {key: _mean(list(tasks.values())) for key, tasks in by_arm.items() if len(tasks) == 4}


def _costs(folder: Path | None) -> dict[str, dict[str, float]]:
    """Algorithm of d3rlpy -> its gradient steps, and the least and greatest CPU seconds per task that were measured."""
    jobs = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))] if folder is not None else []
    found = {}
    for arm in D3RLPY:
        own = [job for job in jobs if job["algorithm"] == arm and "cpu_seconds" in job]
        if own:
            seconds = [job["cpu_seconds"] for job in own]
            found[arm] = {"steps": own[0]["gradient_steps"], "low": min(seconds), "high": max(seconds)}
    return found


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise MerpoError("table: got no values, expected at least one")
    return sum(values) / len(values)


def _flat(values: Any) -> list[float]:
    return [x for value in values for x in _flat(value)] if isinstance(values, list) else [float(values)]


def _plain(interval: Interval) -> dict[str, float]:
    ends = {} if interval.low is None else {"low": interval.bounds[0], "high": interval.bounds[1]}
    return {"mean": interval.mean, **ends}


def _text(value: Mapping[str, float]) -> str:
    ends = f" [{number(value['low'])}, {number(value['high'])}]" if "low" in value else ""
    return f"{number(value['mean'])}{ends}"


def _counted(value: Mapping[str, float], seeds: int) -> str:
    """The text of a mean, with the number of seeds where it is not that of the others."""
    return _text(value) + (f" ({value['n']})" if value.get("n", seeds) != seeds else "")


def _name(key: str, half: set[str]) -> str:
    return key + (" *" if key.split(maxsplit=1)[0] in half else "")


def _table(heads: Sequence[str]) -> list[str]:
    return [_line(heads), "|---" + "|---:" * (len(heads) - 1) + "|"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _recorded(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments without folders."""
    return {key: value for key, value in recorded(arguments).items() if key not in ("runs", "d3rlpy")}


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("--families", nargs="+", choices=NAMES, default=list(NAMES))
    made.add_argument("--qualities", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    made.add_argument("--runs", type=Path, default=ROOT / "runs" / "foreign", metavar="FOLDER")
    made.add_argument("--d3rlpy", type=Path, metavar="FOLDER", help="results of d3rlpy_baselines.py")
    return parse(made)


if __name__ == "__main__":
    main()
