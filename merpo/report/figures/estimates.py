"""The picture of a report without environments: what the critics expect of each policy on the logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merpo.lazy import np
from merpo.report.figures.returns import Picture
from merpo.report.figures.style import LINE, axis_title, blank, color_of, grid_of, label_of, legend, marker_of, png

if TYPE_CHECKING:
    from merpo.report.report import Report

__all__ = ["critic_estimates"]


def critic_estimates(report: Report) -> Picture | None:
    """Q of the logged, the meta-policy's and the adapted policy's actions for every unseen task."""
    estimates, n = report.estimates, len(report.tasks)
    series = {
        "behavior": estimates.q_logged,
        "meta_policy": estimates.q_meta_policy,
        "adapted": estimates.q_adapted,
    }
    shown = {name: values for name, values in series.items() if len(values) == n}
    if "adapted" not in shown or report.summary.adapted is not None:
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
        "What the critics expect on the logs",
        "Discounted return that each task's own, conservative critic expects from the states of its log, in units of "
        "reward. An estimate by what was trained, not a measurement.",
        f"Dot plot of the critic's values per unseen task. Means: {means}.",
        png(figure),
    )
