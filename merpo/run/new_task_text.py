"""What `merpo adapt` prints when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from merpo.run.adapt import AdaptationSummary

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_adaptation"]

SHOWN = ("alpha", "to_behavior", "to_meta")  # of these, what the table shows


def print_adaptation(summary: AdaptationSummary, out: Path, console: Console) -> None:
    """The table of the tasks, and where their policies are."""
    from rich.table import Table

    from merpo.support.format import number
    from merpo.support.tables import frame, print_table

    table = Table(title="Adapted from data alone", title_justify="left", box=frame(console))
    pairs = sorted({key.removesuffix("_before") for t in summary.tasks for key in t.scores if key.endswith("_before")})
    pairs = [key for key in pairs if key == "error"] or pairs[:1]  # the others are in the summary
    last = [key for key in SHOWN if any(key in task.last for task in summary.tasks)]
    labels = [f"model {key}" for key in pairs] + [key.replace("_", " ") for key in last]
    for label in ("task", "behaviour", *labels):
        table.add_column(label, justify="left" if label == "task" else "right", no_wrap=True)
    for task in summary.tasks:
        moved = [f"{number(task.scores.get(f'{key}_{when}'))}" for key in pairs for when in ("before", "after")]
        cells = [f"{a} to {b}" for a, b in zip(moved[::2], moved[1::2], strict=True)]
        cells += [number(task.last.get(key)) for key in last]
        table.add_row(task.name, number(task.behavior_return), *cells)
    print_table(table, console)
    for task in summary.tasks:
        if task.trained_on:
            console.print(f"{task.name}: the run was meta-trained on this very dataset", markup=False)
        if task.chosen_on:
            text = "the best meta-artifact was chosen by returns on this very task, so its own return is no measurement"
            console.print(f"{task.name}: {text}", markup=False)
    console.print(f"policies: {out / 'artifacts' / 'adapted.safetensors'}", markup=False, soft_wrap=True)
    console.print(f"measure them where the environments are known: merpo evaluate {out}", markup=False, soft_wrap=True)
