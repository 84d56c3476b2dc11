"""`report.html`: the page of one run, with everything in it, readable on a laptop, a phone and paper."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from merpo.artifacts.run_folder import REPORT
from merpo.artifacts.run_manifest import check_files, write_last
from merpo.evaluation.videos import recorded
from merpo.report.policies import POLICIES, in_order
from merpo.report.report import means
from merpo.report.text import DIAGNOSTICS, health_summary, summary_rows, verdict
from merpo.support.files import atomic_write_bytes, atomic_write_text
from merpo.support.format import duration, number, share
from merpo.support.pages import render
from merpo.support.paths import inside

if TYPE_CHECKING:
    from merpo.evaluation.episode_stats import EpisodeStats
    from merpo.evaluation.videos import Video
    from merpo.report.figures.returns import Picture
    from merpo.report.report import Report, TaskReport

__all__ = ["COLUMNS", "build_report_html", "episodes_csv", "pictures", "write_report"]

COLUMNS = ("task", "policy", "episodes", "return", "return_std", "length", "termination_rate")


class Table(NamedTuple):
    """The arguments of the templates' macro `table`; columns in `text` are aligned left."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Sequence[int] = ()


class Film(NamedTuple):
    """A video on the page; no `data` where its file is missing, or not the one that was recorded."""

    file: str
    data: bytes
    caption: str


def pictures(report: Report) -> list[Picture]:
    """Every picture for which the run has what it shows, in the order of the page."""
    from merpo.report.figures import inside, plane, returns
    from merpo.report.figures.style import own_style

    with own_style():
        drawn = (
            returns.per_task_returns(report),
            returns.critic_estimates(report),
            returns.return_over_training(report),
            returns.adaptation_steps(report),
            plane.trajectories(report),
            inside.duals_over_time(report),
            inside.model_error(report),
        )
    return [picture for picture in drawn if picture is not None]


def write_report(report: Report, folder: Path, trust: bool = False) -> Path:
    """Write `episodes.csv`, `pictures/*.png` and `report.html`, then `report.json`; returns the path of the page.

    `report.json` marks the run as finished: a run that is killed before it is written can be resumed. The run's
    manifest gets the digests of its files. Raises `ArtifactError` if one of them is not the one that the run wrote;
    with `trust` it becomes the run's.
    """
    check_files(folder, REPORT, trust)
    drawn = pictures(report)
    atomic_write_text(folder / "episodes.csv", episodes_csv(report.tasks))
    for picture in drawn:
        atomic_write_bytes(inside(folder / "pictures", f"{picture.name}.png"), picture.data)
    path = folder / "report.html"
    atomic_write_text(path, build_report_html(report, drawn, folder))
    write_last(folder, REPORT, report.to_json(), trust)
    return path


def build_report_html(report: Report, drawn: Sequence[Picture] | None = None, folder: Path | None = None) -> str:
    """The whole page; the pictures and the videos in the run's `folder` are inside."""
    return render(
        "report/page.html.j2",
        title=report.title,
        origin=_origin(report),
        verdict=verdict(report.summary),
        notes=report.notes,
        cards=list(_cards(report)),
        means=_means(report),
        measured="adapted" in report.summary.returns,
        health=_health(report),
        health_summary=health_summary(report.health),
        pictures=pictures(report) if drawn is None else drawn,
        videos=list(_videos(report, folder)),
        videos_note=report.videos.note,
        tasks=_tasks(report),
        scores=_scores(report),
        episodes=_episodes(report),
        episodes_by_task=_episodes_by_task(report),
        calibration=_calibration(report),
        estimates=_estimates(report),
        diagnostics=f"{DIAGNOSTICS[:1].upper()}{DIAGNOSTICS[1:]}.",
        recipe=json.dumps(report.recipe, indent=2, ensure_ascii=False) if report.recipe else "",
        details=_details(report),
    )


def _origin(report: Report) -> list[str]:
    parts = [f"seed {report.seed}", f"{len(report.tasks)} unseen tasks"]
    parts += [f"merpo {report.versions['merpo']}"] if "merpo" in report.versions else []
    parts += [f"{duration(report.seconds)} in all"] if report.seconds is not None else []
    return parts + ([report.created] if report.created else [])


def _cards(report: Report) -> Iterator[tuple[str, str]]:
    """The few numbers at the top of the page, without intervals."""
    summary = report.summary
    if summary.gap_closed is not None:
        yield number(summary.gap_closed.mean), "of the gap from behaviour to oracle closed"
    if "adapted" in summary.returns:
        yield number(summary.returns["adapted"].mean), "mean return of the adapted policies"
    else:
        yield "unknown", "return of the new policies: there is no environment to measure it"
    for key, worse in in_order(summary.worse_than):
        yield f"{summary.tasks - worse} of {summary.tasks}", f"tasks no worse than the {POLICIES[key].counted}"


