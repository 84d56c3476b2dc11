"""What the seeds of one recipe found together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from merpo.errors import MerpoError
from merpo.report.summary import Summary, summarize
from merpo.report.text import print_verdict, summary_rows
from merpo.support.format import number
from merpo.support.tables import frame, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from merpo.report.report import Report

__all__ = ["combine", "print_combined"]


def combine(reports: Sequence[Report]) -> Summary:
    """The summary over the seeds of one recipe; raises `MerpoError` unless all cover the same unseen tasks."""
    if not reports:
        raise MerpoError("no reports to combine: at least one seed is needed")
    covered = [[task.index for task in report.tasks] for report in reports]
    for report, tasks in zip(reports, covered, strict=True):
        if tasks != covered[0]:
            raise MerpoError(
                f"seed {report.seed} covers the tasks {tasks}, seed {reports[0].seed} the tasks {covered[0]}"
            )
    return summarize(
        [[task.behavior for task in report.tasks] for report in reports],
        _rows(reports, "adapted"),
        _rows(reports, "meta_policy"),
        _rows(reports, "oracle"),
        _all([report.estimated_gain() for report in reports]),
        _rows(reports, "behavior_mode"),
    )


def _rows(reports: Sequence[Report], policy: str) -> list[list[float]] | None:
    return _all([report.returns(policy) for report in reports])


def _all(rows: Sequence[list[float] | None]) -> list[list[float]] | None:
    """The rows if every seed has one."""
    found = [row for row in rows if row is not None]
    return found if len(found) == len(rows) else None


def print_combined(reports: Sequence[Report], console: Console) -> Summary:
    """The table over seeds: the means of each, then all with 95 % intervals over tasks and seeds."""
    from rich.markup import escape
    from rich.table import Table

    summary = combine(reports)
    table = Table(title=f"{escape(reports[0].title)}: {len(reports)} seeds", title_justify="left", box=frame(console))
    for label in ("", *(f"seed {report.seed}" for report in reports), "all", "95 % interval"):
        table.add_column(label, justify="left" if label == "" else "right", no_wrap=True)
    single = [dict(summary_rows(report.summary)) for report in reports]
    for label, value in summary_rows(summary):
        seeds = [number(rows[label].mean) if label in rows else "-" for rows in single]
        table.add_row(label, *seeds, number(value.mean), f"{number(value.low)} to {number(value.high)}")
    print_table(table, console)
    print_verdict(summary, console)
    return summary
