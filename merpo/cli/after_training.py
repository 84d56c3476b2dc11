"""Commands for finished runs and for many runs; heavy modules are imported inside each command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merpo.cli.guard import guarded
from merpo.cli.options import Strict, Trust
from merpo.support.terminal import console, say

__all__ = ["register"]

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.", show_default=False)]
PoliciesPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="The folder of a run or of `merpo adapt`, or their adapted.safetensors.", show_default=False
    ),
]
RunPaths = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="Runs, or folders that hold runs.", show_default=False),
]
AnyRunPaths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RUN", help="Runs, or folders that hold runs.", show_default=False),
]
Score = Annotated[
    str, typer.Option(metavar="S", help="gap, normalized, return, or auto: the first that every task has.")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda, instead of the recipe's.")]
ComparisonFolder = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the comparison's files.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    for command in (adapt, evaluate, export, report, compare, sweep):
        app.command()(guarded(command))
    app.command(hidden=True)(guarded(table))


def adapt(
    run: RunPath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the result.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Option(
            metavar="DATA",
            help="collection/dataset of the store, a manifest, or a folder of datasets; repeatable. Else the run's own "
            "unseen tasks.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    overrides: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Override a value that does not change the meta-artifact."),
    ] = [],  # noqa: B006
    meta: Annotated[
        str, typer.Option(metavar="M", help="Begin with the last meta-artifact, or the best during meta-training.")
    ] = "last",
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Adapt a run's meta-policy to new tasks from their offline data."""
    from merpo.run.adapt import adapt_new, print_adaptation

    print_adaptation(adapt_new(run, data, out, device, meta, overrides, trust), out, console())


def evaluate(
    run: PoliciesPath,
    episodes: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Episodes per task, instead of the recipe's.")
    ] = None,
    stochastic: Annotated[
        bool | None,
        typer.Option(
            "--stochastic/--deterministic",
            help="Draw actions, or take the most likely one; else as the run's recipe says.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed instead of the run's.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every episode as JSON.")] = None,
    device: Device = None,
    trust: Trust = False,
    strict: Strict = False,
) -> None:
    """Evaluate saved policies in the true environments."""
    from merpo.errors import DatasetError
    from merpo.run.evaluate import evaluate_saved, print_measured
    from merpo.support.files import atomic_write_text

    measured = evaluate_saved(run, episodes, stochastic, seed, device, trust)
    print_measured(measured, console())
    if out is not None:  # last: where it cannot be written, what was measured stands on the terminal
        atomic_write_text(out, measured.model_dump_json(indent=1) + "\n")
    if measured.damaged or (strict and measured.notes):
        raise DatasetError("; ".join(measured.notes))


def export(
    run: PoliciesPath,
    form: Annotated[str, typer.Option("--format", metavar="F", help="safetensors or onnx.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the files; else RUN/export.")] = None,
    task: Annotated[
        list[int], typer.Option(metavar="INDEX", help="Only this task, by its index; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest difference of an action from the original's.")
    ] = 1e-5,
    opset: Annotated[
        int | None, typer.Option(metavar="N", help="ONNX: operators of this version, 13 or newer; else 17.")
    ] = None,
    allow_non_finite: Annotated[
        bool,
        typer.Option("--allow-non-finite", help="ONNX: compute actions at NaN and infinity, too, instead of NaN."),
    ] = False,
    trust: Trust = False,
) -> None:
    """Export adapted policies to one file per task, compare each with the original, and describe them in README.md."""
    from merpo.errors import ArtifactError
    from merpo.policies.export import export_policies
    from merpo.support.paths import inside

    folder = out or inside(run if run.is_dir() else run.parent, "export", error=ArtifactError)
    done = export_policies(run, folder, form, task, tolerance, opset, allow_non_finite, trust)
    for one in done:
        say(f"{one.path}: {one.size:,} bytes, largest difference of an action {one.difference:.1e}")
    if unknown := [one.task for one in done if not one.in_units]:
        say(f"{', '.join(unknown[:5])}: the run did not record the bounds of the data's actions: in [-1, 1] only")
    worst = max(one.difference for one in done)
    say(f"{len(done)} policies exported and compared; largest difference {worst:.1e} (tolerance {tolerance:g})")


