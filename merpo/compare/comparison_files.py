"""A comparison as a table on the terminal, as CSV and JSON, as pictures, and as an HTML page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from merpo.report.policies import POLICIES
from merpo.support.files import atomic_write_bytes, atomic_write_text
from merpo.support.format import interval_text, number
from merpo.support.pages import render
from merpo.support.paths import inside
from merpo.support.tables import frame, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from merpo.compare.comparison import ArmScores, Comparison, Pair
    from merpo.report.figures.returns import Picture
    from merpo.support.statistics.interval import Interval

__all__ = ["print_comparison", "write_comparison"]

EXPLAINED = (
    "A run gives one number, such as the mean or the interquartile mean over its tasks; intervals are Student's t over "
    "the runs, on these tasks. The worst decile is the mean of a run's worst tenth of the tasks, rounded up. Intervals "
    "are of one number each, and not corrected for how many there are."
)
DIFFERENCES = (
    "Differences of mean scores, the first arm's minus the second's, by Welch's t. The p-values are corrected for all "
    "pairs (Holm): of tables without any difference one in twenty has a verdict. That the first is better holds if the "
    "difference is above 0 and its p-value below 0.05; it does not hold if it is below 0."
)
SCORE = {
    "gap": "Gap closed is (J − B)/(O − B) of each task's return J, behaviour policy B and oracle O.",
    "normalized": "The normalised score is 100 (J − random)/(expert − random) of each task's return J, by the "
    "reference scores that its data came with.",
}
OPTIMALITY = "The optimality gap is the mean of how far the gap closed falls short of 1; what is above counts as 1."
OPTIMALITY_GAP = "optimality gap"
WORST = "worst decile"
SHORT = {"interquartile mean": "IQM", WORST: "worst 10 %", OPTIMALITY_GAP: "opt. gap", "worse than behaviour": "worse"}
FILES_ONLY = ("median", "mean return")  # columns for which the terminal has no room
DIFFERENCE_HEAD = ("first", "second", "difference", "p", "first is better")
MOST_PAIRS = 10  # whose differences the terminal shows
MOST_INTERVALS = 3  # columns of probabilities that the terminal shows with their intervals
MOST_COLUMNS = 8  # arms in the matrix of probabilities; of more, only those against the first are shown

_Cells: TypeAlias = tuple[Sequence[str], list[Sequence[str]]]  # the head of a table, and its rows


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write all files to `folder` and return the page's path.

    They are `comparison.json`, `arms.csv`, `pairs.csv`, `runs.csv`, `pictures/*.png` and `comparison.html`.
    """
    from merpo.compare.figures import comparison_pictures

    drawn = comparison_pictures(comparison)
    atomic_write_text(folder / "comparison.json", comparison.model_dump_json(indent=1) + "\n")
    atomic_write_text(folder / "arms.csv", _csv(_arm_rows(comparison)))
    atomic_write_text(folder / "pairs.csv", _csv(_pair_rows(comparison)))
    atomic_write_text(folder / "runs.csv", _csv(_run_rows(comparison)))
    for picture in drawn:
        atomic_write_bytes(inside(folder / "pictures", f"{picture.name}.png"), picture.data)
    path = folder / "comparison.html"
    atomic_write_text(path, _page(comparison, drawn))
    return path


