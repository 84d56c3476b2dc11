"""What `merpo evaluate` measured, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merpo.lazy import torch
from merpo.report.summary import POLICIES
from merpo.report.text import scores_line
from merpo.support.format import number
from merpo.support.tables import frame, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from merpo.run.measured import Measured

__all__ = ["print_measured"]

OTHERS = {**{name: label for name, label in POLICIES.items() if name != "adapted"}, "reported": "reported"}


def print_measured(measured: Measured, console: Console) -> None:
    """Every task, and the mean over tasks with its interval."""
    from rich.table import Table

    kind = "stochastic" if measured.stochastic else "deterministic"
    many = "" if measured.episodes == 1 else "s"
    console.print(f"{kind} policies, {measured.episodes} episode{many} per task, seed {measured.seed}", highlight=False)
    table = Table(box=frame(console))
    scored = any(task.normalized for task in measured.tasks)
    columns = ["return", *(["normalised"] if scored else []), *(["std"] if measured.episodes > 1 else [])]
    columns += ["length", "terminated"]
    columns += [name for name in OTHERS if any(getattr(t, name) is not None for t in measured.tasks)]
    for label in ("task", *columns):
        table.add_column(OTHERS.get(label, label), justify="left" if label == "task" else "right", no_wrap=True)
    for task in measured.tasks:
        spread = float(torch.tensor(task.returns).double().std(correction=0))
        found = {
            "return": task.mean,
            "normalised": task.normalized.get("adapted"),
            "std": spread,
            **{name: getattr(task, name) for name in OTHERS},
        }
        cells = {name: number(value) for name, value in found.items()}
        cells |= {"length": f"{task.mean_length:.1f}", "terminated": f"{task.termination_rate:.0%}"}
        table.add_row(task.name, *(cells[name] for name in columns))
    print_table(table, console)
    text = f"mean return {number(measured.mean.mean)}"
    if len(measured.tasks) > 1:
        text += f", 95 % interval over tasks {number(measured.mean.low)} to {number(measured.mean.high)}"
    console.print(text, highlight=False)
    if scores := scores_line(measured.tasks):
        console.print(scores, markup=False, highlight=False, soft_wrap=not console.is_terminal)
