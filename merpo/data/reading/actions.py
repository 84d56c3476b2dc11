"""Actions of a log in the box [-1, 1]: scaled from their bounds, clipped where the user says so, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from merpo.data.reading.choices import Bound, Choices
from merpo.data.reading.in_place import blocks
from merpo.data.reading.real_numbers import as_numbers
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = ["TOLERANCE", "scaled_actions"]

TOLERANCE = 1e-5  # of half the box: rounding
LABELS = 50  # numbers of a discrete action, at most
TWO_LABELS = (
    "actions are zeros and ones only, as labels of discrete actions are; they are read as amounts in [-1, 1]; if they "
    "are amounts from 0 to 1, give these bounds"
)
SLIGHTLY = 0.05  # of the box's width, within which an action outside is taken for an overshoot


def scaled_actions(
    actions: NDArray[Any], choices: Choices, labels: Sequence[str], name: str
) -> tuple[NDArray[np.float32], list[str]]:
    """Actions [N, A] scaled from their bounds to [-1, 1], and notes on those that were clipped.

    Without bounds they must be in [-1, 1]. Raises `DatasetError` if only one bound is given, the box is empty, or an
    action lies outside of it and `clip_actions` is not set.
    """
    bounds = _bounds(choices.action_low, choices.action_high, actions.shape[1], name)
    if bounds is None and _are_labels(actions):
        top = int(np.nanmax(actions))
        raise DatasetError(
            f"{name}: actions are whole numbers from {int(np.nanmin(actions))} to {top}, as the labels of discrete "
            "actions are; merpo's policies choose numbers in a box and have no discrete actions. If these numbers are "
            "amounts, state the range of each",
            at=None,
        )
    low, high = bounds if bounds is not None else (-np.ones(actions.shape[1]), np.ones(actions.shape[1]))
    made, outside = np.empty(actions.shape, np.float32), np.zeros(actions.shape, np.bool_)
    for block in blocks(*actions.shape):
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = _scaled(actions[block], bounds)
            made[block], outside[block] = scaled, np.abs(scaled) > 1.0 + TOLERANCE
    if not outside.any():
        return made, [TWO_LABELS] if bounds is None and _are_two(actions) else []
    exact = actions.astype(np.float64)
    scaled = _scaled(exact, bounds)
    if not choices.clip_actions or not np.isfinite(scaled[outside]).all():
        raise _refusal(exact, scaled, outside, low, high, bounded=bounds is not None, name=name)
    rows, columns = int(outside.any(axis=1).sum()), np.flatnonzero(outside.any(axis=0)).tolist()
    parts = [
        f"{labels[c]} {int(outside[:, c].sum()):,} times, by at most "
        f"{float(np.maximum(exact[:, c] - high[c], low[c] - exact[:, c]).max()):.5g}"
        for c in columns
    ]
    note = f"actions clipped to their bounds in {rows:,} of {len(actions):,} rows: {', '.join(parts)}"
    made[...] = np.clip(scaled, -1.0, 1.0, out=scaled)
    return made, [note]


def _scaled(actions: NDArray[Any], bounds: Bounds | None) -> NDArray[np.float64]:
    """Actions in float64, from their bounds to [-1, 1]."""
    exact = actions.astype(np.float64)
    return exact if bounds is None else 2.0 * (exact - bounds[0]) / (bounds[1] - bounds[0]) - 1.0


def _bounds(low: Bound | None, high: Bound | None, dims: int, name: str) -> Bounds | None:
    """The least and the greatest action per dimension, None if none is given."""
    if low is None and high is None:
        return None
    if low is None or high is None:
        raise DatasetError(f"{name}: action_low and action_high are {low} and {high}, expected both or neither")
    ends = [as_numbers(bound) for bound in (low, high)]
    for key, end in zip(("action_low", "action_high"), ends, strict=True):
        if end is None:
            raise DatasetError(f"{name}: action_low and action_high are {low!r:.40} and {high!r:.40}, expected numbers")
        if end.ndim > 1 or (end.ndim == 1 and len(end) != dims) or not np.isfinite(end).all():
            raise DatasetError(f"{name}: {key} is {end.tolist()}, expected a finite number or {dims} of them")
    least, most = (np.broadcast_to(end, (dims,)) for end in ends if end is not None)
    if not (least < most).all():
        raise DatasetError(f"{name}: action_low is {least.tolist()}, expected less than action_high {most.tolist()}")
    return least, most


def _are_labels(actions: NDArray[Any]) -> bool:
    """Whether actions outside of [-1, 1] are whole numbers from 0 or 1 on, few and with hardly one left out."""
    if not actions.size:
        return False
    least, most = float(actions.min()), float(actions.max())  # NaN if one is
    if least not in (0.0, 1.0) or not 1 < most <= LABELS or not (actions == np.floor(actions)).all():
        return False
    return actions.dtype.kind in "iu" or 2 * len(np.unique(actions)) >= most + 1 - least


def _are_two(actions: NDArray[Any]) -> bool:
    """Whether actions are zeros and ones, and both occur."""
    ones = actions == 1
    return bool((ones | (actions == 0)).all() and ones.any() and not ones.all())


def _refusal(
    exact: NDArray[np.float64],
    scaled: NDArray[np.float64],
    outside: NDArray[np.bool_],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    *,
    bounded: bool,
    name: str,
) -> DatasetError:
    """The error for actions outside of their bounds, with the advice that fits."""
    row, column = (int(i) for i in np.argwhere(outside)[0])
    affected = f"{int(outside.any(axis=1).sum())} of {len(exact)} rows affected"
    most = float(np.abs(scaled[outside]).max())
    few = most <= 1.0 + 2.0 * SLIGHTLY
    advice = "; clip_actions = true (--clip-actions) moves them to the bounds" if few else ""
    at = f"{name}: actions is {{}} at row {row}, column {column}, expected within"
    if bounded:
        box = f"[{low[column]:g}, {high[column]:g}]"
        text = f"{at.format(f'{exact[row, column]:g}')} {box}, its bounds; {affected}{advice}"
    else:
        box = "[-1, 1] (scale the actions of the environment to that box: state their range as action_low and "
        box += "action_high, --action-low and --action-high)"
        text = f"{at.format(float(exact[row, column]))} {box}; {affected}{advice}"
    return DatasetError(text, at=("actions", row))
