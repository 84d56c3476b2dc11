"""`merpo reproduce`: run a figure's arms, draw it, and check what the paper says about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from merpo.errors import MerpoError, StoppedError
from merpo.reproduce.carry_out import carry_out, lacking
from merpo.reproduce.figure import Figure
from merpo.reproduce.files import Source, sources
from merpo.reproduce.listing import verdict_lines
from merpo.reproduce.page import figure_section, page
from merpo.reproduce.picture import draw
from merpo.reproduce.plan import Experiment, plan
from merpo.reproduce.results import found_of, runs_of
from merpo.reproduce.verdicts import Found, Reproduced, read_reproduced
from merpo.support.files import atomic_write_bytes, atomic_write_text
from merpo.support.lock import folder_lock
from merpo.support.paths import inside
from merpo.sweep.plan import is_finished
from merpo.sweep.sweep import LOCK, Outcome

__all__ = ["TINY", "Request", "dry_run", "experiments", "reproduce", "store", "write_page"]

TINY = "tiny"  # the size that only tries the command, and is no evidence
PICTURE, PAGE, VERDICTS = "figure.png", "page.md", "verdicts.json"


class Request(NamedTuple):
    """What is asked for on the command line; None: as the figure's file says."""

    family: str | None
    seeds: Sequence[int] | None
    size: str
    out: Path
    fresh: bool
    trust: bool


def experiments(source: Source, figure: Figure, asked: Request) -> list[Experiment]:
    """The figure on the family that is asked for, else on all that are not optional."""
    if figure.not_yet:
        raise MerpoError(f"{figure.id}: cannot be run yet: {figure.not_yet}")
    chosen = [family.name for family in figure.families if not family.optional] or [figure.families[0].name]
    names = chosen if asked.family is None else [asked.family]
    seeds = range(*figure.seeds) if asked.seeds is None else asked.seeds
    return [plan(source, figure, name, asked.size, seeds, asked.out, asked.fresh) for name in names]


def dry_run(every: Sequence[Experiment], say: Callable[[str], None], trust: bool) -> None:
    """Say which data would be collected, and every run and whether it is finished."""
    for experiment in every:
        for one in lacking(experiment):
            say(f"{one.folder.name}: to collect, {', '.join(one.qualities)}")
        for (_, seed), job in experiment.jobs.items():
            state = "finished" if is_finished(job, trust) else "to run"
            say(f"{experiment.name}: {job.label}, seed {seed}: {job.folder}: {state}")


def reproduce(
    every: Sequence[Experiment], asked: Request, parallel: int, report_only: bool, say: Callable[[str], None]
) -> tuple[Reproduced, list[Outcome]]:
    """Run what is missing unless `report_only`, write each experiment's files, and say its verdicts.

    Raises `StoppedError` when interrupted. Returns the verdicts, and how the runs ended.
    """
    outcomes: list[Outcome] = []
    found: list[Found] = []
    with folder_lock(asked.out / LOCK):
        for experiment in every:
            if not report_only:
                outcomes += _carried_out(experiment, asked, parallel, say)
            found.append(_written(experiment, asked, say))
    return Reproduced(found=tuple(found)), outcomes


def store(path: Path, new: Reproduced) -> Reproduced:
    """Add verdicts to those in a JSON file; returns all of them. A figure without any run is not stored."""
    old = read_reproduced(path) if path.exists() else Reproduced()
    merged = old.merged(Reproduced(found=tuple(one for one in new.found if any(arm.runs for arm in one.arms))))
    atomic_write_text(path, merged.to_json())
    return merged


def write_page(path: Path, reproduced: Reproduced) -> None:
    """The page of all figures and tables that ship with merpo, with these verdicts."""
    atomic_write_text(path, page(sources(), reproduced))


def _carried_out(experiment: Experiment, asked: Request, parallel: int, say: Callable[[str], None]) -> list[Outcome]:
    try:
        return carry_out(experiment, asked.out, parallel, say, asked.trust)
    except KeyboardInterrupt:
        runs = experiment.runs
        done = f"{sum(is_finished(job, asked.trust) for job in runs)} of {len(runs)} runs finished"
        raise StoppedError(f"{experiment.name}: interrupted with {done}; run the same command to resume") from None


def _written(experiment: Experiment, asked: Request, say: Callable[[str], None]) -> Found:
    """Verdicts, page and picture in the folder of the experiment."""
    arms = runs_of(experiment, asked.trust)
    found = found_of(experiment, arms)
    folder = inside(asked.out, experiment.name, what="the name of a figure")
    atomic_write_text(folder / VERDICTS, Reproduced(found=(found,)).to_json())
    atomic_write_text(folder / PAGE, f"{figure_section(found)}\n![{experiment.name}]({PICTURE})\n")
    if any(arm.reports for arm in arms.values()):
        atomic_write_bytes(folder / PICTURE, draw(experiment, arms))
    say(f"{experiment.name}:")
    for line in verdict_lines(found):
        say(f"  {line}")
    say(f"  page: {folder / PAGE}")
    return found
