"""The table of runs as a page of Markdown: sizes and times, returns, every task, and recipes against each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from merpo.compare.suite_row import Row, TaskRow
from merpo.compare.table import Suites
from merpo.data.reference_scores import sources
from merpo.support.format import duration, number
from merpo.support.statistics import Interval
from merpo.support.tables import markdown_table, plain

__all__ = ["suites_page"]

HEAD = """# Results

Made by `merpo table` from the folders of finished runs; no number on this page is typed by hand. Brackets are 95 %
intervals, stratified percentile bootstraps: seeds are drawn anew within each task, so they speak about new seeds on
these tasks. Those of a few seeds are somewhat too narrow, and one seed has none. The column *on new tasks* draws tasks
anew, too; differences to the meta-policy as it is are taken seed by seed. Returns are those of whole episodes,
undiscounted; the behaviour policy's is the mean of the data's episodes, in which actions were drawn. Adapted policies
act by their modes, and so does *behaviour's mode*, the policy that collected the data, on the same episodes, seed by
seed; a dash stands where it was not measured. *Worse* counts pairs of seed and task in which the adapted policy earned
less than the data.
"""
SIZES = """Sizes as the recipe states them; the time is the wall time of training and adaptation, beside whatever else
the machine did, from the quickest seed to the slowest; a dash where a reused stage has no stored time, or the processor
was not kept:

"""
MANY = 12  # tasks; of more, no row each
LONG = 40  # characters of a task's parameters
DASH = "–"
MINUS = "adapted − behaviour"
NORMALIZED = "normalised score"


def suites_page(suites: Suites) -> str:
    """The page; every table in it has one row per recipe, but for those of single tasks and of pairs."""
    parts = [HEAD]
    for family in dict.fromkeys(row.family for row in suites.rows):
        rows = [row for row in suites.rows if row.family == family]
        parts += [f"## {_words(family)}\n", _returns(rows), _names(rows), _tasks(rows), _on_the_way(rows)]
        parts += [_pairs(group) for group in suites.comparable() if group[0].family == family]
        parts += [_sizes(rows)]
    return "\n".join(part for part in parts if part)


def _returns(rows: Sequence[Row]) -> str:
    differences = (MINUS, "on new tasks", f"{MINUS}'s mode", "adapted − meta-policy", "worse")
    returns = ("behaviour", "meta-policy", "adapted", *differences)
    scored = [row for row in rows if row.mean_normalized is not None]
    found = markdown_table(
        ("recipe", "seeds", "tasks", *returns, *([NORMALIZED] if scored else [])),
        [
            (
                row.name,
                str(len(row.seeds)),
                str(len(row.tasks)),
                number(sum(row.behavior) / len(row.behavior)),
                _estimate(row.mean_meta_policy),
                _estimate(row.mean_adapted),
                _estimate(row.difference),
                _interval(row.difference_on_new_tasks),
                _estimate(row.difference_to_behavior_mode),
                _estimate(row.difference_to_meta_policy),
                f"{row.worse} of {len(row.seeds) * len(row.tasks)}",
                *([_estimate(row.mean_normalized)] if scored else []),
            )
            for row in rows
        ],
        left=1,
    )
    return found + _references(rows)


def _names(rows: Sequence[Row]) -> str:
    """What shortened names stand for."""
    items = [f"- {plain(row.name)}: {plain(row.whole)}\n" for row in rows if row.whole]
    return "Names that are short, and what for:\n\n" + "".join(items) if items else ""


def _references(rows: Sequence[Row]) -> str:
    """What a normalised score is, and by whose numbers; nothing where no task has one."""
    whose = plain(sources([reference for row in rows for reference in row.references]))
    score = "A normalised score is 100 (J − random)/(expert − random) of the adapted policies' returns J"
    return f"\n{score}, by {whose}.\n" if whose else ""


def _tasks(rows: Sequence[Row]) -> str:
    """Every unseen task of the recipes that have a few."""
    some = [row for row in rows if 1 < len(row.tasks) <= MANY]
    if not some:
        return ""
    found = [(row.name, task) for row in some for task in row.task_rows()]
    scored = any(task.normalized is not None for _, task in found)
    head = ("recipe", "task", "behaviour", "adapted", MINUS, *([NORMALIZED] if scored else []))
    cells = [
        (
            name,
            _task(task),
            number(task.behavior),
            *(_estimate(value) for value in (task.adapted, task.difference)),
            *([_estimate(task.normalized)] if scored else []),
        )
        for name, task in found
    ]
    return "Task by task:\n\n" + markdown_table(head, cells, left=2)


def _on_the_way(rows: Sequence[Row]) -> str:
    """Mean returns at the snapshots of adaptation."""
    some = [row for row in rows if row.on_the_way]
    if not some:
        return ""
    cells = [
        (row.name, ", ".join(f"{step:,}: {number(value)}" for step, value in row.on_the_way.items())) for row in some
    ]
    return "After so many steps of adaptation:\n\n" + markdown_table(("recipe", "steps: mean return"), cells, left=2)


def _pairs(group: Sequence[Row]) -> str:
    """Differences of mean returns between all recipes on the same data, bold where zero is outside the interval."""
    legend = "Adapted returns on the same data, the row's recipe minus the column's; bold where 0 is outside:"
    head = ("", *(str(i) for i in range(1, len(group))))
    cells = [
        (f"{i}. {row.name}", *(_against(row, other) if j < i else "" for j, other in enumerate(group[:-1], 1)))
        for i, row in enumerate(group, 1)
    ]
    return f"{legend}\n\n{markdown_table(head, cells, left=1)}"


def _against(row: Row, other: Row) -> str:
    difference = row.minus(other)
    text = _estimate(difference)
    return f"**{text}**" if difference.excludes(0) else text


def _sizes(rows: Sequence[Row]) -> str:
    sizes = (
        "training tasks",
        "rows per unseen task",
        "networks (layers × width)",
        "gradient steps",
        "time per seed",
        "processor",
    )
    return SIZES + markdown_table(
        ("recipe", "data", *sizes),
        [
            (
                row.name,
                row.quality,
                str(row.train_tasks),
                _range(row.transitions),
                _named(row.networks),
                _named(row.steps),
                _time(row.seconds),
                row.versions.get("processor") or DASH,
            )
            for row in rows
        ],
        left=2,
    )


def _estimate(value: Interval | None) -> str:
    """`313 [290, 335]`, or the number alone, or a dash."""
    if value is None:
        return DASH
    if value.low is None or value.high is None:
        return number(value.mean)
    return f"{number(value.mean)} [{number(value.low)}, {number(value.high)}]"


def _interval(value: Interval | None) -> str:
    return DASH if value is None else f"[{number(value.low)}, {number(value.high)}]"


def _time(values: Sequence[float | None]) -> str:
    """The least and the most over the seeds of which the time is known."""
    known = [value for value in values if value is not None]
    ends = dict.fromkeys((duration(min(known)), duration(max(known)))) if known else {}
    return " to ".join(ends) or DASH


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _named(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items()) or DASH


def _task(task: TaskRow) -> str:
    """`1: direction 1`, or the number alone where the parameters are long."""
    text = ", ".join(f"{name} {json.dumps(value)}" for name, value in task.params.items())
    return f"{task.index}: {text}" if text and len(text) <= LONG else str(task.index)


def _words(family: str) -> str:
    return "-".join(word.capitalize() for word in family.split("-")) or "Runs"
