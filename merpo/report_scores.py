"""Normalised scores in words and tables, for tasks whose data comes with reference scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from merpo.report_template import table
from merpo.report_text import number

if TYPE_CHECKING:
    from merpo.reference_scores import ReferenceScores
    from merpo.report import Report

__all__ = ["scores_line", "scores_table", "sources"]

LABELS = {"behavior": "behaviour", "meta_policy": "meta-policy", "adapted": "adapted"}


class Scored(Protocol):
    """A task with the normalised scores of its policies."""

    @property
    def normalized(self) -> dict[str, float]:
        """Policy -> score; empty without reference scores."""

    @property
    def reference(self) -> ReferenceScores | None:
        """What 0 and 100 are."""


def scores_line(tasks: Sequence[Scored]) -> str:
    """Means over tasks in one line; empty unless every task has reference scores."""
    rows = [task.normalized for task in tasks]
    shared = [name for name in LABELS if all(name in row for row in rows)]
    if not shared:
        return ""
    means = ", ".join(f"{LABELS[name]} {number(sum(row[name] for row in rows) / len(rows))}" for name in shared)
    return f"normalised scores, 0 random and 100 expert by {sources([task.reference for task in tasks])}: {means}"


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


def sources(references: Sequence[ReferenceScores | None]) -> str:
    """Whose references they are, each once."""
    return " and ".join(dict.fromkeys(reference.source for reference in references if reference is not None))
