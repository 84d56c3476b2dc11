"""Learning curve of a collection's behaviour policies: returns by environment step, as CSV and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from merpo.collect.behavior_policies import read_behavior_policies
from merpo.data.places import CURVE, CURVE_PICTURE
from merpo.report.figures.style import axis_title, blank, color_of, grid_of, legend, own_style, png, series_style
from merpo.support.files import atomic_write_bytes, atomic_write_text

if TYPE_CHECKING:
    from merpo.collect.train import BehaviorPolicies
    from merpo.recipe.recipe import Recipe

__all__ = ["curve_picture", "draw_curve", "write_curve"]

NAMED = 8  # maximum number of tasks with separate colours and labels; more are thin lines of one colour


def write_curve(folder: Path, trained: BehaviorPolicies) -> None:
    """Write `learning_curve.csv`, a line per policy and task, unless it exists."""
    path = folder / CURVE
    if path.exists():
        return
    lines = ["step,task,return"]
    for step, returns in zip(trained.steps, trained.returns.tolist(), strict=True):
        lines += [f"{step},{task},{value:.6g}" for task, value in enumerate(returns)]
    atomic_write_text(path, "\n".join(lines) + "\n")


def draw_curve(recipe: Recipe, folder: Path) -> Path:
    """The path of `learning_curve.png` in a recipe's collection, which is drawn if it does not exist.

    Raises `ArtifactError` if the policies are missing or damaged.
    """
    path = folder / CURVE_PICTURE
    if not path.exists():
        trained = read_behavior_policies(recipe, folder)
        write_curve(folder, trained)  # missing in collections of older versions
        with own_style():
            drawn = curve_picture(trained, recipe.tasks.name)
        atomic_write_bytes(path, drawn)
    return path


def curve_picture(trained: BehaviorPolicies, family: str) -> bytes:
    """A plot of return against environment steps as PNG, for each task, with the mean if they are many."""
    figure = blank(8.0, 4.0)
    axis = grid_of(figure, 1, 1)[0][0]
    few = trained.returns.shape[1] <= NAMED
    for task, returns in enumerate(trained.returns.T.tolist()):
        color, marker, dashes = series_style(task)
        if few:
            style = {"color": color, "marker": marker, "linestyle": dashes, "label": f"task {task}", "markersize": 3.5}
            axis.plot(trained.steps, returns, linewidth=1.4, **style)
        else:
            axis.plot(trained.steps, returns, color=color_of("behavior"), linewidth=0.7, alpha=0.5)
    if not few:
        mean = trained.returns.mean(1).tolist()
        axis.plot(trained.steps, mean, color=color_of("adapted"), linewidth=2.2, label="mean of the tasks")
    axis_title(axis, family, x="environment steps of SAC, per task", y="return of stochastic episodes")
    legend(figure, [axis], columns=4)
    return png(figure)
