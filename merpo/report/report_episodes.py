"""The part of `report.html` on episodes: return, length and termination rate of every policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merpo.report.html_parts import table
from merpo.report.report import means
from merpo.report.summary import POLICIES
from merpo.support.format import number

if TYPE_CHECKING:
    from merpo.evaluation.episode_stats import EpisodeStats
    from merpo.report.report import Report

__all__ = ["episodes_tables"]


def episodes_tables(report: Report) -> str:
    """Means over the tasks and, collapsed, every task; nothing for a report that was made without them."""
    over_tasks = means(report.tasks)
    if not over_tasks:
        return ""
    head = ("episodes", "return", "std over episodes", "length", "terminated")
    rows = [(POLICIES[name], *_episodes_cells(stats)) for name, stats in over_tasks.items()]
    every = [
        (str(task.index), POLICIES[name], *_episodes_cells(stats))
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