def report(
    runs: RunPaths, out: ComparisonFolder = Path("comparison"), score: Score = "auto", trust: Trust = False
) -> None:
    """Rebuild the page and pictures of runs; for several runs, also a page that compares them."""
    from merpo.artifacts.finished_run import find_runs
    from merpo.artifacts.run_folder import LOCK
    from merpo.report.html import write_report
    from merpo.report.report import report_of
    from merpo.support.lock import folder_lock

    folders = find_runs(runs)
    for folder in folders:
        with folder_lock(folder / LOCK):
            say(f"report: {write_report(report_of(folder, trust), folder, trust)}")
    if len(folders) > 1:
        _compare(runs, out, score, trust)


def compare(
    runs: AnyRunPaths = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the comparison's files; comparison without --markdown or --json."),
    ] = None,
    score: Score = "auto",
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a table of runs of any recipes as Markdown; - prints it."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Add the runs to the rows in this file, by the recipe's name; the table has all of its rows.",
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Compare runs: aggregates with intervals, profiles, probabilities of improvement; or a table of any recipes."""
    from merpo.compare.results_page import write_results
    from merpo.errors import MerpoError

    if not runs and rows is None:
        raise MerpoError("compare: got neither runs nor --json, expected one of them")
    tabulated = markdown is not None or rows is not None
    if runs and (out is not None or not tabulated):
        _compare(runs, out or Path("comparison"), score, trust)
    if tabulated:
        write_results(runs or [], rows, markdown, trust)


def _compare(runs: list[Path], folder: Path, score: str, trust: bool) -> None:
    from merpo.compare.comparison import compare_runs
    from merpo.compare.comparison_files import print_comparison, write_comparison

    found = compare_runs(runs, score, trust)
    page = write_comparison(found, folder)
    print_comparison(found, console())
    say(f"comparison: {page}")


def table(
    runs: AnyRunPaths = None,
    rows: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="As of `merpo compare`.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="As --markdown of `merpo compare`.")] = None,
) -> None:
    """The former name of `merpo compare --markdown FILE`."""
    say("merpo table is now: merpo compare [RUN...] --markdown FILE [--json FILE]", err=True)
    compare(runs, markdown=out or Path("-"), rows=rows)


def sweep(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe in TOML.", show_default=False)],
    overrides: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=A,B,...", help="Values of a key; every combination with the others is run."),
    ] = [],  # noqa: B006 - typer copies it
    seeds: Annotated[str | None, typer.Option(metavar="A:B", help="Seeds A, A+1, ..., B-1 of each variant.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="Runs at a time.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the sweep; else sweeps/ and the recipe's name.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and whether they are finished.")] = False,
    trust: Trust = False,
) -> None:
    """Run every combination of values and seeds as local processes; finished runs are skipped."""
    from merpo.cli.options import parse_seeds
    from merpo.errors import StoppedError
    from merpo.support.paths import OWN_NAME, inside
    from merpo.sweep.plan import is_finished, plan

    folder = out or inside(Path("sweeps"), recipe.stem, what="the name of the recipe", pattern=OWN_NAME)
    planned = plan(recipe, overrides, None if seeds is None else parse_seeds(None, seeds, 0), folder)
    if dry_run:
        for job in planned:
            say(f"{job.folder}: {'finished' if is_finished(job, trust) else 'to run'}")
        return
    from merpo.support.lock import folder_lock
    from merpo.sweep.summary import print_sweep, summarize_sweep, write_sweep
    from merpo.sweep.sweep import LOCK, run_sweep

    with folder_lock(folder / LOCK):
        try:
            outcomes = run_sweep(planned, jobs, say, trust=trust)
        except KeyboardInterrupt:
            finished = sum(is_finished(job, trust) for job in planned)
            done = f"{finished} of {len(planned)} runs finished"
            raise StoppedError(f"interrupted with {done}; run the same command to resume") from None
        summary = summarize_sweep(recipe, outcomes, trust)
        write_sweep(summary, folder)
    print_sweep(summary, console())
    say(f"summary: {folder / 'summary.json'} and summary.csv; pictures and intervals: merpo compare {folder}")
    if summary.failed:
        raise typer.Exit(1)
