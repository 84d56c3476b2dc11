"""The runs of a figure, through the sweep's executor: data first, then the arms that others begin with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from merpo.data.places import manifest_path
from merpo.reproduce.plan import Collection, Experiment
from merpo.support.paths import inside
from merpo.support.processes import Command, Ended, run_commands
from merpo.sweep.plan import Job
from merpo.sweep.sweep import Outcome, last_line, run_sweep, threads_each

__all__ = ["carry_out", "lacking"]


def carry_out(
    experiment: Experiment, out: Path, parallel: int, say: Callable[[str], None], trust: bool = False
) -> list[Outcome]:
    """Run what is missing; raises `KeyboardInterrupt` when stopped, and goes on where it stopped when called again."""
    if reason := _collect(lacking(experiment), out, parallel, say):
        return [Outcome(job, "failed", reason=reason) for job in experiment.runs]
    first = [job for job in experiment.runs if job.meta is None]
    outcomes = run_sweep(first, parallel, say, trust=trust) if first else []
    finished = {one.job.folder for one in outcomes if one.status in ("done", "skipped")}
    then = [job for job in experiment.runs if job.meta is not None]
    able = [job for job in then if job.meta in finished]
    outcomes += run_sweep(able, parallel, say, trust=trust) if able else []
    return outcomes + [_cannot_begin(job) for job in then if job.meta not in finished]


def lacking(experiment: Experiment) -> list[Collection]:
    """The data that is to be collected before anything runs."""
    return [one for one in experiment.collections if not _is_there(one)]


def _is_there(one: Collection) -> bool:
    numbers = range(one.recipe.data.train_tasks + one.recipe.data.test_tasks)
    names = [f"task-{i:03d}.{quality}" for i in numbers for quality in one.qualities]
    return all(manifest_path(one.folder, name).exists() for name in names)


def _collect(missing: Sequence[Collection], out: Path, parallel: int, say: Callable[[str], None]) -> str:
    """Collect data, one collection after the other; returns why one failed, or an empty text."""
    commands = [Command(_arguments(one), inside(out, f"needs-{one.folder.name}.log")) for one in missing]
    reasons: list[str] = []

    def ended(which: int, one: Ended) -> None:
        log = commands[which].log
        if one.exit_code == 0:
            say(f"data {missing[which].folder.name}: collected in {one.seconds:.0f} s")
        else:
            reasons.append(f"collecting its data failed: {one.error or last_line(log)}")
            say(f"data {missing[which].folder.name}: failed with exit code {one.exit_code}: {reasons[-1]} ({log})")

    run_commands(commands, 1, {"OMP_NUM_THREADS": str(threads_each(parallel)), "COLUMNS": "120"}, ended)
    return reasons[0] if reasons else ""


def _arguments(one: Collection) -> tuple[str, ...]:
    overrides = [word for text in one.overrides for word in ("--set", text)]
    command = (sys.executable, "-m", "merpo", "collect", str(one.source), *overrides)
    return (*command, "--quality", ",".join(one.qualities))


def _cannot_begin(job: Job) -> Outcome:
    return Outcome(job, "failed", reason=f"{job.meta}, with whose meta-artifact it begins, failed")
