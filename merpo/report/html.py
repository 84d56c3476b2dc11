"""`report.html`: one file with everything in it, readable on a laptop, a phone and paper."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from merpo.report.html_parts import episodes_csv, episodes_tables, page, scores_table, table, videos_section
from merpo.report.policies import POLICIES, in_order
from merpo.report.text import interval, summary_rows, verdict
from merpo.support.files import atomic_write_bytes, atomic_write_text
from merpo.support.format import duration, number

if TYPE_CHECKING:
    from merpo.report.figures.returns import Picture
    from merpo.report.report import Report

__all__ = ["build_report_html", "figure", "pictures", "write_report"]


def pictures(report: Report) -> list[Picture]:
    """Every picture for which the run has what it shows, in the order of the page."""
    from merpo.report.figures import inside, plane, returns

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


def write_report(report: Report, folder: Path) -> Path:
    """Write `episodes.csv`, `pictures/*.png` and `report.html`, then `report.json`; gives the page's path.

    The last one is what makes a run a finished one: where a process is killed before, the same run goes on.
    """
    drawn = pictures(report)
    atomic_write_text(folder / "episodes.csv", episodes_csv(report.tasks))
    for picture in drawn:
        atomic_write_bytes(folder / "pictures" / f"{picture.name}.png", picture.data)
    path = folder / "report.html"
    atomic_write_text(path, build_report_html(report, drawn, folder))
    atomic_write_text(folder / "report.json", report.to_json())
    return path


def build_report_html(report: Report, drawn: Sequence[Picture] | None = None, folder: Path | None = None) -> str:
    """The whole page, pictures, styles and the videos in the run's `folder` inside; all text is escaped."""
    drawn = pictures(report) if drawn is None else drawn
    body = [
        f"<h1>{escape(report.title)}</h1>",
        f'<p class="muted">{escape(_origin(report))}</p>',
        f'<p class="verdict">{escape(verdict(report.summary))}</p>',
        *(f'<p class="note">{escape(note)}</p>' for note in report.notes),
        _cards(report),
        "<h2>Summary</h2>",
        _summary_table(report),
        *(figure(picture) for picture in drawn),
        videos_section(report, folder),
        "<h2>Every unseen task</h2>",
        _task_table(report),
        scores_table(report),
        episodes_tables(report),
        _estimates_table(report),
        "<h2>Where this comes from</h2>",
        _provenance(report),
    ]
    return page(report.title, body)


def _origin(report: Report) -> str:
    parts = [f"seed {report.seed}", f"{len(report.tasks)} unseen tasks"]
    parts += [f"merpo {report.versions['merpo']}"] if "merpo" in report.versions else []
    parts += [f"{duration(report.seconds)} in all"] if report.seconds is not None else []
    parts += [report.created] if report.created else []
    return " · ".join(parts)


def _cards(report: Report) -> str:
    summary = report.summary
    cards: list[tuple[str, str]] = []
    if "adapted" in summary.returns:
        cards.append((interval(summary.returns["adapted"]), "mean return of the adapted policies"))
    elif summary.estimated_gain is not None:
        cards.append(
            (
                interval(summary.estimated_gain),
                "discounted return gained over the logs, by the critics' estimate; not measured",
            )
        )
    if summary.gap_closed is not None:
        cards.insert(0, (number(summary.gap_closed.mean), "of the gap from behaviour to oracle closed"))
    for key, worse in in_order(summary.worse_than):
        count = f"{summary.tasks - worse} of {summary.tasks}"
        cards.append((count, f"tasks no worse than the {POLICIES[key].counted}"))
    items = "".join(
        f'<div class="card"><b>{escape(value.split(" [")[0])}</b><span>{escape(text)}</span></div>'
        for value, text in cards
    )
    return f'<div class="cards">{items}</div>'


def _summary_table(report: Report) -> str:
    head = ("", "mean", "95 % interval")
    rows = [
        (label, number(i.mean), "–" if i.low == i.high else f"{number(i.low)} to {number(i.high)}")
        for label, i in summary_rows(report.summary)
    ]
    return table(head, rows) + (
        '<p class="muted">Intervals are bootstraps over the unseen tasks; differences are paired by task. '
        "Gap closed is (J − B)/(O − B) of the mean returns J, B of the behaviour policies and O of the oracle. B is of "
        "the data, in which actions were drawn; a behaviour policy's mode is its most likely actions, by which the "
        "adapted policies are measured, too.</p>"
    )


def _task_table(report: Report) -> str:
    head = ("task", *(policy.label for policy in POLICIES.values()), "gap closed", "parameters")
    rows = [
        (
            str(t.index),
            *(number(t.returns.get(key)) for key in POLICIES),
            number(t.gap_closed),
            _params(t.params),
        )
        for t in report.tasks
    ]
    return table(head, rows, text=(len(head) - 1,))


def _estimates_table(report: Report) -> str:
    """What is said of the policies where no environment measures them; else nothing."""
    estimates = report.estimates
    if "adapted" in report.summary.returns or not estimates.departure:
        return ""
    shown = estimates.columns(len(report.tasks))
    rows = [(str(t.index), *(f"{values[i]:.3g}" for values in shown.values())) for i, t in enumerate(report.tasks)]
    return (
        "<h2>Estimates from the logs</h2>"
        + table(("task", *shown), rows)
        + '<p class="muted">Departure is the mean absolute difference of the adapted policy from the logged actions, '
        "which lie in [-1, 1]. Q is what the task's own, conservative critic expects of discounted return at the "
        "log's states. These are estimates by what was trained, not measurements.</p>"
    )


def _params(params: object) -> str:
    return json.dumps(_rounded(params), ensure_ascii=False)[1:-1]


def _rounded(value: object) -> object:
    """Numbers to four digits, for reading."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def figure(picture: Picture) -> str:
    """A picture with its title and caption, inside the page."""
    data = base64.b64encode(picture.data).decode()
    return (
        f"<h2>{escape(picture.title)}</h2><figure>"
        f'<img src="data:image/png;base64,{data}" alt="{escape(picture.alt)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _times(report: Report) -> list[tuple[str, str]]:
    """Stages with their seconds; those that the last process found finished are marked."""
    return [
        (f"{name} (reused)" if name in report.reused else name, "not known" if taken is None else duration(taken))
        for name, taken in report.timings.items()
    ]


def _provenance(report: Report) -> str:
    """Collapsed: recipe, versions, time per stage, and the datasets with their hashes."""
    recipe = json.dumps(report.recipe, indent=2, ensure_ascii=False)
    data = [
        (str(d.task), d.split, d.quality, f"{d.transitions:,}", number(d.behavior_return), d.sha256)
        for d in report.datasets
    ]
    sections = (
        ("Resolved recipe", f"<pre>{escape(recipe)}</pre>" if report.recipe else ""),
        ("Versions", table(("", "version"), sorted(report.versions.items())) if report.versions else ""),
        (
            "Time per stage",
            table(("stage", "time"), _times(report)) if report.timings else "",
        ),
        (
            f"Datasets ({len(data)})",
            table(("task", "split", "quality", "transitions", "behaviour return", "sha256"), data, text=(1, 2, 5))
            if data
            else "",
        ),
    )
    return "".join(
        f"<details><summary>{escape(title)}</summary>{content}</details>" for title, content in sections if content
    )
