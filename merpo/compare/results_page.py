"""The table of results as a page of Markdown: returns, every task, comparisons of recipes, sizes and times."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from merpo.compare.results import Results, read_results, results_of
from merpo.compare.rows import Row
from merpo.data.reference_scores import sources
from merpo.support.files import atomic_write_text
from merpo.support.format import duration, interval_text, number
from merpo.support.statistics.holm import holm
from merpo.support.statistics.interval import Interval, covered, judged
from merpo.support.tables import markdown_table, plain
from merpo.support.terminal import say

__all__ = ["results_page", "write_results"]

Column: TypeAlias = tuple[str, Callable[[Row], str]]  # its heading, and the cell of a row

HEAD = """# Results

Made by `merpo compare` from the folders of finished runs; no number on this page is typed by hand. Brackets are 95 %
intervals by Student's t over seeds: a run gives one number, such as its mean over the tasks, and with one seed there is
none. They are for new seeds on the same tasks and data, of which a line below each table says more; the column *on new
tasks* is for new tasks, too, and wide where there are few. Differences within a recipe are paired by seed. Tables of
returns are exploratory: each interval is of one number alone, and is not corrected for how many there are. Returns are
undiscounted and of whole episodes; the behaviour policy's is the mean of the data's episodes, in which actions were
drawn. Adapted policies and meta-policies act by their modes unless it says otherwise, as does *behaviour's mode*: the
policy that collected the data, on the same episodes and seeds; a dash means that it was not measured. *Worse* counts
the pairs of seed and task in which the adapted policy earned less than the data.
"""
BY_TASK_INTRO = "Task by task:"
ON_THE_WAY_INTRO = "After so many steps of adaptation:"
PAIRS_INTRO = """\
Adapted returns on the same data, the row's recipe minus the column's, by Welch's t; bold where the difference can be
told from 0 with Holm's correction for all pairs of the table:"""
SIZES_INTRO = """\
Sizes as the recipe states them; the time is the wall time of training and adaptation, beside whatever else
the machine did, from the quickest seed to the slowest; a dash where a reused stage has no stored time, or the processor
was not kept:"""
WIDTH = 120  # characters of a line of prose
MOST_ALIKE = 4  # tasks from which on an interquartile mean is not the mean
MOST_TASKS = 12  # of a recipe whose tasks have a row each
MOST_CHARACTERS = 40  # of a task's parameters
DASH = "–"


def write_results(runs: Sequence[Path], rows: Path | None, markdown: Path | None, trust: bool = False) -> None:
    """Add `runs` to the rows in the JSON file `rows`, and write the page of all rows to `markdown`, or print it.

    Without runs the page is of the rows in the file; without a file, of the runs alone. `-` and None mean to print.
    """
    old = read_results(rows) if rows is not None and (rows.exists() or not runs) else Results(rows=[])
    new = results_of(runs, trust) if runs else Results(rows=[])
    if replaced := [row.name for row in new.rows if row.key in {known.key for known in old.rows}]:
        say(f"replaced: {'; '.join(replaced)}", err=True)
    found = old.merged(new)
    if rows is not None and runs:
        atomic_write_text(rows, found.to_json())
    if markdown is None or str(markdown) == "-":
        say(results_page(found).removesuffix("\n"))
    else:
        atomic_write_text(markdown, results_page(found))
        say(f"{len(found.rows)} recipes: {markdown}")


def results_page(results: Results) -> str:
    """The page, with a section per task family."""
    parts = [HEAD]
    for family in dict.fromkeys(row.family for row in results.rows):
        rows = [row for row in results.rows if row.family == family]
        parts += [
            f"## {plain(_title(family))}\n",
            _table(rows, (NAME, *RETURNS)) + _references(rows),
            _covers(rows),
            _full_names(rows),
        ]
        by_task = [one for row in rows if 1 < len(row.tasks) <= MOST_TASKS for one in row.by_task()]
        parts += [_section(BY_TASK_INTRO, _table(by_task, (NAME, *BY_TASK), left=2))] if by_task else []
        snapshots = [row for row in rows if row.on_the_way]
        parts += [_section(ON_THE_WAY_INTRO, _table(snapshots, (NAME, *ON_THE_WAY), left=2))] if snapshots else []
        groups = [group for group in results.comparable() if group[0].family == family]
        parts += [_section(PAIRS_INTRO, _pairs(group)) for group in groups]
        parts += [_section(SIZES_INTRO, _table(rows, (NAME, *SIZES), left=2))]
    return "\n".join(part for part in parts if part)


def _section(intro: str, table: str) -> str:
    return f"{intro}\n\n{table}"


def _table(rows: Sequence[Row], columns: Sequence[Column], left: int = 1) -> str:
    """A line per row; normalised scores and clones are left out where no row has them."""
    absent = [SCORE] if not any(row.mean_normalized for row in rows) else []
    absent += CLONES if not any(row.clone for row in rows) else []
    absent += SPREAD if not any(len(row.tasks) >= MOST_ALIKE for row in rows) else []
    shown = [column for column in columns if column not in absent]
    return markdown_table([heading for heading, _ in shown], [[cell(row) for _, cell in shown] for row in rows], left)


def _full_names(rows: Sequence[Row]) -> str:
    items = [f"- {plain(row.name)}: {plain(row.whole)}\n" for row in rows if row.whole]
    return "Names that are short, and what for:\n\n" + "".join(items) if items else ""