def _means(report: Report) -> Table:
    rows = [
        (label, number(i.mean), "–" if i.low == i.high else f"{number(i.low)} to {number(i.high)}")
        for label, i in summary_rows(report.summary)
    ]
    covers = f" for {report.summary.covers}" if report.summary.covers else ""
    return Table(("", "mean", f"95 % interval{covers}"), rows)


def _health(report: Report) -> Table:
    """The checks; no rows for a report without them."""
    rows = [(check.name, check.status, check.figure, check.advice) for check in report.health]
    return Table(("check", "status", "figure", "what to do"), rows, text=(1, 2, 3))


def _videos(report: Report, folder: Path | None) -> Iterator[tuple[int, list[Film]]]:
    """The videos of each task that has any; their files are in `folder`, the run's."""
    for task, group in groupby(report.videos.entries, key=lambda video: video.task):
        yield task, [_film(video, folder) for video in group]


def _film(video: Video, folder: Path | None) -> Film:
    data = b"" if folder is None else recorded(folder, video)
    label = POLICIES[video.policy].label if video.policy in POLICIES else video.policy
    returned = f"return {number(video.episode_return)} in {video.steps} steps"
    return Film(video.file, data, f"task {video.task}, {label}: {returned}")


def _tasks(report: Report) -> Table:
    head = ("task", *(policy.label for policy in POLICIES.values()), "gap closed", "parameters")
    rows = [
        (
            str(task.index),
            *(number(task.returns.get(key)) for key in POLICIES),
            number(task.gap_closed),
            json.dumps(_rounded(task.params), ensure_ascii=False)[1:-1],
        )
        for task in report.tasks
    ]
    return Table(head, rows, text=(len(head) - 1,))


def _rounded(value: object) -> object:
    """Numbers to four digits, for reading."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _scores(report: Report) -> Table:
    """Every task that has reference scores."""
    scored = {key: policy.label for key, policy in POLICIES.items() if policy.scored}
    head = ("task", *scored.values(), "return of random", "return of expert", "according to")
    rows = [
        (
            str(task.index),
            *(number(task.normalized.get(key)) for key in scored),
            number(reference.random),
            number(reference.expert),
            reference.source,
        )
        for task in report.tasks
        if (reference := task.reference) is not None
    ]
    return Table(head, rows, text=(len(head) - 1,))


EPISODES = ("episodes", "return", "std over episodes", "length", "terminated")


def _episodes(report: Report) -> Table:
    """Means over the tasks; no rows for a report that was made without them."""
    rows = [(POLICIES[key].label, *_episode_cells(stats)) for key, stats in means(report.tasks).items()]
    return Table(("policy, means over tasks", *EPISODES), rows)


def _episodes_by_task(report: Report) -> Table:
    rows = [
        (str(task.index), POLICIES[key].label, *_episode_cells(stats))
        for task in report.tasks
        for key, stats in task.episodes.items()
    ]
    return Table(("task", "policy", *EPISODES), rows, text=(1,))


def _episode_cells(stats: EpisodeStats) -> tuple[str, ...]:
    return (
        f"{stats.episodes:,}",
        number(stats.return_mean),
        number(stats.return_std),
        f"{stats.length:.1f}",
        share(stats.termination_rate),
    )


def episodes_csv(tasks: Iterable[TaskReport]) -> str:
    """One line per unseen task and policy."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task in tasks:
        for policy, stats in task.episodes.items():
            writer.writerow((task.index, policy, *stats.model_dump().values()))
    return text.getvalue()


def _calibration(report: Report) -> Table:
    """What critics expected of the adapted policies, and what these earned; no rows where that is not known."""
    rows = [
        (str(task.index), number(row.discount), number(row.expected), number(row.earned))
        for task, row in zip(report.tasks, report.calibration.rows(), strict=False)
    ]
    return Table(("task", "discount", "expected by the critic", "earned, discounted"), rows)


def _estimates(report: Report) -> Table:
    """Estimates of the policies where no environment measures them; else no rows."""
    shown = report.estimates.columns(len(report.tasks))
    wanted = "adapted" not in report.summary.returns and report.estimates.departure
    rows = [(str(t.index), *(f"{values[i]:.3g}" for values in shown.values())) for i, t in enumerate(report.tasks)]
    return Table(("task", *shown), rows if wanted else ())


def _details(report: Report) -> list[tuple[str, Table]]:
    """Collapsed tables: versions, time per stage, and the datasets with their hashes."""
    times = [
        (f"{name} (reused)" if name in report.reused else name, "not known" if taken is None else duration(taken))
        for name, taken in report.timings.items()
    ]
    data = [
        (str(d.task), d.split, d.quality, f"{d.transitions:,}", number(d.behavior_return), d.sha256)
        for d in report.datasets
    ]
    datasets = Table(("task", "split", "quality", "transitions", "behaviour return", "sha256"), data, text=(1, 2, 5))
    return [
        ("Versions", Table(("", "version"), sorted(report.versions.items()))),
        ("Time per stage", Table(("stage", "time"), times)),
        (f"Datasets ({len(data)})", datasets),
    ]
