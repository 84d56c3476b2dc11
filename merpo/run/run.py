"""`merpo run`: data, meta-training, adaptation, evaluation, videos and report, in this order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from merpo.artifacts.keeper import CHECKPOINTS, Keeper
from merpo.artifacts.run_folder import LOCK, RunFolder, run_folders
from merpo.collect.collect import ensure_data
from merpo.components.context import Context, Log
from merpo.data.needed import load_data
from merpo.data.offsets import check_offsets
from merpo.errors import DatasetError, StoppedError
from merpo.recipe.memory import check_memory, needed_memory
from merpo.recipe.recipe import Recipe
from merpo.report.report import Report
from merpo.run.given_meta import read_given_meta
from merpo.run.notes import notes_on_data, notes_on_origin, notes_on_recipe
from merpo.run.profile import Profile, print_profile
from merpo.run.runner import Runner
from merpo.run.stage_times import StageTimes
from merpo.support import terminal
from merpo.support.files import atomic_write_text
from merpo.support.lock import folder_lock
from merpo.support.machine import available_memory, chosen_device, machine
from merpo.support.metrics import MetricsWriter
from merpo.support.paths import inside
from merpo.support.progress import Progress
from merpo.support.stop import check, graceful
from merpo.support.stopwatch import Stopwatch
from merpo.types import Metrics

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run_recipe"]

PROFILE = "profile"  # subfolder of a run's folder with traces


def run_recipe(
    recipe: Recipe,
    out: str | Path | None = None,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    collect: bool = True,
    profiled: bool = False,
    *,
    quiet: bool = False,
    meta: str | Path | None = None,
    trust: bool = False,
    strict: bool = False,
) -> Path:
    """Run a recipe for each seed, print the results, and return the folder with the reports.

    Default folder: a new one under `runs/`; it has a subfolder `seed-N` per seed where there are several. Default seed
    and device: the recipe's. Without `collect`, missing data is an error; `quiet` prints nothing.
    `meta` is the folder of a run with whose meta-artifact this one begins, instead of meta-training. With `trust`,
    runs in `out` and `meta` are read although their files are not those of their manifests. Behaviour policies that
    cannot be read are in the report's notes; with `strict` they are an error, once everything else is measured.
    """
    from merpo.report.text import print_combined, print_summary

    base = _new_folder(recipe.title) if out is None else Path(out)
    chosen = [recipe.seed] if seeds is None else list(seeds)
    where = chosen_device(device or recipe.run.device)
    console, reports, damaged = terminal.console(quiet=quiet), [], []
    for seed, folder in zip(chosen, run_folders(base, chosen), strict=True):
        profile = Profile(where) if profiled else None
        threads = 1 if recipe.run.workers > 1 else recipe.run.threads
        with graceful(), machine(threads), Progress(_silent() if quiet else None) as progress:
            try:
                report, unread = _run_seed(recipe, folder, seed, where, collect, progress, profile, meta, trust)
                reports.append(report)
                damaged += unread
            except StoppedError as stopped:
                resume = " --resume" if base.exists() else ""  # no run folder exists yet during collection
                raise StoppedError(f"{stopped}; to resume, run the same command with --out {base}{resume}") from None
            except KeyboardInterrupt:  # outside the main thread, or with another program's signal handler
                progress.note(f"interrupted; run the same command with --out {base} to resume from the last checkpoint")
                raise
        print_summary(reports[-1], console)
        console.print(f"report: {folder / 'report.html'}", soft_wrap=True)
        if profile is not None:
            print_profile(profile, folder / PROFILE, console)
    if len(chosen) > 1:
        combined = print_combined(reports, console)
        atomic_write_text(base / "summary.json", combined.model_dump_json(indent=1) + "\n")
    if strict and damaged:
        raise DatasetError("\n".join(dict.fromkeys(damaged)))
    return base


def _run_seed(
    recipe: Recipe,
    path: Path,
    seed: int,
    device: str,
    collect: bool,
    progress: Progress,
    profile: Profile | None,
    meta: str | Path | None,
    trust: bool,
) -> tuple[Report, list[str]]:
    """One seed from data to report, and which behaviour policies could not be read."""
    from merpo.report.html import write_report
    from merpo.run.assemble import assemble

    watch = Stopwatch() if profile is None else profile.watch
    base = Context() if profile is None else Context(on_step=profile.step)
    with watch.stage("data"):
        if not recipe.data.named:
            sizes = recipe.data.train_tasks, recipe.data.test_tasks
            check_memory(needed_memory(recipe, *sizes), available_memory(device))
        ensure_data(recipe, replace(base, seed=recipe.collect.seed, log=progress.log), progress.note, collect)
        train, test = load_data(recipe, recipe.method.min_transitions)
    rows = sum(len(data) for part in (train, test) for data, _ in part)
    check_memory(needed_memory(recipe, len(train), len(test), rows), available_memory(device))
    notes = notes_on_data(recipe, [data for data, _ in train], [data for data, _ in test])
    notes += notes_on_origin(recipe.tasks, [*train, *test])
    for note in [*notes_on_recipe(recipe, len(train)), *notes]:
        progress.note(f"note: {note}")
    digests = {
        f"{split} {data.name}": m.sha256 for split, part in (("train", train), ("test", test)) for data, m in part
    }
    subtracted = check_offsets([*train, *test])
    given = None if meta is None else read_given_meta(Path(meta), recipe, device, trust)
    if given is not None:
        if given.subtracted is not None:
            check_offsets([*train, *test], given.subtracted, f"the run in {meta}")
        digests["given meta-artifact"] = given.sha256
    check()
    with folder_lock(path / LOCK):
        folder = RunFolder(path, recipe, seed, digests, progress.note, device, trust, subtracted)
        if profile is not None:
            profile.save_in(path / PROFILE)
        with MetricsWriter(path, recipe.run.tensorboard, progress.note) as metrics:
            every, root = recipe.run.checkpoint_every, path / CHECKPOINTS
            times = StageTimes(folder, watch)
            sync = _both(metrics.sync, times.write)
            keeper = Keeper(root, folder.fingerprint, every, progress.note, sync)
            context = replace(
                base,
                seed=seed,
                device=device,
                log=_tee(progress.log, metrics.log),
                stage=keeper.stages(times.stage),
                resume=times.resume(keeper.resume),
                save_state=keeper.save_state,
                on_step=_both(base.on_step, keeper.on_step),
                workers=recipe.run.workers,
                log_every=recipe.run.log_every,
            )
            with keeper.named():
                runner = Runner(recipe, folder, context, (train, test), times, given)
                adapted, measured = runner.stages()
                videos = runner.videos(adapted, progress.note)
            notes += [*folder.notes, *runner.notes]
        times.write()  # includes the time for saving the last artifact
        with watch.stage("report"):
            report = assemble(recipe, folder, seed, train, test, adapted, measured, times, videos, notes)
            write_report(report, path, trust)
        keeper.finish()
    return report, runner.damaged


def _silent() -> Console:
    from rich.console import Console

    return Console(quiet=True, force_interactive=False)


def _tee(*logs: Log) -> Log:
    def log(stage: str, step: int, total: int, metrics: Metrics) -> None:
        for each in logs:
            each(stage, step, total, metrics)

    return log


def _both(*calls: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        for each in calls:
            each()

    return call


def _new_folder(title: str) -> Path:
    """A folder under runs/ that does not exist yet."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "run"
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    path, n = inside(Path("runs"), f"{slug}-{stamp}"), 2
    while path.exists():
        path, n = inside(Path("runs"), f"{slug}-{stamp}-{n}"), n + 1
    return path
