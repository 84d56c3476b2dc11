"""The picture of a figure: returns of its arms with 95 % intervals, or over steps with 95 % bands."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from merpo.report.figures.style import axis_title, blank, grid_of, label_text, legend, own_style, png, series_style
from merpo.reproduce.figure import Panel
from merpo.reproduce.measures import curve_of, policy_return
from merpo.support.statistics.estimate import student
from merpo.support.statistics.interval import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from merpo.reproduce.check import ArmRuns
    from merpo.reproduce.plan import Experiment

__all__ = ["draw"]

AXES = {"adaptation": "steps on an unseen task", "training": "steps of meta-training"}


def draw(experiment: Experiment, arms: Mapping[str, ArmRuns]) -> bytes:
    """The picture as PNG; arms without finished runs are left out."""
    figure, family = experiment.figure, experiment.family
    there = [arm.id for arm in figure.arms_of(family.name) if arms[arm.id].reports]
    panels = [Panel(title=family.title, arms=tuple(there))] if not figure.panels else list(figure.panels)
    shown = [(panel.title, chosen) for panel in panels if (chosen := [name for name in panel.arms if name in there])]
    with own_style():
        rows = max((len(chosen) for _, chosen in shown), default=1)
        height = 3.6 if figure.x != "arms" else 1.3 + 0.5 * rows
        canvas = blank(max(5.0, 4.2 * len(shown)), height)
        axes = grid_of(canvas, 1, max(1, len(shown)))[0]
        for axis, (title, chosen) in zip(axes, shown, strict=False):
            runs = {there.index(name): arms[name] for name in chosen}  # an arm looks alike in every panel
            if figure.x == "arms":
                _dots(axis, runs, title)
            else:
                _curves(axis, runs, title, figure.x)
        if figure.x != "arms":
            legend(canvas, axes, columns=3)
        return png(canvas)


def _dots(axis: Axes, arms: Mapping[int, ArmRuns], title: str) -> None:
    """A dot and a bar for each arm."""
    for i, (style, arm) in enumerate(arms.items()):
        values = [policy_return(report, "adapted") for report in arm.reports.values()]
        known = [value for value in values if value is not None]
        if not known:
            continue
        estimate, (color, marker, _) = student(known), series_style(style)
        if estimate.low is not None:
            axis.hlines(i, *estimate.bounds, color=color, linewidth=7, alpha=0.3)
        axis.scatter([estimate.mean], [i], 42, color=color, marker=marker, zorder=3)
    axis.set_yticks(range(len(arms)), [textwrap.fill(label_text(arm.label), 26) for arm in arms.values()])
    axis.set_ylim(len(arms) - 0.5, -0.5)
    axis.grid(False, axis="y")
    axis.locator_params(axis="x", nbins=4)
    axis_title(axis, label_text(title), x="return")


def _curves(axis: Axes, arms: Mapping[int, ArmRuns], title: str, x: str) -> None:
    """A line and a band for each arm."""
    for style, arm in arms.items():
        points = _points(arm, x)
        if not points:
            continue
        color, _, dashes = series_style(style)
        steps = [step for step, _ in points]
        bounds = [one.bounds for _, one in points]
        axis.fill_between(steps, [a for a, _ in bounds], [b for _, b in bounds], color=color, alpha=0.13, linewidth=0)
        means = [one.mean for _, one in points]
        axis.plot(steps, means, color=color, linestyle=dashes, linewidth=1.8, label=label_text(arm.label))
    axis_title(axis, label_text(title), x=AXES[x], y="return")


def _points(arm: ArmRuns, x: str) -> list[tuple[int, Interval]]:
    """Steps that all runs of an arm have, with the mean return over the runs."""
    curves = [
        dict(curve_of(report, "training" if x == "training" else "adaptation")) for report in arm.reports.values()
    ]
    common = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    return [(step, student([curve[step] for curve in curves])) for step in common]
