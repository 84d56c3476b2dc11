"""Sections and frame of a report's page."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from merpo.report.policies import POLICIES
from merpo.report.report import means
from merpo.support.format import number

if TYPE_CHECKING:
    from merpo.evaluation.episode_stats import EpisodeStats
    from merpo.evaluation.videos import Video
    from merpo.report.report import Report, TaskReport

__all__ = ["episodes_csv", "episodes_tables", "page", "scores_table", "table", "videos_section"]

STYLE = """
:root{--ink:#1f2328;--muted:#5f6368;--line:#e3e6ea;--soft:#f6f7f9;--accent:#0072b2}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1040px;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem}
h2{font-size:1.2rem;margin:2.5rem 0 .5rem}
p{margin:.4rem 0;max-width:72ch}.muted,figcaption{color:var(--muted);font-size:.92rem}
.verdict{font-size:1.08rem;border-left:4px solid var(--accent);padding:.3rem 0 .3rem .9rem;margin:1.1rem 0}
.note{background:#fff8e6;border:1px solid #f0dca4;border-radius:8px;padding:.6rem .9rem;margin:.6rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:.75rem;margin:1.2rem 0}
.card{background:var(--soft);border-radius:10px;padding:.8rem 1rem}
.card b{display:block;font-size:1.5rem;line-height:1.25;font-variant-numeric:tabular-nums}
.card span{color:var(--muted);font-size:.86rem}
.videos{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,240px),1fr));gap:.75rem;margin:.6rem 0}
.videos video{width:100%;display:block;border:1px solid var(--line);border-radius:10px}
figure{margin:.4rem 0 0}figure img{max-width:min(100%,1000px);height:auto;display:block;
 border:1px solid var(--line);border-radius:10px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.94rem}
th,td{text-align:right;padding:.38rem .55rem;border-bottom:1px solid var(--line);white-space:nowrap}
th{white-space:normal;vertical-align:bottom}
th:first-child,td:first-child{text-align:left}thead th{color:var(--muted);font-weight:600;border-bottom-width:2px}
td.text,th.text{text-align:left;white-space:normal}
details{border:1px solid var(--line);border-radius:10px;margin:.6rem 0;padding:.2rem .9rem}
summary{cursor:pointer;font-weight:600;padding:.45rem 0}
pre{background:var(--soft);border-radius:8px;padding:.8rem;overflow-x:auto;font-size:.84rem;line-height:1.45}
code{font-size:.86em}
@media(max-width:600px){table{font-size:.86rem}th,td{padding:.35rem .4rem}}
@media print{details>*{display:block}h2,figure{break-after:avoid}}
"""

COLUMNS = ("task", "policy", "episodes", "return", "return_std", "length", "termination_rate")


def page(title: str, body: Sequence[str]) -> str:
    """A whole document around blocks of HTML; nothing is fetched from elsewhere."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = ()) -> str:
    """An HTML table of escaped cells; columns in `text` are aligned left."""

    def line(cells: Sequence[str], tag: str) -> str:
        marks = ((' class="text"' if i in text else "") for i in range(len(cells)))
        return "<tr>" + "".join(f"<{tag}{m}>{escape(c)}</{tag}>" for c, m in zip(cells, marks, strict=True)) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table></div>'


def scores_table(report: Report) -> str:
    """Every task that has reference scores as a section of the page; empty where none has."""
    tasks = [(task, task.reference) for task in report.tasks if task.reference is not None]
    if not tasks:
        return ""
    scored = {key: policy.label for key, policy in POLICIES.items() if policy.scored}
    rows = [
        (
            str(task.index),
            *(number(task.normalized.get(key)) for key in scored),
            number(reference.random),
            number(reference.expert),
            reference.source,
        )
        for task, reference in tasks
    ]
    head = ("task", *scored.values(), "return of random", "return of expert", "according to")
    return (
        "<h2>Normalised scores</h2>"
        + table(head, rows, text=(len(head) - 1,))
        + '<p class="muted">A score is 100 (J − random)/(expert − random) of the return J.</p>'
    )


def episodes_csv(tasks: Sequence[TaskReport]) -> str:
    """One line per unseen task and policy."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task in tasks:
        for policy, stats in task.episodes.items():
            writer.writerow((task.index, policy, *stats.model_dump().values()))
    return text.getvalue()


def episodes_tables(report: Report) -> str:
    """Means over the tasks and, collapsed, every task; nothing for a report that was made without them."""
    over_tasks = means(report.tasks)
    if not over_tasks:
        return ""
    head = ("episodes", "return", "std over episodes", "length", "terminated")
    rows = [(POLICIES[name].label, *_episodes_cells(stats)) for name, stats in over_tasks.items()]
    every = [
        (str(task.index), POLICIES[name].label, *_episodes_cells(stats))
        for task in report.tasks
        for name, stats in task.episodes.items()
    ]
    return (
        "<h2>Episodes</h2>"
        + table(("policy, means over tasks", *head), rows)
        + '<p class="muted">Those of the behaviour policies are the episodes of the data. Length is in steps; '
        "terminated is the share of episodes that truly ended, where time cut the others.</p>"
        f"<details><summary>Episodes on every unseen task</summary>{table(('task', 'policy', *head), every, text=(1,))}"
        "</details>"
    )


def _episodes_cells(stats: EpisodeStats) -> tuple[str, ...]:
    found = (
        number(stats.return_mean),
        number(stats.return_std),
        f"{stats.length:.1f}",
        f"{stats.termination_rate:.0%}",
    )
    return f"{stats.episodes:,}", *found


def videos_section(report: Report, folder: Path | None) -> str:
    """A row per task; nothing where none were asked for. `folder` is the run's, in which the files are."""
    videos = report.videos
    if not (videos.entries or videos.note):
        return ""
    parts = ["<h2>Videos</h2>"]
    if videos.entries:
        parts.append('<p class="muted">One episode of each policy, from the run\'s seed on.</p>')
    for task, group in groupby(videos.entries, key=lambda video: video.task):
        figures = "".join(_figure(video, folder) for video in group)
        parts.append(f'<div class="videos" aria-label="task {task}">{figures}</div>')
    if videos.note:
        parts.append(f'<p class="note">{escape(videos.note)}</p>')
    return "".join(parts)


def _figure(video: Video, folder: Path | None) -> str:
    label = POLICIES[video.policy].label if video.policy in POLICIES else video.policy
    caption = f"task {video.task}, {label}: return {number(video.episode_return)} in {video.steps} steps"
    return f"<figure>{_player(video, folder)}<figcaption>{escape(caption)}</figcaption></figure>"


def _player(video: Video, folder: Path | None) -> str:
    try:
        data = (folder / video.file).read_bytes() if folder is not None else b""
    except OSError:
        data = b""
    if not data:
        return f'<p class="note">{escape(video.file)} is missing</p>'
    text = base64.b64encode(data).decode()
    return f'<video controls loop muted playsinline preload="metadata" src="data:video/mp4;base64,{text}"></video>'
