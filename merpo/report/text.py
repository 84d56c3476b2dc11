"""A run's results on the terminal, and those of several seeds together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from merpo.data.reference_scores import sources
from merpo.errors import MerpoError
from merpo.report.policies import POLICIES, in_order
from merpo.report.report import means
from merpo.report.seeds import data_sets, sources_of
from merpo.report.summary import Summary, summarize
from merpo.support.format import number, share
from merpo.support.statistics.interval import Interval, judged
from merpo.support.tables import frame, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from merpo.data.reference_scores import ReferenceScores
    from merpo.report.health import Check
    from merpo.report.report import Report

__all__ = [
    "DIAGNOSTICS",
    "UNMEASURED",
    "check_line",
    "combine",
    "health_summary",
    "interval",
    "print_combined",
    "print_health",
    "print_summary",
    "print_verdict",
    "scores_line",
    "summary_rows",
    "verdict",
]

# The verdict on a run without an environment.
UNMEASURED = (
    "The return of the new policies is unknown: there is no environment in which to try them out. Only the returns of "
    "the logs are measured."
)
# What the estimates from logs say, and what they do not.
DIAGNOSTICS = (
    "departure is the mean absolute difference of the adapted policy's actions from the logged ones, which lie in "
    "[-1, 1]; Q is what the critic that trained the policy expects at the log's states, which can be far from what the "
    "policy earns, so a higher Q is no gain"
)


def interval(value: Interval) -> str:
    """`-5.30 [-6.10, -4.60]`; the mean alone where it is of a single value, or of equal ones."""
    mean, low, high = (number(x) for x in (value.mean, value.low, value.high))
    return mean if value.low == value.high else f"{mean} [{low}, {high}]"


def summary_rows(summary: Summary) -> list[tuple[str, Interval]]:
    """The rows of every summary table: mean returns, differences and gaps closed, as far as there are any."""
    rows = [(POLICIES[key].row, value) for key, value in in_order(summary.returns)]
    rows += [(f"adapted minus {POLICIES[key].label}", value) for key, value in in_order(summary.adapted_minus)]
    rows += [(f"gap closed by the {POLICIES[key].gap}", value) for key, value in in_order(summary.gaps_closed)]
    return rows


def verdict(summary: Summary) -> str:
    """A few sentences: whether adaptation improves on the other policies, and whether that can be told from chance."""
    if not summary.adapted_minus:
        return UNMEASURED
    drawn_and_mode = "behavior_mode" in summary.adapted_minus
    found = [
        f"{_against(value)} {POLICIES[key].baseline}{' as they acted' if key == 'behavior' and drawn_and_mode else ''}"
        for key, value in in_order(summary.adapted_minus)
    ]
    *before, last = found
    text = f"Adaptation {', '.join(before)}, and {last}" if before else f"Adaptation {last}"
    text += f". It is worse than {_worse(summary)} of "
    text += f"{summary.tasks * summary.seeds} {'task-seed pairs' if summary.seeds > 1 else 'unseen tasks'}."
    if summary.gap_closed is not None:
        text += f" It closes {share(summary.gap_closed.mean)} of the gap to the oracle."
    return text + _small_sample(summary) + _covered(summary)


def _worse(summary: Summary) -> str:
    """`the behaviour policy on 2, and than the meta-policy on none,`."""
    first, *others = [f"the {POLICIES[key].counted} on {n or 'none'}" for key, n in in_order(summary.worse_than)]
    if not others:
        return first
    *between, last = others
    return f"{first}, {''.join(f'than {text}, ' for text in between)}and than {last},"


def _small_sample(summary: Summary) -> str:
    """A warning where an interval is of one or two values."""
    if summary.tasks * summary.seeds == 1:
        return " One task and one seed: whether that is chance cannot be decided."
    if max(summary.tasks, summary.seeds) == 2:
        return f" With {_counted(summary.tasks, 'task')} and {_counted(summary.seeds, 'seed')} intervals say little."
    return ""


def _counted(n: int, what: str) -> str:
    return f"one {what}" if n == 1 else f"two {what}s"


def _covered(summary: Summary) -> str:
    """What the intervals in the verdict cover, and what they do not."""
    if not summary.covers:
        return ""
    alone = " with this training seed; another seed may give other returns" if summary.seeds == 1 else ""
    alone = " on this one task; another task may have other returns" if summary.tasks == 1 else alone
    shared = " All seeds share one data set." if summary.seeds > 1 and summary.data_sets == 1 else ""
    return f" Intervals are for {summary.covers}{alone}.{shared}"


def _against(difference: Interval) -> str:
    told = judged(difference)
    if told == "holds" or (difference.low is None and difference.mean > 0):
        return f"gains {interval(difference)} over"
    if told == "does not hold" or (difference.low is None and difference.mean < 0):
        return f"loses {interval(0 - difference)} against"
    return f"cannot be told apart ({interval(difference)}) from"


def print_summary(report: Report, console: Console) -> None:
    """Print the results of a run: every unseen task, the means, and the verdict."""
    from rich.table import Table

    summary = report.summary
    if "adapted" not in summary.returns:
        _print_estimates(report, console)
        _print_notes(report.notes, console)
        print_health(report.health, console)
        return
    columns = list(in_order(summary.returns))
    has_gap = any(task.gap_closed is not None for task in report.tasks)
    _print_title(f"{report.title}: return on unseen tasks", console)
    table = Table(box=frame(console))
    for label in ("task", *(POLICIES[key].label for key, _ in columns), *(["gap closed"] if has_gap else [])):
        table.add_column(label, justify="left" if label == "task" else "right", no_wrap=True)
    for task in report.tasks:
        cells = [number(task.returns[key]) for key, _ in columns]
        table.add_row(str(task.index), *cells, *([number(task.gap_closed)] if has_gap else []))
    table.add_section()
    gap = [number(None if summary.gap_closed is None else summary.gap_closed.mean)] if has_gap else []
    table.add_row("mean", *(number(value.mean) for _, value in columns), *gap, style="bold")
    print_table(table, console)
    if scores := scores_line(report.tasks):
        _print_text(scores, console)
    _print_terminations(report, console)
    print_verdict(summary, console)
    _print_notes(report.notes, console)
    print_health(report.health, console)


def _print_notes(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        _print_text(f"note: {note}", console)


def _print_terminations(report: Report, console: Console) -> None:
    """The share of episodes that terminated and their mean length, where any did."""
    found = means(report.tasks)
    if any(stats.termination_rate > 0 for stats in found.values()):
        parts = [
            f"{POLICIES[name].label} {share(s.termination_rate)} of {s.length:.0f} steps" for name, s in found.items()
        ]
        _print_text(f"episodes that terminated, and their mean length: {', '.join(parts)}", console)


def _print_estimates(report: Report, console: Console) -> None:
    """The results of a run without an environment: the returns of the logs, and estimates from them."""
    from rich.table import Table

    returns = [task.returns["behavior"] for task in report.tasks]
    columns = {"log's return": returns, **report.estimates.columns(len(returns))}
    _print_title(f"{report.title}: unseen tasks", console)
    table = Table(box=frame(console))
    for label in ("task", *columns):
        table.add_column(label, justify="left" if label == "task" else "right", no_wrap=True)
    for i, task in enumerate(report.tasks):
        table.add_row(str(task.index), *(number(values[i]) for values in columns.values()))
    table.add_section()
    table.add_row("mean", *(number(sum(values) / len(values)) for values in columns.values()), style="bold")
    print_table(table, console)
    if len(columns) > 1:
        _print_text(f"diagnostics, not returns: {DIAGNOSTICS}", console)
    print_verdict(report.summary, console)


def print_health(health: Sequence[Check], console: Console) -> None:
    """A line per check, with advice where it did not pass; nothing for a report without checks."""
    if not health:
        return
    _print_text(f"Health of this run: {health_summary(health)}", console, style="table.title")
    for check in health:
        _print_text(check_line(check), console)


def check_line(check: Check) -> str:
    """`warning clone: …. The clone had …`: status, name, figure and advice."""
    advice = f". {check.advice[:1].upper()}{check.advice[1:]}" if check.advice else ""
    return f"{check.status:<7} {check.name}: {check.figure}{advice}"


def health_summary(health: Sequence[Check]) -> str:
    """`9 checks passed, 1 warning, 1 failure; see docs/tuning.md`."""
    counts = {status: sum(check.status == status for check in health) for status in ("pass", "warning", "failure")}
    text = f"{counts['pass']} of {len(health)} checks passed"
    for status in ("warning", "failure"):
        if counts[status]:
            text += f", {counts[status]} {status}{'s' if counts[status] > 1 else ''}"
    return text if counts["pass"] == len(health) else f"{text}; docs/tuning.md explains them"


def print_verdict(summary: Summary, console: Console) -> None:
    """Print the verdict on `summary`."""
    _print_text(verdict(summary), console)


def _print_title(text: str, console: Console) -> None:
    """A table's title as a paragraph of its own: within a narrow table its words would be broken."""
    _print_text(text, console, style="table.title")