def print_comparison(comparison: Comparison, console: Console) -> None:
    """The arms with their intervals, then the probabilities of improvement; arms are numbered, as labels are long."""
    from rich.table import Table

    head, rows = _aggregates(comparison)
    console.print(_subtitle(comparison), markup=False, highlight=False)
    # a line has 80 columns, and the mean of the gap closed says much the same as the optimality gap
    left_out = {*FILES_ONLY, "mean"} if OPTIMALITY_GAP in head else set(FILES_ONLY)
    kept = [i for i, label in enumerate(head) if label not in left_out]
    shown = Table(box=frame(console))
    shown.add_column("", justify="right")
    for i in kept:
        shown.add_column(
            SHORT.get(head[i], head[i]),
            justify="left" if head[i] == "arm" else "right",
            overflow="fold",
            no_wrap=head[i] != "arm",
        )
    for index, row in enumerate(rows, 1):
        shown.add_row(str(index), *(row[i] for i in kept))
    print_table(shown, console)
    _print_returns(comparison, console)
    if comparison.pairs:
        columns, probabilities = _improvements(comparison)
        console.print("probability of improvement: is the row's arm better than the column's", highlight=False)
        matrix = Table(box=frame(console))
        for label in ("", *map(str, range(1, len(columns)))):
            matrix.add_column(label, justify="right", no_wrap=True)
        for index, (_, *cells) in enumerate(probabilities, 1):
            short = len(cells) > MOST_INTERVALS
            matrix.add_row(str(index), *(cell.partition(" ")[0] if short else cell for cell in cells))
        print_table(matrix, console)
        _print_differences(comparison, console)
    for note in comparison.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def _print_returns(comparison: Comparison, console: Console) -> None:
    """The mean returns of every policy, of which the terminal shows the means alone."""
    from rich.table import Table

    head, rows = _returns(comparison)
    console.print("mean return of every policy", highlight=False)
    shown = Table(box=frame(console))
    for label in ("", *head[1:]):
        shown.add_column(label, justify="right", no_wrap=True)
    for index, (_, *cells) in enumerate(rows, 1):
        shown.add_row(str(index), *(cell.partition(" ")[0] for cell in cells))
    print_table(shown, console)


def _print_differences(comparison: Comparison, console: Console) -> None:
    """Pairs of arms by their numbers: all of them, or those with the first arm where there are many."""
    from rich.table import Table

    numbers = {arm.label: str(i) for i, arm in enumerate(comparison.arms, 1)}
    console.print("differences of means (Welch's t, p-values corrected by Holm)", highlight=False)
    shown = Table(box=frame(console))
    for label in ("pair", *DIFFERENCE_HEAD[2:]):
        shown.add_column(label, justify="right", no_wrap=True)
    few = len(comparison.pairs) <= MOST_PAIRS
    for pair in comparison.pairs:
        if few or pair.first == comparison.arms[0].label:
            shown.add_row(f"{numbers[pair.first]} − {numbers[pair.second]}", *_difference_cells(pair))
    print_table(shown, console)


def _subtitle(comparison: Comparison) -> str:
    covers = f", 95 % intervals for {comparison.covers}" if comparison.covers else ""
    return f"{comparison.score_name} on {len(comparison.tasks)} unseen tasks{covers}"


def _aggregates(comparison: Comparison) -> _Cells:
    """One row per arm."""
    gaps = [arm.optimality_gap for arm in comparison.arms if arm.optimality_gap is not None]
    measures = ("interquartile mean", "median", "mean", WORST, "mean return", *([OPTIMALITY_GAP] if gaps else []))
    return ("arm", "seeds", *measures, "worse than behaviour"), [
        (
            arm.label,
            str(len(arm.seeds)),
            *map(interval_text, (arm.iqm, arm.median, arm.mean, arm.worst_decile, arm.mean_return)),
            *([] if arm.optimality_gap is None else [interval_text(arm.optimality_gap)]),
            f"{arm.worse_than_behavior} of {len(arm.seeds) * len(comparison.tasks)}",
        )
        for arm in comparison.arms
    ]


def _returns(comparison: Comparison) -> _Cells:
    """The mean return of every policy that was measured in an arm, a dash where it was not in another."""
    known = [key for key in POLICIES if any(key in arm.mean_returns for arm in comparison.arms)]
    rows: list[Sequence[str]] = [
        (arm.label, *(interval_text(found[key]) if key in found else "-" for key in known))
        for arm in comparison.arms
        if (found := arm.mean_returns)
    ]
    return ("arm", *(POLICIES[key].label for key in known)), rows


def _improvements(comparison: Comparison) -> _Cells:
    """P(row better than column) for every arm against the others, or against the first where there are many."""
    columns = comparison.arms if len(comparison.arms) <= MOST_COLUMNS else comparison.arms[:1]
    rows: list[Sequence[str]] = [
        (arm.label, *(_better(comparison, arm, other) for other in columns)) for arm in comparison.arms
    ]
    return ("", *(arm.label for arm in columns)), rows


