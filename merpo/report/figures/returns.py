"""Figures of returns, and of Q as a diagnostic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from merpo.lazy import np
from merpo.report.figures.style import LINE, axis_title, blank, color_of, grid_of, label_of, legend, marker_of, png
from merpo.report.policies import POLICIES
from merpo.support.statistics.estimate import student
from merpo.support.statistics.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from merpo.report.report import Report

__all__ = ["Picture", "adaptation_steps", "critic_estimates", "per_task_returns", "return_over_training"]


class Picture(NamedTuple):
    """A PNG with its title, a caption that says how to read it, and a description for those who do not see it."""

    name: str
    title: str
    caption: str
    alt: str
    data: bytes


def return_over_training(report: Report) -> Picture | None:
    """Return on the unseen tasks against meta-training, between the behaviour policies and the oracle."""
    points = report.training_curve
    if not points:
        return None
    figure = blank(8.0, 4.0)
    axis = grid_of(figure, 1, 1)[0][0]
    _levels(axis, report, [key for key, policy in POLICIES.items() if policy.level and not policy.in_training])
    for policy in (key for key in POLICIES if any(point.returns.get(key) for point in points)):
        rows = [(point.step, point.returns[policy]) for point in points if point.returns.get(policy)]
        _mean_line(axis, policy, [step for step, _ in rows], [row for _, row in rows])
    axis_title(axis, x="meta-training iterations", y="mean return, unseen tasks")
    legend(figure, [axis])
    last = np.mean(points[-1].returns.get("adapted") or points[-1].returns.get("meta_policy", []))
    return Picture(
        "return_over_training",
        "Return on unseen tasks during meta-training",
        "Mean over the unseen tasks; the bands are 95 % intervals for new tasks (none where there are two), with this "
        "training seed. Higher is better.",
        f"Line chart of the mean return on unseen tasks over meta-training, ending at {last:.2f} "
        f"after {points[-1].step} iterations.",
        png(figure),
    )


def adaptation_steps(report: Report) -> Picture | None:
    """Return against the number of adaptation steps, every task and their mean."""
    steps = sorted(set.intersection(*(set(task.snapshots) for task in report.tasks)))
    if len(steps) < 2:
        return None
    figure = blank(8.0, 4.0)
    axis = grid_of(figure, 1, 1)[0][0]
    _levels(axis, report, [key for key, policy in POLICIES.items() if policy.level])
    for task in report.tasks:
        axis.plot(steps, [task.snapshots[s] for s in steps], color=color_of("adapted"), linewidth=0.8, alpha=0.3)
    _mean_line(axis, "adapted", steps, [[task.snapshots[s] for task in report.tasks] for s in steps])
    axis_title(axis, x="adaptation steps", y="return, unseen tasks")
    legend(figure, [axis])
    return Picture(
        "adaptation_steps",
        "Return against adaptation steps",
        "Thin lines are single tasks; the thick line is their mean with its 95 % interval for new tasks (none "
        "where there are two).",
        "Line chart of the return after "
        + ", ".join(f"{s} steps: {np.mean([task.snapshots[s] for task in report.tasks]):.2f}" for s in steps)
        + ".",
        png(figure),
    )


def per_task_returns(report: Report) -> Picture | None:
    """Every policy on every unseen task, and the means with their 95 % intervals."""
    if "adapted" not in report.summary.returns:
        return None
    n = len(report.tasks)
    figure = blank(min(16.0, max(8.0, 3.0 + 0.55 * n)), 4.2)
    left, right = grid_of(figure, 1, 2, sharey=True, width_ratios=[max(5.0, n), 1.3])[0]
    present = [name for name in POLICIES if any(name in task.returns for task in report.tasks)]
    offsets = dict(zip(present, np.linspace(-0.21, 0.21, len(present)), strict=True))
    for i, task in enumerate(report.tasks):
        low, high = min(task.returns.values()), max(task.returns.values())
        left.bar(i, high - low, 0.74, low, color=LINE, alpha=0.4, zorder=1)
    for name in present:
        rows = [(i, task.returns[name]) for i, task in enumerate(report.tasks) if name in task.returns]
        x, y = [i + offsets[name] for i, _ in rows], [value for _, value in rows]
        size = 75 if marker_of(name) == "*" else 38
        left.scatter(
            x,
            y,
            size,
            color=color_of(name),
            marker=marker_of(name),
            label=label_of(name),
            zorder=3,
            edgecolors="white",
            linewidths=0.5,
        )
        _mean_dot(right, offsets[name], _over_tasks(y), name)
    left.set_xticks(range(n), [str(task.index) for task in report.tasks])
    left.grid(False, axis="x")
    left.use_sticky_edges = False  # or the columns would cut the lowest markers in half
    left.margins(y=0.06)
    left.set_xlim(-0.6, n - 0.4)
    right.grid(False, axis="x")
    right.set_xticks([0.0], ["mean"])
    right.set_xlim(-0.5, 0.5)
    axis_title(left, x="unseen task", y="return")
    legend(figure, [left])
    worse = report.summary.worse_than["behavior"]
    return Picture(
        "per_task_returns",
        "Return of every policy on every unseen task",
        "Higher is better. A grey column spans a task's worst to best policy; whiskers of means are 95 % intervals "
        "for new tasks (none where there are two).",
        f"Dot plot of the returns of {', '.join(label_of(name) for name in present)} on {n} unseen tasks; the adapted "
        f"policy is worse than the behaviour policy on {worse} of them.",
        png(figure),
    )


def _over_tasks(values: Sequence[float]) -> Interval:
    """The mean over tasks with its interval; without one for two tasks, whose width would hide everything else."""
    found = student(values, ("tasks",))
    return Interval(found.mean) if len(values) == 2 else found


def _mean_dot(axis: Axes, x: float, interval: Interval, name: str) -> None:
    axis.vlines(x, *interval.bounds, color=color_of(name), linewidth=2.4)
    size = 90 if marker_of(name) == "*" else 45
    axis.scatter([x], [interval.mean], size, color=color_of(name), marker=marker_of(name), zorder=3)


def _levels(axis: Axes, report: Report, policies: Sequence[str]) -> None:
    """Horizontal lines at the mean returns of `policies` that the run has."""
    for policy in policies:
        values = report.returns(policy)
        if values is not None:
            style = (0, (1, 1.5)) if policy == "oracle" else (0, (5, 2))
            axis.axhline(
                float(np.mean(values)), color=color_of(policy), linestyle=style, linewidth=1.8, label=label_of(policy)
            )


def _mean_line(axis: Axes, policy: str, steps: Sequence[int], rows: Sequence[Sequence[float]]) -> None:
    """The mean of `rows` [step][task] with its 95 % interval."""
    if not rows:
        return
    intervals = [_over_tasks(row) for row in rows]
    lows, highs = zip(*(i.bounds for i in intervals), strict=True)
    color = color_of(policy)
    axis.fill_between(steps, lows, highs, color=color, alpha=0.13, linewidth=0)
    axis.plot(
        steps,
        [i.mean for i in intervals],
        color=color,
        linewidth=2.2,
        marker=marker_of(policy),
        markersize=5,
        markeredgecolor="white",
        label=label_of(policy),
        zorder=3,
    )


def critic_estimates(report: Report) -> Picture | None:
    """Q of the logged, the meta-policy's and the adapted policy's actions for every unseen task."""
    estimates, n = report.estimates, len(report.tasks)
    series = {
        "behavior": estimates.q_logged,
        "meta_policy": estimates.q_meta_policy,
        "adapted": estimates.q_adapted,
    }
    shown = {name: values for name, values in series.items() if len(values) == n}
    if "adapted" not in shown or "adapted" in report.summary.returns:
        return None
    figure = blank(min(16.0, max(8.0, 3.0 + 0.55 * n)), 3.6)
    axis = grid_of(figure, 1, 1)[0][0]
    rows = np.asarray(list(shown.values()))
    axis.bar(range(n), np.ptp(rows, axis=0), 0.6, rows.min(0), color=LINE, alpha=0.4, zorder=1)
    for offset, (name, values) in zip(np.linspace(-0.15, 0.15, len(shown)), shown.items(), strict=True):
        label = "logged actions" if name == "behavior" else label_of(name)
        places = np.arange(n) + offset
        axis.scatter(places, values, 40, color=color_of(name), marker=marker_of(name), label=label, zorder=3)
    axis.set_xticks(range(n), [str(task.index) for task in report.tasks])
    axis.grid(False, axis="x")
    axis.use_sticky_edges = False  # or the columns would cut the lowest markers in half
    axis.margins(y=0.1)
    axis.set_xlim(-0.6, n - 0.4)
    axis_title(axis, x="unseen task", y="Q, mean over the log")
    legend(figure, [axis])
    means = "; ".join(f"{name}: {np.mean(values):.3g}" for name, values in shown.items())
    return Picture(
        "critic_estimates",
        "A diagnostic: Q of each task's own critic on its log",
        "Discounted return that the critic which trained the policy expects from the states of the log, in units of "
        "reward. It is not measured, and a higher value is no gain.",
        f"Dot plot of the critic's values per unseen task. Means: {means}.",
        png(figure),
    )
