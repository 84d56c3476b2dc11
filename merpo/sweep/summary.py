"""Summary of a sweep: a table, `summary.json` and `summary.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict

from merpo.report.policies import PerPolicy, from_flat, stored_fields, to_flat
from merpo.report.report import Report, report_of
from merpo.report.summary import Summary
from merpo.report.text import combine, interval
from merpo.support.files import atomic_write_text
from merpo.support.format import number
from merpo.support.tables import frame, print_table
from merpo.sweep.plan import common
from merpo.sweep.sweep import Outcome, Status

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SweepSummary", "print_sweep", "summarize_sweep", "write_sweep"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


MEANS = PerPolicy(has=lambda key: key != "behavior_mode", order=())  # summary.csv has no column for that one


class JobRow(_Model):
    """One run; means over its unseen tasks are None unless it has finished."""

    variant: str
    seed: int
    status: Status
    exit_code: int | None
    seconds: float | None
    returns: Annotated[dict[str, float], MEANS] = {}
    gap_closed: float | None = None
    folder: str
    log: str
    reason: str = ""

    _from_flat, _to_flat = from_flat, to_flat


class VariantRow(_Model):
    """One combination of values, summarized over its finished seeds."""

    name: str  # of its folder
    label: str = ""  # its name among the others
    overrides: list[str]
    seeds: list[int]  # that are finished
    failed: int
    summary: Summary | None = None


class SweepSummary(_Model):
    """`summary.json`."""

    recipe: str
    common: list[str] = []  # overrides that all variants share
    variants: list[VariantRow]
    jobs: list[JobRow]

    @property
    def failed(self) -> int:
        """How many runs failed."""
        return sum(job.status == "failed" for job in self.jobs)


def summarize_sweep(recipe: Path, outcomes: Sequence[Outcome], trust: bool = False) -> SweepSummary:
    """Summarize a sweep from the reports of its finished runs; with `trust` as in `is_finished`."""
    reports = {o.job.folder: report_of(o.job.folder, trust) for o in outcomes if o.status in ("done", "skipped")}
    variants: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        variants.setdefault(outcome.job.variant, []).append(outcome)
    rows = []
    for name, group in variants.items():
        found = [reports[outcome.job.folder] for outcome in group if outcome.job.folder in reports]
        rows.append(
            VariantRow(
                name=name,
                label=group[0].job.label,
                overrides=list(group[0].job.overrides),
                seeds=[report.seed for report in found],
                failed=sum(outcome.status == "failed" for outcome in group),
                summary=combine(found) if found else None,
            )
        )
    jobs = [_job(outcome, reports.get(outcome.job.folder)) for outcome in outcomes]
    return SweepSummary(recipe=str(recipe), common=common([row.overrides for row in rows]), variants=rows, jobs=jobs)


def write_sweep(summary: SweepSummary, out: Path) -> None:
    """`summary.json` and `summary.csv` in `out`."""
    atomic_write_text(out / "summary.json", summary.model_dump_json(indent=1) + "\n")
    text = io.StringIO()
    writer = csv.DictWriter(text, stored_fields(JobRow), lineterminator="\n")
    writer.writeheader()
    writer.writerows(job.model_dump() for job in summary.jobs)
    atomic_write_text(out / "summary.csv", text.getvalue())


def print_sweep(summary: SweepSummary, console: Console) -> None:
    """Print the table of variants, then failed runs with their logs."""
    from rich.table import Table

    table = Table(box=frame(console))
    gap = any(row.summary is not None and row.summary.gap_closed is not None for row in summary.variants)
    for label in ("variant", "seeds", "adapted return", *(["gap closed"] if gap else []), "failed"):
        table.add_column(
            label, justify="left" if label == "variant" else "right", overflow="fold", no_wrap=label != "variant"
        )
    for row in summary.variants:
        closed = row.summary.gap_closed if row.summary is not None else None
        earned = row.summary.returns.get("adapted") if row.summary is not None else None  # None on logs, too
        cells = ["-" if earned is None else interval(earned)]
        cells += [number(None if closed is None else closed.mean)] if gap else []
        table.add_row(row.label, str(len(row.seeds)), *cells, str(row.failed or "-"))
    print_table(table, console)
    for text in _legend(summary):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    labels = {row.name: row.label for row in summary.variants}
    for job in summary.jobs:
        if job.status == "failed":
            who = f"{labels[job.variant]} seed {job.seed}"
            text = f"failed: {who}, exit code {job.exit_code}: {job.reason}; log: {job.log}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _legend(summary: SweepSummary) -> list[str]:
    """The legend of shortened labels: shared values, and values that were cut."""
    lines = [f"in every variant: {', '.join(summary.common)}"] if summary.common else []
    covered = {row.summary.covers for row in summary.variants if row.summary is not None and row.summary.covers}
    if covered:  # the most, where runs of a variant failed
        lines.append(f"brackets: 95 % intervals for {max(covered, key=len)}")
    return lines + [f"{row.label}: {', '.join(row.overrides)}" for row in summary.variants if "…" in row.label]


def _job(outcome: Outcome, report: Report | None) -> JobRow:
    seconds, summary = outcome.seconds, None
    if report is not None:
        summary = report.summary
        seconds = report.seconds if seconds is None else seconds
    gap = None if summary is None else summary.gap_closed
    job = outcome.job
    return JobRow(
        variant=job.variant,
        seed=job.seed,
        status=outcome.status,
        exit_code=outcome.exit_code,
        seconds=None if seconds is None else round(seconds, 1),
        folder=str(job.folder),
        log=str(outcome.log or job.log),
        reason=outcome.reason,
        returns={} if summary is None else {key: value.mean for key, value in summary.returns.items()},
        gap_closed=None if gap is None else gap.mean,
    )