def _print_text(text: str, console: Console, style: str | None = None) -> None:
    """A paragraph without markup, wrapped between words on a terminal and on one line in a file."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=not console.is_terminal)


class Scored(Protocol):
    """A task with the normalised scores of its policies."""

    @property
    def normalized(self) -> dict[str, float]:
        """Policy -> score; empty without reference scores."""

    @property
    def reference(self) -> ReferenceScores | None:
        """The returns with scores 0 and 100."""


def scores_line(tasks: Sequence[Scored]) -> str:
    """Means over tasks in one line; empty unless every task has reference scores."""
    rows = [task.normalized for task in tasks]
    shared = [key for key, policy in POLICIES.items() if policy.scored and all(key in row for row in rows)]
    if not shared:
        return ""
    means = ", ".join(f"{POLICIES[key].label} {number(sum(row[key] for row in rows) / len(rows))}" for key in shared)
    return f"normalised scores, 0 random and 100 expert by {sources([task.reference for task in tasks])}: {means}"


def combine(reports: Sequence[Report]) -> Summary:
    """The summary over the seeds of one recipe. Raises `MerpoError` unless all cover the same unseen tasks."""
    if not reports:
        raise MerpoError("no reports to combine: at least one seed is needed")
    covered = [[task.index for task in report.tasks] for report in reports]
    for report, tasks in zip(reports, covered, strict=True):
        if tasks != covered[0]:
            raise MerpoError(
                f"seed {report.seed} covers the tasks {tasks}, seed {reports[0].seed} the tasks {covered[0]}"
            )
    tables = {key: _all([report.returns(key) for report in reports]) for key in POLICIES}
    found = {key: table for key, table in tables.items() if table is not None}
    return summarize(found, sources_of(reports), data_sets(reports))


def _all(rows: Sequence[list[float] | None]) -> list[list[float]] | None:
    """The rows, or None unless every seed has one."""
    found = [row for row in rows if row is not None]
    return found if len(found) == len(rows) else None


def print_combined(reports: Sequence[Report], console: Console) -> Summary:
    """Print the means of each seed and of all, with 95 % intervals for new tasks and seeds."""
    from rich.table import Table

    summary = combine(reports)
    _print_title(f"{reports[0].title}: {len(reports)} seeds", console)
    table = Table(box=frame(console))
    for label in ("", *(f"seed {report.seed}" for report in reports), "all", "95 % interval"):
        table.add_column(label, justify="left" if label == "" else "right", no_wrap=True)
    single = [dict(summary_rows(report.summary)) for report in reports]
    for label, value in summary_rows(summary):
        seeds = [number(rows[label].mean) if label in rows else "-" for rows in single]
        table.add_row(label, *seeds, number(value.mean), f"{number(value.low)} to {number(value.high)}")
    print_table(table, console)
    print_verdict(summary, console)
    return summary
