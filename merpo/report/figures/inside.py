"""Figures of the dual variables and of the model's errors; None where the run has no data for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merpo.lazy import np
from merpo.report.figures.returns import Picture
from merpo.report.figures.style import MUTED, axis_title, blank, color_of, grid_of, legend, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from merpo.report.report import Report

__all__ = ["duals_over_time", "model_error"]

SYMBOL = {
    "alpha": "α, behaviour (1) to meta-policy (0)",
    "lambda": "λ",
    "beta": "β",
    "q_gap": r"Q-gap, $\mathbf{E}_{\rho}[Q] - \mathbf{E}_D[Q]$",
}


def duals_over_time(report: Report) -> Picture | None:
    """α, λ, β and the Q-gap over meta-training and over adaptation."""
    training, adaptation = report.duals.training, report.duals.adaptation
    names = [name for name in SYMBOL if name in training or name in adaptation]
    phases = [phase for phase, found in (("training", training), ("adaptation", adaptation)) if found]
    if not names:
        return None
    figure = blank(2.9 * len(names) + 0.6, 2.3 * len(phases) + 0.5)
    grid = grid_of(figure, len(phases), len(names), sharex="row")
    for row, phase in zip(grid, phases, strict=True):
        for axis, name in zip(row, names, strict=True):
            _band(axis, report, name) if phase == "training" else _task_lines(axis, report, name)
            first_row = row is grid[0]
            label = "meta-training iterations" if phase == "training" else "adaptation steps"
            axis_title(axis, SYMBOL[name] if first_row else "", x=label, size=9)
            if name == "alpha":
                axis.set_ylim(-0.04, 1.04)
    return Picture(
        "duals",
        "α, λ, β and the Q-gap over time",
        "Meta-training: mean of the tasks of each batch, shaded from least to greatest. "
        "Adaptation: a thin line per unseen task, and their mean.",
        f"Line charts of {', '.join(names)} over {' and '.join(phases)}.",
        png(figure),
    )


def _band(axis: Axes, report: Report, name: str) -> None:
    band = report.duals.training.get(name)
    if band is None:
        _nothing(axis)
        return
    mean, low, high = (np.asarray(values, dtype=float) for values in (band.mean, band.low, band.high))
    axis.fill_between(band.steps, low, high, color=color_of("adapted"), alpha=0.15, linewidth=0)
    marker = "o" if len(band.steps) == 1 else None
    axis.plot(band.steps, mean, color=color_of("adapted"), linewidth=1.8, marker=marker)


def _task_lines(axis: Axes, report: Report, name: str) -> None:
    curve = report.duals.adaptation.get(name)
    if curve is None:
        _nothing(axis)
        return
    values = np.asarray(curve.values, dtype=float)  # [step, task]
    axis.plot(curve.steps, values, color=color_of("adapted"), linewidth=0.7, alpha=0.3)
    axis.plot(curve.steps, values.mean(axis=1), color=color_of("adapted"), linewidth=2.0)


def _nothing(axis: Axes) -> None:
    axis.text(0.5, 0.5, "not recorded", transform=axis.transAxes, ha="center", va="center", color=MUTED, fontsize=9)
    axis.grid(False)
    axis.set_yticks([])


def model_error(report: Report) -> Picture | None:
    """The model's error on every unseen task before and after it was adapted."""
    model, n = report.model, len(report.tasks)
    pairs = (
        ("held-out negative log-likelihood", model.nll_before, model.nll_after),
        ("one-step prediction error", model.error_before, model.error_after),
    )
    shown = [(title, before, after) for title, before, after in pairs if len(before) == n and len(after) == n]
    if not shown:
        return None
    figure = blank(min(16.0, max(8.0, 1.0 + 0.45 * n * len(shown))), 3.6)
    axes = grid_of(figure, 1, len(shown))[0]
    for axis, (title, before, after) in zip(axes, shown, strict=True):
        low, high = np.minimum(before, after), np.maximum(before, after)
        axis.vlines(range(n), low, high, color="#c8ccd2", linewidth=2.5, zorder=1)
        axis.scatter(
            range(n),
            before,
            40,
            facecolors="white",
            edgecolors=color_of("behavior"),
            linewidths=1.8,
            zorder=3,
            label="meta-model as it is",
        )
        axis.scatter(range(n), after, 40, color=color_of("adapted"), zorder=3, label="adapted to the task")
        axis.set_xticks(range(n), [str(task.index) for task in report.tasks])
        axis.grid(False, axis="x")
        if low.min() > 0 and high.max() > 20 * low.min():
            axis.set_yscale("log")
        axis_title(axis, title, x="unseen task", size=9.5)
    legend(figure, axes)
    means = "; ".join(
        f"{title}: {np.mean(before):.3g} before, {np.mean(after):.3g} after" for title, before, after in shown
    )
    return Picture(
        "model_error",
        "Model error before and after adaptation",
        "On transitions of the unseen task that the model was not fitted to. Lower is better.",
        f"Dot plot of the model's error per unseen task. Means: {means}.",
        png(figure),
    )
