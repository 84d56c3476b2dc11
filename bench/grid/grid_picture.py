"""grid.png: what each setting earns beyond λ = 0 over the steps, and the share of tasks it makes worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grid_compare import Question, answers, worse
from grid_plan import Setting
from grid_stored import Group, GroupName, groups_of, setting_of

from merpo.report.figures.style import axis_title, blank, grid_of, legend, own_style, png, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["picture"]

ZERO = Setting(0.0)


def picture(content: Mapping[str, Any]) -> bytes:
    """A column for each number of episodes of the first family's first quality, with the trained meta-policy."""
    name, family = next(iter(content["families"].items()))
    every = groups_of(content, name)
    first = next(iter(every))
    quality = "medium" if any(one.quality == "medium" for one in every) else first.quality
    groups = {one: group for one, group in every.items() if (one.quality, one.meta) == (quality, first.meta)}
    shown = _shown(setting_of(family["usual"]), groups)
    with own_style():
        canvas = blank(max(5.0, 2.7 * len(groups)), 6.0)
        rows = grid_of(canvas, 2, len(groups), sharey="row")
        for i, group_name in enumerate(groups):
            count = "all" if group_name.episodes is None else group_name.episodes
            title = f"{count} episode{'s' * (group_name.episodes != 1)}"
            _differences(rows[0][i], group_name, groups[group_name], shown, family["steps"])
            axis_title(rows[0][i], title, y="return − that with λ = 0" if i == 0 else "")
            _shares(rows[1][i], groups[group_name], shown, family["steps"])
            axis_title(rows[1][i], x="adaptation steps", y="% worse than max(J_β, J_c)" if i == 0 else "")
        legend(canvas, [axis for row in rows[::-1] for axis in row], columns=max(2, 2 * len(groups) - 1))
        return png(canvas)


def _shown(usual: Setting, groups: Mapping[GroupName, Group]) -> list[Setting]:
    """λ = 0, then the settings that differ from the usual one in λ, or in α between 0 and 1."""
    every = sorted({one for group in groups.values() for one in group.cells}, key=lambda one: one.place)
    ends = (0.0, 1.0, "adaptive")
    chosen = [one for one in every if one.alpha == usual.alpha or (one.lambda_ == usual.lambda_ and one.alpha in ends)]
    return [ZERO, *(one for one in chosen if one != ZERO)]


def _differences(axis: Axes, name: GroupName, group: Group, shown: Sequence[Setting], steps: Sequence[int]) -> None:
    """The difference to λ = 0, paired by seed, with its 95 % interval for new seeds."""
    axis.axhline(0.0, color=series_style(0)[0], linewidth=1.4)
    for i, setting in enumerate(shown):
        found = answers(Question("", "", setting, ZERO), {name: group}, steps) if setting != ZERO else []
        for answer in found:
            color, marker, dashes = series_style(i)
            places = _places(steps, i, len(shown))
            axis.plot(
                places,
                [answer.differences[step].mean for step in steps],
                color=color, marker=marker, linestyle=dashes, markersize=4, linewidth=1.4, label=setting.label,
            )  # fmt: skip
            for x, step in zip(places, steps, strict=True):
                axis.vlines(x, *answer.differences[step].bounds, color=color, linewidth=1.0, alpha=0.6)
    _step_ticks(axis, steps)


def _shares(axis: Axes, group: Group, shown: Sequence[Setting], steps: Sequence[int]) -> None:
    """The share of tasks that a setting makes worse, over all seeds."""
    for i, setting in enumerate(shown):
        if setting in group.cells:
            color, marker, dashes = series_style(i)
            rows = [[x for row in worse(group, setting, step).values() for x in row] for step in steps]
            percent = [100 * sum(row) / len(row) for row in rows]
            axis.plot(
                _places(steps, i, len(shown)),
                percent,
                color=color, marker=marker, linestyle=dashes, markersize=4, linewidth=1.4, label=setting.label,
            )  # fmt: skip
    axis.set_ylim(-4.0, 104.0)
    _step_ticks(axis, steps)


def _places(steps: Sequence[int], i: int, count: int) -> list[float]:
    """Beside one another, so that intervals do not hide each other."""
    return [x + 0.4 * (i / max(1, count - 1) - 0.5) for x in range(len(steps))]


def _step_ticks(axis: Axes, steps: Sequence[int]) -> None:
    axis.set_xticks(range(len(steps)), [str(step) for step in steps])
    axis.grid(False, axis="x")
