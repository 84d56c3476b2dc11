"""A comparison as a table on the terminal, as CSV and JSON, as pictures, and as one page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from merpo.report.html_parts import figure, page, table
from merpo.support.files import atomic_write_bytes, atomic_write_text
from merpo.support.format import number
from merpo.support.tables import frame, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from merpo.compare.aggregates import Estimate
    from merpo.compare.comparison import ArmScores, Comparison
    from merpo.report.figures.returns import Picture

__all__ = ["print_comparison", "write_comparison"]

EXPLAINED = (
    "Intervals are stratified percentile bootstraps (2000 resamples): seeds are drawn anew within each task, so they "
    "speak about new seeds on these tasks."
)
SCORE = {
    "gap": "Gap closed is (J − B)/(O − B) of each task's return J, behaviour policy B and oracle O.",
    "normalized": "The normalised score is 100 (J − random)/(expert − random) of each task's return J, by the "
    "reference scores that its data came with.",
}
OPTIMALITY = "The optimality gap is the mean of how far the gap closed falls short of 1; what is above counts as 1."
OPTIMALITY_GAP = "optimality gap"
SHORT = {"interquartile mean": "IQM", OPTIMALITY_GAP: "opt. gap", "worse than behaviour": "worse"}
WIDE = ("median", "mean return")  # columns that the terminal leaves to the files
NARROW = 3  # columns of probabilities for whose intervals the terminal has room
MATRIX = 8  # arms; of more, only the probabilities against the first are printed


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """`comparison.json`, `arms.csv`, `runs.csv`, `pictures/*.png` and `comparison.html` in `folder`; gives the page."""
    from merpo.compare.figures import comparison_pictures

    drawn = comparison_pictures(comparison)
    atomic_write_text(folder / "comparison.json", comparison.model_dump_json(indent=1) + "\n")
    atomic_write_text(folder / "arms.csv", _csv(_arm_rows(comparison)))
    atomic_write_text(folder / "runs.csv", _csv(_run_rows(comparison)))
    for picture in drawn:
        atomic_write_bytes(folder / "pictures" / f"{picture.name}.png", picture.data)
    path = folder / "comparison.html"
    atomic_write_text(path, _page(comparison, drawn))
    return path


def print_comparison(comparison: Comparison, console: Console) -> None:
    """The arms with their intervals, then the probabilities of improvement; arms are numbered, as names are long."""
    from rich.markup import escape as plain
    from rich.table import Table

    head, rows = _main_table(comparison)
    console.print(_title(comparison), markup=False, highlight=False)
    # a line has 80 columns, and the mean of the gap closed says much the same as the optimality gap
    left_out = {*WIDE, "mean"} if OPTIMALITY_GAP in head else set(WIDE)
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
    for number_of, row in enumerate(rows, 1):
        shown.add_row(str(number_of), *(plain(row[i]) for i in kept))
    print_table(shown, console)
    if comparison.pairs:
        columns = comparison.arms if len(comparison.arms) <= MATRIX else comparison.arms[:1]
        console.print("probability of improvement: is the row's arm better than the column's", highlight=False)
        matrix = Table(box=frame(console))
        for label in ("", *(str(i + 1) for i in range(len(columns)))):
            matrix.add_column(label, justify="right", no_wrap=True)
        for number_of, arm in enumerate(comparison.arms, 1):
            cells = [_better(comparison, arm, other) for other in columns]
            if len(columns) > NARROW:
                cells = [cell.partition(" ")[0] for cell in cells]
            matrix.add_row(str(number_of), *map(plain, cells))
        print_table(matrix, console)
    for note in comparison.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def _title(comparison: Comparison) -> str:
    return f"{comparison.score_name} on {len(comparison.tasks)} unseen tasks, 95 % stratified bootstrap intervals"


def _main_table(comparison: Comparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    gaps = [arm.optimality_gap for arm in comparison.arms if arm.optimality_gap is not None]
    measures = ("interquartile mean", "median", "mean", "mean return", *([OPTIMALITY_GAP] if gaps else []))
    head = ("arm", "seeds", *measures, "worse than behaviour")
    rows = [
        (
            arm.label,
            str(len(arm.seeds)),
            *map(_text, (arm.iqm, arm.median, arm.mean, arm.mean_return)),
            *([] if arm.optimality_gap is None else [_text(arm.optimality_gap)]),
            f"{arm.worse_than_behavior} of {len(arm.seeds) * len(comparison.tasks)}",
        )
        for arm in comparison.arms
    ]
    return head, rows


def _text(estimate: Estimate) -> str:
    """`0.93 [0.91, 0.95]`, or the number alone."""
    if estimate.low is None:
        return number(estimate.value)
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def _better(comparison: Comparison, row: ArmScores, column: ArmScores) -> str:
    """P(row > column); a pair is stored once, and ties count half either way."""
    for pair in comparison.pairs:
        if (pair.first, pair.second) == (row.label, column.label):
            return _text(pair.probability)
        if (pair.first, pair.second) == (column.label, row.label):
            p = pair.probability
            if p.low is None or p.high is None:
                return _text(p.model_copy(update={"value": 1 - p.value}))
            return _text(p.model_copy(update={"value": 1 - p.value, "low": 1 - p.high, "high": 1 - p.low}))
    return "-"


def _arm_rows(comparison: Comparison) -> list[list[object]]:
    """One row per arm, with every aggregate and its interval."""
    names = ["iqm", "median", "mean", "mean_return"]
    names += ["optimality_gap"] if any(arm.optimality_gap is not None for arm in comparison.arms) else []
    head = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    rows: list[list[object]] = [["arm", "seeds", "tasks", "score", *head, "worse_than_behavior"]]
    for arm in comparison.arms:
        estimates: list[Estimate] = [getattr(arm, name) for name in names]
        cells = [cell for e in estimates for cell in (e.value, e.low, e.high)]
        fixed = [arm.label, len(arm.seeds), len(comparison.tasks), comparison.score]
        rows.append([*fixed, *cells, arm.worse_than_behavior])
    return rows


def _run_rows(comparison: Comparison) -> list[list[object]]:
    """One row per arm, seed and task: what all aggregates come from."""
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
    """One page with everything in it; all text of the runs is escaped."""
    head, rows = _main_table(comparison)
    columns = comparison.arms if len(comparison.arms) <= MATRIX else comparison.arms[:1]
    matrix = [(arm.label, *(_better(comparison, arm, other) for other in columns)) for arm in comparison.arms]
    explained = " ".join([EXPLAINED, *([SCORE[comparison.score]] if comparison.score in SCORE else [])])
    oracles = OPTIMALITY_GAP in head
    explained += f" {OPTIMALITY}" if oracles else ""
    body = [
        "<h1>Comparison of runs</h1>",
        f'<p class="muted">{escape(_title(comparison))}</p>',
        *(f'<p class="note">{escape(note)}</p>' for note in comparison.notes),
        table(head, rows),
        f'<p class="muted">{escape(explained)}</p>',
        *(figure(picture) for picture in drawn),
    ]
    if comparison.pairs:
        names = ("", *(arm.label for arm in columns))
        body += ["<h2>P(row better than column)</h2>", table(names, matrix)]
    runs = [(arm.label, str(s), run) for arm in comparison.arms for s, run in zip(arm.seeds, arm.runs, strict=True)]
    inner = table(("arm", "seed", "folder"), runs, text=(2,))
    body.append(f"<details><summary>Runs ({len(runs)})</summary>{inner}</details>")
    return page("Comparison of runs", body)