def _covers(rows: Sequence[Row]) -> str:
    """What intervals over seeds are for, the number of data sets, and whose policies were measured by drawn actions."""
    kinds: dict[str, list[str]] = {}
    for row in rows:
        if len(row.seeds) == 1:
            continue
        sets = "one data set" if row.data_sets == 1 else f"{row.data_sets} data sets"
        kinds.setdefault(f"{covered(row.covers)}, all on {sets}", []).append(row.name)
    most = max(kinds, key=lambda kind: len(kinds[kind]), default="")
    told = [f"Intervals are for {most} per recipe."] if most else []
    told += [f"For {plain('; '.join(names))}: {kind}." for kind, names in kinds.items() if kind != most]
    drawn = [row.name for row in rows if row.drawn]
    told += [f"Measured by drawn actions: {plain('; '.join(drawn))}."] if drawn else []
    return textwrap.fill(" ".join(told), WIDTH) + "\n" if told else ""


def _references(rows: Sequence[Row]) -> str:
    """The definition of normalised scores with their sources; nothing where no task has one."""
    whose = plain(sources([reference for row in rows for reference in row.references]))
    score = "A normalised score is 100 (J − random)/(expert − random) of the adapted policies' returns J"
    return f"\n{score}, by {whose}.\n" if whose else ""


def _pairs(group: Sequence[Row]) -> str:
    """Differences of mean returns between all recipes of a group, bold where they can be told from chance."""
    pairs = [(i, j) for i in range(len(group)) for j in range(i)]
    found = [group[i].minus(group[j]) for i, j in pairs]
    texts = {}
    for pair, difference, corrected in zip(pairs, found, holm([one.p_value() for one in found]), strict=True):
        text = interval_text(difference.interval)
        told = judged(difference.interval, corrected=corrected) != "cannot be told"
        texts[pair] = f"**{text}**" if told else text
    head = ("", *(str(i) for i in range(1, len(group))))
    cells = [
        (f"{i + 1}. {row.name}", *(texts.get((i, j), "") for j in range(len(group) - 1))) for i, row in enumerate(group)
    ]
    return markdown_table(head, cells, left=1)


def _text(value: Interval | None) -> str:
    return DASH if value is None else interval_text(value)


def _new_tasks(row: Row) -> str:
    """The interval alone, as the difference itself has a column."""
    found = row.difference_on_new_tasks
    return DASH if found is None else f"[{number(found.low)}, {number(found.high)}]"


def _time(row: Row) -> str:
    """The shortest and the longest time over the seeds for which it is known."""
    known = [value for value in row.seconds if value is not None]
    ends = dict.fromkeys((duration(min(known)), duration(max(known)))) if known else {}
    return " to ".join(ends) or DASH


def _transitions(row: Row) -> str:
    return " to ".join(dict.fromkeys((f"{min(row.transitions):,}", f"{max(row.transitions):,}")))


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items()) or DASH


def _task(row: Row) -> str:
    """`1: direction 1` of a row of a single task, or the index alone where the parameters are long."""
    text = ", ".join(f"{name} {json.dumps(value)}" for name, value in row.params[0].items())
    return f"{row.tasks[0]}: {text}" if text and len(text) <= MOST_CHARACTERS else str(row.tasks[0])


def _title(family: str) -> str:
    return "-".join(word.capitalize() for word in family.split("-")) or "Runs"


NAME: Column = ("recipe", lambda row: row.name)
BEHAVIOR: Column = ("behaviour", lambda row: number(sum(row.behavior) / len(row.behavior)))
ADAPTED: Column = ("adapted", lambda row: _text(row.mean_adapted))
DIFFERENCE: Column = ("adapted − behaviour", lambda row: _text(row.difference))
SCORE: Column = ("normalised score", lambda row: _text(row.mean_normalized))
CLONES: Sequence[Column] = (
    ("clone", lambda row: _text(row.mean_clone)),
    ("clone, drawn", lambda row: _text(row.mean_clone_drawn)),
    ("adapted − clone", lambda row: _text(row.difference_to_clone)),
)
SPREAD: Sequence[Column] = (
    ("interquartile mean", lambda row: _text(row.iqm_adapted)),
    ("worst decile", lambda row: _text(row.worst_decile_adapted)),
)
RETURNS: Sequence[Column] = (
    ("seeds", lambda row: str(len(row.seeds))),
    ("tasks", lambda row: str(len(row.tasks))),
    BEHAVIOR,
    ("behaviour's mode", lambda row: _text(row.mean_behavior_mode)),
    *CLONES[:2],
    ("meta-policy", lambda row: _text(row.mean_meta_policy)),
    ADAPTED,
    *SPREAD,
    DIFFERENCE,
    ("on new tasks", _new_tasks),
    ("adapted − behaviour's mode", lambda row: _text(row.difference_to_behavior_mode)),
    CLONES[2],
    ("adapted − meta-policy", lambda row: _text(row.difference_to_meta_policy)),
    ("worse", lambda row: f"{row.worse} of {len(row.seeds) * len(row.tasks)}"),
    SCORE,
)
BY_TASK: Sequence[Column] = (("task", _task), BEHAVIOR, ADAPTED, DIFFERENCE, SCORE)
ON_THE_WAY: Sequence[Column] = (
    ("steps: mean return", lambda row: ", ".join(f"{step:,}: {number(x)}" for step, x in row.on_the_way.items())),
)
SIZES: Sequence[Column] = (
    ("data", lambda row: row.quality),
    ("training tasks", lambda row: str(row.train_tasks)),
    ("rows per unseen task", _transitions),
    ("networks (layers × width)", lambda row: _listed(row.networks)),
    ("gradient steps", lambda row: _listed(row.steps)),
    ("time per seed", _time),
    ("processor", lambda row: row.versions.get("processor") or DASH),
)