def _better(comparison: Comparison, row: ArmScores, column: ArmScores) -> str:
    """P(row > column), where a tie counts half; each pair is stored in one order only."""
    for pair in comparison.pairs:
        if (pair.first, pair.second) == (row.label, column.label):
            return interval_text(pair.probability)
        if (pair.first, pair.second) == (column.label, row.label):
            return interval_text(1 - pair.probability)
    return "-"


def _differences(comparison: Comparison) -> _Cells:
    """The difference of every pair of arms with the verdict on it, or of the first arm and the others."""
    few = len(comparison.arms) <= MOST_COLUMNS
    chosen = [pair for pair in comparison.pairs if few or pair.first == comparison.arms[0].label]
    return DIFFERENCE_HEAD, [(pair.first, pair.second, *_difference_cells(pair)) for pair in chosen]


def _difference_cells(pair: Pair) -> tuple[str, str, str]:
    return interval_text(pair.difference), number(pair.p_holm), pair.verdict


def _pair_rows(comparison: Comparison) -> list[list[object]]:
    """One row per pair of arms."""
    names = ("probability", "difference")
    head = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    rows: list[list[object]] = [["first", "second", *head, "p", "p_holm", "verdict"]]
    for pair in comparison.pairs:
        cells = [cell for i in (pair.probability, pair.difference) for cell in (i.mean, i.low, i.high)]
        rows.append([pair.first, pair.second, *cells, pair.p, pair.p_holm, pair.verdict])
    return rows


def _arm_rows(comparison: Comparison) -> list[list[object]]:
    """One row per arm, with every aggregate and its interval."""
    names = ["iqm", "median", "mean", "worst_decile", "mean_return"]
    names += ["optimality_gap"] if any(arm.optimality_gap is not None for arm in comparison.arms) else []
    others = [key for key in POLICIES if any(key in arm.others for arm in comparison.arms)]
    every = [*names, *(f"mean_return_of_{key}" for key in others)]
    head = [f"{name}{end}" for name in every for end in ("", "_low", "_high")]
    rows: list[list[object]] = [["arm", "seeds", "tasks", "score", *head, "worse_than_behavior"]]
    for arm in comparison.arms:
        intervals: list[Interval | None] = [getattr(arm, name) for name in names]
        intervals += [arm.others.get(key) for key in others]
        cells = [cell for i in intervals for cell in ((i.mean, i.low, i.high) if i is not None else (None,) * 3)]
        fixed = [arm.label, len(arm.seeds), len(comparison.tasks), comparison.score]
        rows.append([*fixed, *cells, arm.worse_than_behavior])
    return rows


def _run_rows(comparison: Comparison) -> list[list[object]]:
    """One row per arm, seed and task, from which all aggregates are computed."""
    rows: list[list[object]] = [["arm", "seed", "task", "return", "score", "run"]]
    for arm in comparison.arms:
        for seed, run, returns, scores in zip(arm.seeds, arm.runs, arm.returns, arm.scores, strict=True):
            for task, value, score in zip(comparison.tasks, returns, scores, strict=True):
                rows.append([arm.label, seed, task, value, score, run])
    return rows


def _csv(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _page(comparison: Comparison, drawn: Sequence[Picture]) -> str:
    """One page with everything in it."""
    aggregates = _aggregates(comparison)
    return render(
        "compare/page.html.j2",
        title="Comparison of runs",
        subtitle=_subtitle(comparison),
        notes=comparison.notes,
        aggregates=aggregates,
        explanations=[
            EXPLAINED,
            *([SCORE[comparison.score]] if comparison.score in SCORE else []),
            *([OPTIMALITY] if OPTIMALITY_GAP in aggregates[0] else []),
        ],
        returns=_returns(comparison),
        pictures=drawn,
        improvements=_improvements(comparison) if comparison.pairs else None,
        differences=_differences(comparison) if comparison.pairs else None,
        differences_explained=DIFFERENCES,
        runs=[(a.label, str(s), run) for a in comparison.arms for s, run in zip(a.seeds, a.runs, strict=True)],
    )
