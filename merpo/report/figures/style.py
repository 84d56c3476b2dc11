"""The style of every figure: a palette for colour-blind readers, quiet axes, legends outside the data."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from merpo.report.policies import POLICIES, ReportedPolicy
from merpo.support.terminal import neutral

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "INK",
    "LINE",
    "MUTED",
    "axis_title",
    "blank",
    "color_of",
    "grid_of",
    "label_of",
    "label_text",
    "legend",
    "marker_of",
    "own_style",
    "png",
    "series_style",
]

OTHER = ReportedPolicy("", "")  # of a policy that is not in the table
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a8a8a", "#000000")
SERIES_MARKERS = "o^sDvP*X"
INK, MUTED, LINE = "#222222", "#5f6368", "#d9dce1"
DPI = 160
BACKEND = "MPLBACKEND"


def color_of(policy: str) -> str:
    """The colour of a policy; black for one that is not in the table."""
    return POLICIES.get(policy, OTHER).color


def marker_of(policy: str) -> str:
    """The marker of a policy."""
    return POLICIES.get(policy, OTHER).marker


def series_style(i: int) -> tuple[str, str, Any]:
    """Colour, marker and dashes of the i-th of several series; the dashes change when the colours repeat."""
    n = len(SERIES)
    dashes = ("solid", (0, (5, 2)), (0, (1, 1.5)))
    return SERIES[i % n], SERIES_MARKERS[i % n], dashes[i // n % len(dashes)]


def label_of(policy: str) -> str:
    """The name of a policy in legends."""
    return POLICIES[policy].label if policy in POLICIES else label_text(policy)


def label_text(text: str) -> str:
    """Text of recipes and plugins as a label: no formulas, no control characters."""
    return neutral(text).replace("$", r"\$")


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever `matplotlibrc` or a notebook has, such as LaTeX for all text."""
    with _no_backend():
        import matplotlib as mpl
    with mpl.rc_context():
        mpl.rcdefaults()
        yield


def blank(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches, without pyplot's global state."""
    with _no_backend():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def _no_backend() -> Iterator[None]:
    """Without the environment's choice of a backend, which a notebook's kernel makes for itself and may not be here.

    matplotlib reads it when it is imported, and refuses one that it does not know. Pictures need none; whoever shows
    figures later has the chosen one.
    """
    chosen = os.environ.pop(BACKEND, None)
    first = "matplotlib" not in sys.modules
    try:
        yield
    finally:
        if chosen is not None:
            os.environ[BACKEND] = chosen
    if first and chosen:
        import matplotlib as mpl

        with suppress(ValueError):
            mpl.rcParams["backend"] = chosen


def grid_of(figure: Figure, rows: int, columns: int, **settings: Any) -> list[list[Axes]]:
    """A grid of axes [row][column] in the common style."""
    axes = figure.subplots(rows, columns, squeeze=False, **settings)
    for axis in axes.flat:
        _common_style(axis)
    return [list(row) for row in axes]


def _common_style(axis: Axes) -> None:
    axis.set_facecolor("white")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(LINE)
    axis.grid(True, color=LINE, linewidth=0.6, alpha=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", colors=MUTED, labelsize=8.5, length=0)
    axis.ticklabel_format(useOffset=False)  # an offset would be printed over the title


def axis_title(axis: Axes, title: str = "", x: str = "", y: str = "", size: float = 10) -> None:
    """Title to the left, labels in a muted ink."""
    if title:
        axis.set_title(title, loc="left", fontsize=size, color=INK, fontweight="bold")
    axis.set_xlabel(x, fontsize=9, color=MUTED)
    axis.set_ylabel(y, fontsize=9, color=MUTED)


def legend(figure: Figure, axes: Sequence[Axes], columns: int = 6) -> None:
    """One legend for all `axes`, in a row above them, where it covers nothing."""
    found: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside upper left",
            ncols=min(columns, len(found)),
            frameon=False,
            fontsize=9,
            labelcolor=INK,
            handletextpad=0.5,
            columnspacing=1.6,
        )


def png(figure: Figure) -> bytes:
    """The figure as PNG; the same data gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
