"""Measured figures and the engine's goals in one table: `python bench/goals.py` only reads the benchmarks' JSON.

Writes `goals.md`, unless a figure of the table is missing. Ratios are medians over interleaved rounds, with their least
and greatest in brackets; a goal is reached above its floor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from _options import options, parse
from _results import RESULTS, write_results

Found = dict[str, float]  # median, low, high


class Goal(NamedTuple):
    """A figure's place in the results, and its floor or limit."""

    what: str
    script: str
    read: Callable[[Any], Found]
    floor: float
    stretch: float | None = None
    least: bool = True  # the figure should be at least the floor, else at most
    percent: bool = False
    unit: str = "×"


def speedup(*path: str, over: str) -> Callable[[Any], Found]:
    """A reader of merpo's speed relative to another variant."""
    return lambda found: _merpo(found, *path)["speedup"][over]


def of_sgemm(*path: str) -> Callable[[Any], Found]:
    """A reader of the FLOP/s of merpo's step relative to the machine's matrix product."""

    def read(found: Any) -> Found:
        row, sgemm = _merpo(found, *path), _at(found, *path)["sgemm"]
        rates = sorted(row["flop"] / seconds for seconds in _at(found, *path)["rounds"]["merpo"])
        top = sorted(sgemm)[len(sgemm) // 2]
        return {"median": row["of_sgemm"], "low": rates[0] / top, "high": rates[-1] / top}

    return read


def scaling(found: Any) -> Found:
    """The ratio of one thread's seconds to two threads'."""
    parts = found["sizes"]["5x300"]
    one, two = (sorted(parts[name]["alone"]) for name in ("1 thread", "2 threads, patient"))
    middle = len(one) // 2
    return {"median": one[middle] / two[middle], "low": one[0] / two[-1], "high": one[-1] / two[0]}


def peak(found: Any) -> Found:
    """The greatest resident set in GiB, of one run."""
    return dict.fromkeys(("median", "low", "high"), found["peak_bytes"] / 2**30)


STEP, MODEL, ROLL, ONE = ("sizes", "5x300"), ("tasks", "20"), ("shapes",), ("cases",)
GOALS = (
    Goal("inner step 5×300, 8 tasks, over modules", "inner_step", speedup(*STEP, over="modules"), 2.1, 2.6),
    Goal("the same, over shared forward passes", "inner_step", speedup(*STEP, over="shared"), 1.35, 1.5),
    Goal("the same, share of sgemm", "inner_step", of_sgemm(*STEP), 0.7, 0.85, percent=True),
    Goal("inner step 3×64, 8 tasks, over modules", "inner_step", speedup("sizes", "3x64", over="modules"), 8, 15),
    Goal("2 threads over 1, inner step 5×300", "contention", scaling, 1.7, 1.9),
    Goal(
        "meta-iteration, share outside of its steps", "meta_iteration", lambda x: x["outside"], 0.03, 0.02, False, True
    ),
    Goal("meta-model step 20 × 7, over ensembles", "meta_model_step", speedup(*MODEL, over="ensemble"), 1.4, 1.6),
    Goal("the same, over modules", "meta_model_step", speedup(*MODEL, over="modules"), 2.5, 3),
    Goal("one task's ensemble step", "meta_model_step", speedup("tasks", "1", over="ensemble"), 1.3, 1.5),
    Goal("rollouts 8 × 260, over kit", "rollouts", speedup(*ROLL, "batch", "rollouts", over="kit"), 5, 7),
    Goal("rollouts 50,000, over kit", "rollouts", speedup(*ROLL, "epoch", "rollouts", over="kit"), 10, 12),
    Goal("RAC 4×256, one task, over modules", "single_task", speedup(*ONE, "RAC", over="modules"), 1.8, 2.2),
    Goal("COMBO, log-sum-exp", "single_task", speedup(*ONE, "COMBO, logsumexp", over="modules"), 1.7, 2.1),
    Goal("evaluation, Walker2d", "evaluation", speedup("bodies", "Walker2d-v5", over="gym loop"), 2, 2.5),
    Goal("evaluation, HalfCheetah", "evaluation", speedup("bodies", "HalfCheetah-v5", over="gym loop"), 2.3, 3),
    Goal("draws, share of an inner step", "replay", lambda x: x["share"]["share"], 0.002, None, False, True),
    Goal(
        "loading 20 tasks × 40,000 transitions",
        "loading",
        lambda x: x["loaded"]["wall_seconds"],
        1,
        None,
        least=False,
        unit=" s",
    ),
    Goal("peak memory, Walker at Table 2's size", "memory", peak, 4, None, least=False, unit=" GiB"),
)


def main() -> None:
    """Print the table and write it."""
    made = options(__doc__, __file__)
    made.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="folder of the JSON files")
    arguments = parse(made)
    missing = []
    lines = [
        "# What the engine reaches",
        "",
        "Made by `python bench/goals.py` from the JSON beside it, which `nox -s bench` writes.",
        "",
        "| what | script | floor | stretch | here, median (least, greatest) | floor reached |",
        "|---|---|---|---|---|---|",
    ]
    for goal in GOALS:
        path = arguments.results / f"{goal.script}.json"
        try:
            lines.append(_row(goal, goal.read(json.loads(path.read_text("utf-8")))))
        except FileNotFoundError:
            missing.append(f"{goal.what}: no {path}")
        except (KeyError, StopIteration):
            missing.append(f"{goal.what}: not in {path}")
    text = "\n".join(lines) + "\n"
    print(text)
    write_results(arguments.script, {arguments.out / "goals.md": text}, missing)


def _row(goal: Goal, found: Found) -> str:
    reached = found["median"] >= goal.floor if goal.least else found["median"] <= goal.floor
    span = f"{_n(goal, found['median'])} ({_n(goal, found['low'])}, {_n(goal, found['high'])})"
    floor = f"{'≥' if goal.least else '≤'} {_n(goal, goal.floor)}"
    stretch = "–" if goal.stretch is None else _n(goal, goal.stretch)
    return f"| {goal.what} | `{goal.script}.py` | {floor} | {stretch} | {span} | {'yes' if reached else '**no**'} |"


def _n(goal: Goal, value: float) -> str:
    return f"{value:.2%}" if goal.percent else f"{value:.2f}{goal.unit}"


def _at(found: Any, *path: str) -> Any:
    for key in path:
        found = found[key]
    return found


def _merpo(found: Any, *path: str) -> Any:
    return next(row for row in _at(found, *path)["table"] if row["variant"] == "merpo")


if __name__ == "__main__":
    main()
