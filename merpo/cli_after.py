"""The commands that come after training: they print, and leave the rest to modules that are imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    for command in (export,):
        app.command()(command)


def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run or of `merpo adapt`.", show_default=False)
    ],
    form: Annotated[str, typer.Option("--format", metavar="F", help="safetensors or onnx.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the files; else RUN/export.")] = None,
    task: Annotated[
        list[int], typer.Option(metavar="INDEX", help="Only this task, by its index; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest difference of an action from the original's.")
    ] = 1e-5,
) -> None:
    """Write adapted policies as files of their own, one per task, and compare each with the original."""
    from merpo.export import export_policies

    folder = out or (run if run.is_dir() else run.parent) / "export"
    done = export_policies(run, folder, form, task, tolerance)
    for one in done:
        print(f"{one.path}: {one.size:,} bytes, largest difference of an action {one.difference:.1e}")
    worst = max(one.difference for one in done)
    print(f"{len(done)} policies exported and compared; largest difference {worst:.1e} (tolerance {tolerance:g})")
