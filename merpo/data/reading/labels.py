"""Labels of episodes, one per row: a new label begins an episode."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from merpo.data.reading.real_numbers import is_missing
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["last_rows"]


def last_rows(episodes: Any, rows: int, name: str) -> NDArray[np.bool_]:
    """The last row of every episode [N]; raises `DatasetError` unless each is one block of rows with one label."""
    labels, missing = _labels(episodes, name)
    if labels.shape != (rows,):
        raise DatasetError(f"{name}: episodes has shape {labels.shape}, expected ({rows},), a label per row")
    if missing.any():
        raise DatasetError(f"{name}: episodes has no label in row {int(missing.argmax())}, expected one per row")
    last = np.ones(rows, dtype=np.bool_)
    try:
        last[:-1] = labels[1:] != labels[:-1]
        distinct = len(set(labels[last].tolist()))
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{name}: episodes holds {labels.dtype} that cannot be compared ({error!s:.80})") from None
    if int(last.sum()) != distinct:
        raise DatasetError(f"{name}: rows of an episode are not contiguous, expected each episode in one block")
    return last


def _labels(episodes: Any, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels as an array, and where one is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about masked constants, which are missing values here
            labels = np.asarray(episodes)
    except Exception as error:  # noqa: BLE001 - the conversions of other libraries may raise anything
        raise DatasetError(f"{name}: episodes is not an array ({error!s:.120})") from None
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    masked = np.ma.getmaskarray(episodes) if isinstance(episodes, np.ma.MaskedArray) else np.zeros(labels.shape, bool)
    if labels.dtype.kind in "fmM":
        return labels, np.isnan(labels) | masked.reshape(labels.shape)
    if labels.dtype.kind in "US":
        return labels, (labels == labels.dtype.type()) | masked.reshape(labels.shape)
    if labels.dtype.kind == "O":
        found = [is_missing(label) for label in labels.ravel().tolist()]
        return labels, np.asarray(found, dtype=np.bool_).reshape(labels.shape) | masked.reshape(labels.shape)
    return labels, masked.reshape(labels.shape)
