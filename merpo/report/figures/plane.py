"""The figure of the policies' paths, for tasks whose observations are points in a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from merpo.lazy import np
from merpo.report.figures.returns import Picture
from merpo.report.figures.style import INK, MUTED, axis_title, blank, color_of, grid_of, label_of, legend, png
from merpo.report.policies import POLICIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from merpo.report.report import Report, TaskReport

__all__ = ["trajectories"]

SHOWN_TASKS = 10


def trajectories(report: Report) -> Picture | None:
    """One episode of every policy in the plane, for up to ten unseen tasks."""
    shown = [task for task in report.tasks if task.trajectories][:SHOWN_TASKS]
    if not shown:
        return None
    columns = min(5, len(shown))
    rows = math.ceil(len(shown) / columns)
    strongest = max((math.hypot(*wind) for task in shown if (wind := _pair(task, "wind"))), default=0.0)
    center, half = _extent(shown, headroom=0.36 if strongest else 0.0)
    aspect = half[1] / half[0]
    figure = blank(max(6.4, 2.15 * columns + 0.6), (2.05 * aspect + 0.3) * rows + 0.7)
    grid = grid_of(figure, rows, columns, sharex=True, sharey=True)
    axes = [axis for row in grid for axis in row]
    for axis, task in zip(axes, shown, strict=False):
        _paths(axis, task)
        _wind(axis, task, strongest, aspect)
        axis.set_box_aspect(aspect)
        axis_title(axis, f"task {task.index}", size=9)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    axes[0].set_xlim(center[0] - half[0], center[0] + half[0])
    axes[0].set_ylim(center[1] - half[1], center[1] + half[1])
    legend(figure, axes)
    arrow = " The small arrow is the wind, longer where it is stronger." if strongest else ""
    return Picture(
        "trajectories",
        "Paths in the plane",
        f"One episode of each policy from the dot; the cross is the goal.{arrow}",
        f"Small maps of the paths that {len(shown)} unseen tasks' policies take.",
        png(figure),
    )


def _paths(axis: Axes, task: TaskReport) -> None:
    for name in (*POLICIES, *(set(task.trajectories) - set(POLICIES))):
        points = task.trajectories.get(name)
        if points:
            style = {"oracle": (0, (1, 1.2)), "behavior": (0, (4, 1.5))}.get(name, "-")
            width, above = {"adapted": (2.4, 3), "oracle": (1.6, 4)}.get(name, (1.4, 2))
            x, y = zip(*points, strict=True)
            axis.plot(x, y, color=color_of(name), linewidth=width, linestyle=style, label=label_of(name), zorder=above)
            axis.scatter(x[:1], y[:1], 14, color=INK, zorder=5)
    goal = _pair(task, "goal")
    if goal is not None:
        axis.scatter([goal[0]], [goal[1]], 50, color=INK, marker="x", linewidths=1.8, zorder=6, label="goal")


def _wind(axis: Axes, task: TaskReport, strongest: float, aspect: float) -> None:
    """An arrow in the corner that `_extent` keeps free; the longest spans 0.15 of the width."""
    wind = _pair(task, "wind")
    if wind is None or strongest == 0.0:
        return
    unit = 0.15 / strongest
    x, y = wind[0] * unit, wind[1] * unit / aspect
    top = 1 - 0.09 / aspect
    axis.annotate(
        "",
        xy=(0.9 + x / 2, top + y / 2),
        xytext=(0.9 - x / 2, top - y / 2),
        xycoords="axes fraction",
        arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 1.6, "shrinkA": 0, "shrinkB": 0},
    )


def _extent(tasks: Sequence[TaskReport], headroom: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Center and half size of one map for all tasks, around every path and goal; `headroom` is in half widths."""
    points = [point for task in tasks for path in task.trajectories.values() for point in path]
    points += [goal for task in tasks if (goal := _pair(task, "goal"))]
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    half = np.maximum(high - low, 1e-3) / 2 * 1.12
    half = np.maximum(half, 0.55 * half[::-1])
    shift = np.array([0.0, headroom * half[0] / 2])
    return (low + high) / 2 + shift, half + shift


def _pair(task: TaskReport, name: str) -> tuple[float, float] | None:
    """Two finite numbers under `name` in the task's parameters."""
    value = task.params.get(name)
    if isinstance(value, list) and len(value) == 2 and all(type(x) in (int, float) for x in value):
        return float(value[0]), float(value[1])  # type: ignore[arg-type]
    return None
