"""`merpo reproduce`; heavy modules are imported inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merpo.cli.guard import guarded
from merpo.cli.options import Trust, parse_seeds
from merpo.support.terminal import console, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command()(guarded(reproduce))


def reproduce(
    figure: Annotated[
        str | None,
        typer.Argument(
            metavar="FIGURE",
            help="fig5, table2, or the path of a figure in TOML; without one, they are listed.",
            show_default=False,
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="NAME", help="Only this family of tasks.")] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="A:B", help="Seeds A, A+1, ..., B-1 of each arm, instead of the figure's.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="Runs at a time.")] = 1,
    size: Annotated[str, typer.Option(metavar="SIZE", help="small, paper, or tiny to try the command.")] = "small",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of runs, pictures and verdicts.")] = Path(
        "runs/reproduce"
    ),
    own_data: Annotated[bool, typer.Option("--own-data", help="Collect data of its own for every seed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and whether they are finished.")] = False,
    report_only: Annotated[bool, typer.Option("--report-only", help="Run nothing; read the finished runs.")] = False,
    stored: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Add the verdicts to those in this file.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page of all figures from the verdicts in --json.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Run the arms of a figure of the paper, draw it, and check each of the paper's sentences about it."""
    from merpo.errors import MerpoError
    from merpo.reproduce.verdicts import Reproduced, read_reproduced

    if page is not None and stored is None:
        raise MerpoError("--page: got no --json, expected the file with the verdicts")
    if figure is None:
        if stored is None:
            _list()
        elif page is None:
            raise MerpoError("--json: got neither a figure nor --page, expected one of them")
    else:
        _run(figure, family, seeds, jobs, size, out, own_data, dry_run, report_only, stored, trust)
    if page is not None and stored is not None and not dry_run:
        from merpo.reproduce.reproduce import write_page

        write_page(page, read_reproduced(stored) if stored.exists() or figure is None else Reproduced())
        say(f"page: {page}")


def _list() -> None:
    from merpo.reproduce.files import sources
    from merpo.reproduce.listing import print_sources

    print_sources(sources(), console())


def _run(
    name: str,
    family: str | None,
    seeds: str | None,
    jobs: int,
    size: str,
    out: Path,
    own_data: bool,
    dry_run: bool,
    report_only: bool,
    stored: Path | None,
    trust: bool,
) -> None:
    from merpo.errors import MerpoError
    from merpo.reproduce import reproduce as module
    from merpo.reproduce.files import read_source
    from merpo.reproduce.listing import print_table_check
    from merpo.reproduce.table import Table

    source = read_source(name)
    if isinstance(source.content, Table):
        print_table_check(source, source.content, console())
        return
    chosen = None if seeds is None else parse_seeds(None, seeds, 0)
    if stored is not None and size == module.TINY:
        raise MerpoError(f"--json: size {size} only tries the command, expected another size")
    asked = module.Request(family, chosen, size, out, own_data, trust)
    every = module.experiments(source, source.content, asked)
    if dry_run:
        module.dry_run(every, say, trust)
        return
    reproduced, outcomes = module.reproduce(every, asked, jobs, report_only, say)
    if stored is not None:
        module.store(stored, reproduced)
    failed = [one for one in outcomes if one.status == "failed"]
    for one in failed:
        say(f"failed: {one.job}: {one.reason}; log: {one.log or one.job.log}", err=True)
    if failed:
        raise typer.Exit(1)
