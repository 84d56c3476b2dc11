"""Normalised scores in a run's report, for tasks whose data comes with reference scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merpo.report_template import table
from merpo.report_text import number

if TYPE_CHECKING:
    from merpo.report import Report

__all__ = ["scores_line", "scores_table"]

LABELS = {"behavior": "behaviour", "meta_policy": "meta-policy", "adapted": "adapted"}


def scores_line(report: Report) -> str:
    """Means over the unseen tasks in one line; empty unless every task has reference scores."""
    rows = [task.normalized for task in report.tasks]
    shared = [name for name in LABELS if all(name in row for row in rows)]
    if not shared:
        return ""
    means = ", ".join(f"{LABELS[name]} {number(sum(row[name] for row in rows) / len(rows))}" for name in shared)
    return f"normalised scores, 0 random and 100 expert by {_sources(report)}: {means}"


def scores_table(report: Report) -> str:
    """Every task that has reference scores as a section of the page; empty where none has."""
    tasks = [(task, task.reference) for task in report.tasks if task.reference is not None]
    if not tasks:
        return ""
    rows = [
        (
            str(task.index),
            *(number(task.normalized.get(name)) for name in LABELS),
            number(reference.random),
            number(reference.expert),
            reference.source,
        )
        for task, reference in tasks
    ]
    head = ("task", *LABELS.values(), "return of random", "return of expert", "according to")
    return (
        "<h2>Normalised scores</h2>"
        + table(head, rows, text=(6,))
        + '<p class="muted">A score is 100 (J − random)/(expert − random) of the return J.</p>'
    )


def _sources(report: Report) -> str:
    """Whose references they are, each once."""
    return " and ".join(dict.fromkeys(task.reference.source for task in report.tasks if task.reference is not None))
