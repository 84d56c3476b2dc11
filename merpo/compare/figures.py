"""Figures of a comparison: aggregates, performance profiles, and probabilities of improvement."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from merpo.report.figures.returns import Picture
from merpo.report.figures.style import (
    LINE,
    MUTED,
    axis_title,
    blank,
    grid_of,
    label_text,
    legend,
    own_style,
    png,
    series_style,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from merpo.compare.comparison import Comparison, Pair
    from merpo.support.statistics.interval import Interval

__all__ = ["aggregates", "comparison_pictures", "improvement", "profiles"]

MOST_PAIRS = 28


def comparison_pictures(comparison: Comparison) -> list[Picture]:
    """All figures in the order of the page; the one of probabilities of improvement needs two arms."""
    with own_style():
        drawn = (aggregates(comparison), profiles(comparison), improvement(comparison))
    return [picture for picture in drawn if picture is not None]


def aggregates(comparison: Comparison) -> Picture:
    """Interquartile mean, median and mean of each arm, side by side."""
    arms = comparison.arms
    labels = [_wrapped(arm.label) for arm in arms]
    figure = blank(10.0, 1.3 + _rows(labels))
    panels = (("interquartile mean", "iqm"), ("median", "median"), ("mean", "mean"))
    axes = grid_of(figure, 1, 3, sharex=True, sharey=True)[0]
    for axis, (title, key) in zip(axes, panels, strict=True):
        for i, arm in enumerate(arms):
            estimate: Interval = getattr(arm, key)
            color, marker, _ = series_style(i)
            if estimate.low is not None:
                axis.hlines(i, *estimate.bounds, color=color, linewidth=7, alpha=0.3)
            axis.scatter([estimate.mean], [i], 42, color=color, marker=marker, zorder=3)
        axis_title(axis, title, x=comparison.score_name)
        axis.grid(False, axis="y")
        axis.set_ylim(len(arms) - 0.5, -0.5)
        axis.locator_params(axis="x", nbins=4)  # three panels: more labels would run into each other
    axes[0].set_yticks(range(len(arms)), labels)
    best = max(arms, key=lambda arm: arm.iqm.mean)
    return Picture(
        "aggregates",
        f"{comparison.score_name.capitalize()}, aggregated over tasks and seeds",
        f"Bars are 95 % intervals by Student's t{_for(comparison)}; an arm of one seed has none. Higher is better. The "
        "interquartile mean leaves out the best and the worst quarter of a run's tasks.",
        f"Dot plot of interquartile mean, median and mean of {len(arms)} arms; the highest interquartile mean is "
        f"{best.iqm.mean:.2f}, of {best.label}.",
        png(figure),
    )


def profiles(comparison: Comparison) -> Picture:
    """The performance profile of each arm: the fraction of runs above each score."""
    figure = blank(8.0, 4.2)
    axis = grid_of(figure, 1, 1)[0][0]
    for i, arm in enumerate(comparison.arms):
        color, _, dashes = series_style(i)
        profile = arm.profile
        for run in profile.runs if len(profile.runs) > 1 else ():
            axis.plot(profile.thresholds, run, color=color, linewidth=0.7, alpha=0.35)
        axis.plot(
            profile.thresholds, profile.share, color=color, linestyle=dashes, linewidth=2.0, label=label_text(arm.label)
        )
    axis.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    axis.set_ylim(-0.02, 1.02)
    axis_title(axis, x=f"{comparison.score_name} τ", y="share of runs with a score above τ")
    legend(figure, [axis], columns=_columns(comparison))
    return Picture(
        "performance_profiles",
        "Performance profiles",
        "The share of (seed, task) pairs whose score is above τ; thin lines are single seeds. A curve that lies above "
        "another everywhere is better everywhere; where a curve crosses one half is the median of all runs.",
        f"Line chart of the share of runs above a score for {len(comparison.arms)} arms.",
        png(figure),
    )


def improvement(comparison: Comparison) -> Picture | None:
    """P(X > Y) of each pair of arms, or of the first arm against the others where there are many pairs."""
    pairs = comparison.pairs
    if len(pairs) > MOST_PAIRS:
        pairs = [pair for pair in pairs if pair.first == comparison.arms[0].label]
    if not pairs:
        return None
    labels = [f"{_wrapped(pair.first, 48)}\n> {_wrapped(pair.second, 46)}" for pair in pairs]
    if all(len(pair.first) + len(pair.second) < 44 for pair in pairs):
        labels = [label.replace("\n>", "  > ") for label in labels]
    figure = blank(8.0, 1.3 + _rows(labels))
    axis = grid_of(figure, 1, 1)[0][0]
    axis.axvline(0.5, color=LINE, linewidth=2.0)
    for i, pair in enumerate(pairs):
        _whisker(axis, i, pair)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(len(pairs) - 0.5, -0.5)
    axis.set_yticks(range(len(pairs)), labels)
    axis.grid(False, axis="y")
    axis_title(axis, x="probability of improvement P(X > Y)")
    return Picture(
        "probability_of_improvement",
        "Probability of improvement",
        "How likely a run of the first has a higher score than one of the second on the same task, mean over tasks, "
        f"with 95 % intervals{_for(comparison)}, each of one comparison alone. One half: neither is better; filled "
        "dots have an interval that leaves it out.",
        "Dot plot of probabilities of improvement: "
        + "; ".join(f"{pair.first} over {pair.second} {pair.probability.mean:.2f}" for pair in pairs[:12])
        + ".",
        png(figure),
    )


def _whisker(axis: Axes, i: int, pair: Pair) -> None:
    """The probability of one pair with its interval; the dot is filled where the interval excludes one half."""
    color = series_style(0)[0]
    if pair.probability.low is not None:
        axis.hlines(i, *pair.probability.bounds, color=color, linewidth=7, alpha=0.3)
    face = color if pair.probability.excludes(0.5) else "white"
    axis.scatter([pair.probability.mean], [i], 46, color=face, edgecolors=color, linewidths=1.6, zorder=3)


def _for(comparison: Comparison) -> str:
    """What the intervals cover, as part of a sentence."""
    return f" for {comparison.covers}" if comparison.covers else ""


def _wrapped(label: str, width: int = 32) -> str:
    """A long label on several lines."""
    return textwrap.fill(label_text(label), width)


def _rows(labels: Sequence[str]) -> float:
    """The height in inches of rows with these labels."""
    return len(labels) * (0.2 + 0.16 * max(label.count("\n") + 1 for label in labels))


def _columns(comparison: Comparison) -> int:
    """The number of legend columns for which labels of this length leave room."""
    longest = max(len(arm.label) for arm in comparison.arms)
    return max(1, min(6, 90 // (longest + 6)))
