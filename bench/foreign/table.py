"""The table of the foreign suite, from finished runs of run_suite.py and the results beside them.

    python bench/foreign/table.py --runs runs/foreign

Arms: the behaviour controllers by their modes and the clones, the meta-policy as it is, the adapted policies by mode
and drawn, COMBO from scratch (run_suite.py's arms), d3rlpy's algorithms (d3rlpy_baselines.py, if there are results),
the best blind and the best known controller (references.py). Scores are 0 for the behaviour policies' modes and 1 for
the best known. Intervals are Student's t over meta-training seeds, of means over the unseen tasks.
"""

from __future__ import annotations

import argparse
import json
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
from merpo.support.statistics import Interval, student

MEASURED = ("behavior_mode", "clone", "clone_drawn", "meta_policy", "adapted", "adapted_drawn")
LABELS = {
    "behavior_mode": "behaviour's mode",
    "clone": "clone",
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

Rows = dict[str, list[float]]  # arm -> mean return over the unseen tasks, of every seed


def main() -> None:
    """Write foreign.json and foreign.md."""
    arguments = _arguments()
    references = json.loads((RESULTS / "foreign_references.json").read_text("utf-8"))["families"]
    outside = _d3rlpy(arguments.d3rlpy)
    found: dict[str, Any] = {}
    for name in arguments.families:
        for quality in arguments.qualities:
            runs = sorted((arguments.runs / f"{name}-{quality}").glob("seed-*/report.json"))
            if runs:
                found[f"{name} {quality}"] = _summary(rows(runs, references[name], quality, outside, name))
    missing = [] if found else [f"no finished run in {arguments.runs}"]
    page = "\n".join(markdown(found)) + "\n"
    files: dict[Path, Any] = {arguments.out / "foreign.json": {"arguments": _recorded(arguments), "rows": found}}
    write_results("foreign/table", {**files, arguments.out / "foreign.md": page}, missing)
    print(page)


def rows(runs: Sequence[Path], reference: Any, quality: str, outside: Mapping[str, float], name: str) -> Rows:
    """The returns of every arm that was measured for every seed."""
    made: Rows = {}
    for path in runs:
        seed = int(path.parent.name.removeprefix("seed-"))
        report = json.loads(path.read_text("utf-8"))
        mode = reference["qualities"][quality]["behavior_mode"]
        made.setdefault("behavior_mode", []).append(_mean(mode[seed % len(mode)]))
        for arm in MEASURED[1:]:
            values = [task.get(arm) for task in report["tasks"]]
            if all(value is not None for value in values):
                made.setdefault(arm, []).append(_mean(values))
        for arm in ARMS:
            measured = path.parent.parent / f"seed-{seed}-{arm}" / "evaluation.json"
            if measured.is_file():
                made.setdefault(arm, []).append(json.loads(measured.read_text("utf-8"))["mean"]["mean"])
        times = report["timings"]
        stages = ("unseen-models", "unseen-behavior", "adapt")
        made.setdefault("seconds", []).append(sum(times[stage] for stage in stages) / len(report["tasks"]))
        for arm, value in _controllers(reference).items():
            made.setdefault(arm, []).append(value)
    for arm in D3RLPY:
        if (value := outside.get(f"{name} {quality} {arm}")) is not None:
            made[arm] = [value] * len(runs)
    return {arm: values for arm, values in made.items() if len(values) == len(runs)}


def _controllers(reference: Any) -> dict[str, float]:
    """Mean returns of the best blind and the best known controller."""
    return {"blind": _mean(_flat(reference["blind"]["returns"])), "known": _mean(_flat(reference["known"]["returns"]))}


def _summary(arms: Rows) -> dict[str, Any]:
    """Means with intervals, scores, and the differences that the claims are about."""
    zero, one = _mean(arms["behavior_mode"]), _mean(arms["known"])
    better = [max(pair) for pair in zip(arms["behavior_mode"], arms["meta_policy"], strict=True)]
    differences = {
        "adapted − behaviour's mode": _minus(arms["adapted"], arms["behavior_mode"]),
        "adapted − meta-policy": _minus(arms["adapted"], arms["meta_policy"]),
        "adapted − the better of them": _minus(arms["adapted"], better),
    }
    if "clone" in arms:
        differences["adapted − clone"] = _minus(arms["adapted"], arms["clone"])
    return {
        "seeds": len(arms["adapted"]),
        "returns": {arm: _plain(student(values)) for arm, values in arms.items()},
        "scores": {
            arm: _mean([(v - zero) / (one - zero) for v in values]) for arm, values in arms.items() if arm in LABELS
        },
        "differences": {key: _plain(student(values)) for key, values in differences.items()},
    }


def markdown(found: Mapping[str, Any]) -> list[str]:
    """The page."""
    half = {cls.name.removeprefix("foreign-") for cls in DEVELOPMENT}
    lines = [
        "# The foreign suite",
        "",
        "Made by `python bench/foreign/table.py`; [the suite](../foreign/README.md) describes families and arms.",
        "Constants were chosen on the families marked *. Brackets: 95 % intervals by Student's t over meta-training",
        "seeds, of means over the four unseen tasks. The rule that keeps the meta-policy unless the model prefers",
        "another policy in both ways was settled on heating poor, with a look at inventory medium.",
        "",
    ]
    arms = [arm for arm in LABELS if any(arm in row["returns"] for row in found.values())]
    lines += _table(["returns", "seeds", *(LABELS[arm] for arm in arms), "s per task"])
    for key, row in found.items():
        returns = row["returns"]
        cells = [_text(returns[arm]) if arm in returns else "–" for arm in arms]
        lines.append(_line([_name(key, half), str(row["seeds"]), *cells, f"{returns['seconds']['mean']:.0f}"]))
    lines += ["", "Scores: 0 is the behaviour policies' mode, 1 the best known controller.", ""]
    lines += _table(["scores", *(LABELS[arm] for arm in arms)])
    for key, row in found.items():
        cells = [f"{row['scores'][arm]:.2f}" if arm in row["scores"] else "–" for arm in arms]
        lines.append(_line([_name(key, half), *cells]))
    shared = {arm for arm in arms if all(arm in row["scores"] for row in found.values())}
    means = [f"{_mean([row['scores'][arm] for row in found.values()]):.2f}" if arm in shared else "–" for arm in arms]
    lines += [_line(["**mean**", *means]), ""]
    kinds = list(dict.fromkeys(kind for row in found.values() for kind in row["differences"]))
    lines += _table(["differences of returns", *kinds])
    for key, row in found.items():
        cells = [_text(row["differences"][kind]) if kind in row["differences"] else "–" for kind in kinds]
        lines.append(_line([_name(key, half), *cells]))
    return lines


def _d3rlpy(folder: Path | None) -> dict[str, float]:
    """`family quality algorithm` -> mean return over the unseen tasks, where all of them are finished."""
    by_arm: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        job = json.loads(path.read_text("utf-8"))
        key = f"{job['family']} {job['quality']} {job['algorithm']}"
        by_arm.setdefault(key, {})[job["task"]] = _mean(_flat(job["returns"]))
    return {key: _mean(list(tasks.values())) for key, tasks in by_arm.items() if len(tasks) == 4}


def _minus(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(first, second, strict=True)]


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
