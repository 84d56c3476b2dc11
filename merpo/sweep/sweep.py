"""`merpo sweep`: many runs as processes; finished runs are skipped, failed ones reported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Literal, NamedTuple

from merpo.data.named import missing_minari
from merpo.data.needed import collection_folder, needed
from merpo.data.places import manifest_path
from merpo.recipe.recipe import Recipe
from merpo.support.paths import inside
from merpo.support.processes import Command, Ended, run_commands
from merpo.support.read import open_regular
from merpo.sweep.plan import Job, is_finished

__all__ = ["LOCK", "Outcome", "Status", "run_sweep", "threads_each"]

LOCK = "sweep.lock"  # in a sweep's folder while it runs

Status = Literal["done", "skipped", "failed", "not run"]
_TAIL = 20_000  # bytes of a log that are searched for its last line


class Outcome(NamedTuple):
    """The outcome of a job."""

    job: Job
    status: Status
    exit_code: int | None = None
    seconds: float | None = None
    log: Path | None = None  # where to look, if not into the job's own log
    reason: str = ""


def run_sweep(
    jobs: Sequence[Job],
    parallel: int,
    say: Callable[[str], None],
    executor: Executor | None = None,
    trust: bool = False,
) -> list[Outcome]:
    """Run `jobs`, at most `parallel` at a time on this machine, in the order given; the outcomes are in that order too.

    With an `executor` its workers run them, `parallel` of which share a machine's cores. Data that several jobs need is
    collected first, once. Raises `KeyboardInterrupt` when stopped: local children are stopped, too, and the same sweep
    resumes where it stopped. With `trust`, folders are read although their files are not those of their manifests.
    """
    outcomes = {job.folder: Outcome(job, "skipped") for job in jobs if is_finished(job, trust)}
    if outcomes:
        say(f"{len(outcomes)} of {len(jobs)} runs are finished already")
    waiting = [job for job in jobs if job.folder not in outcomes]
    environment = {"OMP_NUM_THREADS": str(threads_each(parallel)), "COLUMNS": "120"}
    outcomes |= _collect(waiting, environment, say, executor)
    waiting = [job for job in waiting if job.folder not in outcomes]

    def ended(which: int, one: Ended) -> None:
        job = waiting[which]
        outcomes[job.folder] = _outcome(job, one)
        say(f"[{len(outcomes)}/{len(jobs)}] {_line(outcomes[job.folder])}")

    run_commands([_run(job, trust) for job in waiting], parallel, environment, ended, executor)
    return [outcomes.get(job.folder, Outcome(job, "not run")) for job in jobs]


def threads_each(parallel: int) -> int:
    """PyTorch's threads per run: what the user set, else an equal share of the machine's cores."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return int(chosen) if chosen.isdecimal() and int(chosen) else max(1, (os.cpu_count() or 1) // parallel)


def last_line(log: Path) -> str:
    """The last line of a log that is not blank, for a message."""
    try:
        with open_regular(log) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            content = file.read(_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _collect(
    jobs: Sequence[Job],
    environment: dict[str, str],
    say: Callable[[str], None],
    executor: Executor | None,
) -> dict[Path, Outcome]:
    """Collect missing data, each collection once; returns the outcomes of jobs whose data could not be collected."""
    lacking: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        if _lacks_data(job.recipe):
            lacking.setdefault(_data_key(job.recipe), []).append(job)
    failed: dict[Path, Outcome] = {}
    groups = list(lacking.values())
    commands = []
    for i, (first, *_) in enumerate(groups):
        log = inside(first.folder.parent.parent, f"data-{i}.log")
        commands.append(Command(_merpo("collect", first), log))

    def ended(which: int, one: Ended) -> None:
        log, first = commands[which].log, groups[which][0]
        if one.exit_code == 0:
            say(f"data of {first.label}: collected in {one.seconds:.0f} s")
            return
        why = one.error or last_line(log)
        reason = f"collecting its data failed: {why}"
        failed.update({job.folder: Outcome(job, "failed", one.exit_code, None, log, reason) for job in groups[which]})
        say(f"data of {first.label}: failed with exit code {one.exit_code}: {why} ({log})")

    run_commands(commands, 1, environment, ended, executor)
    return failed


def _lacks_data(recipe: Recipe) -> bool:
    """Whether data must be collected, or imported from Minari; named data that is missing fails in the run itself."""
    if recipe.data.named:
        return bool(missing_minari(recipe))
    folder = collection_folder(recipe)
    return any(not manifest_path(folder, source.name).exists() for part in needed(recipe) for source in part)


def _data_key(recipe: Recipe) -> tuple[str, ...]:
    """Recipes with the same key need the same datasets."""
    if recipe.data.named:
        return tuple(sorted(source.name for source in missing_minari(recipe)))
    return str(collection_folder(recipe)), *(source.name for part in needed(recipe) for source in part)


def _run(job: Job, trust: bool) -> Command:
    arguments = (*_merpo("run", job), *(["--trust"] if trust else []))
    arguments += () if job.meta is None else ("--meta", str(job.meta))
    return Command((*arguments, "--seed", str(job.seed), "--out", str(job.folder)), job.log)


def _merpo(command: str, job: Job) -> tuple[str, ...]:
    """The arguments of a `merpo` command with the job's overrides, in this Python."""
    overrides = [word for override in job.overrides for word in ("--set", override)]
    return sys.executable, "-m", "merpo", command, str(job.source), *overrides


def _outcome(job: Job, one: Ended) -> Outcome:
    if one.exit_code == 0:
        return Outcome(job, "done", 0, one.seconds)
    return Outcome(job, "failed", one.exit_code, one.seconds, job.log, one.error or last_line(job.log))


def _line(outcome: Outcome) -> str:
    if outcome.status == "done":
        return f"{outcome.job}: done in {outcome.seconds:.0f} s"
    return f"{outcome.job}: failed with exit code {outcome.exit_code}: {outcome.reason} ({outcome.log})"
