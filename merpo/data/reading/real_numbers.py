"""Anything that holds numbers as an array of real numbers; a missing value becomes NaN, whatever stood for it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from merpo.errors import DatasetError, MerpoError
from merpo.lazy import np, torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_numbers", "column_labels", "dims", "is_missing", "real_array"]

_MISSING = ("NAType", "NaTType")  # of pandas, which is not imported for this


def real_array(value: Any, place: str) -> NDArray[Any]:
    """`value` as an array of booleans, integers or floats; messages of `DatasetError` begin with `place`.

    Missing values are the masked ones of a masked array, None, and pandas' NA and NaT. An array without any keeps its
    type and is not copied.
    """
    if isinstance(value, torch.Tensor):
        return _plain(_numpy(value, place), place)
    if _is_frame(value):
        return _frame(value, place)
    if isinstance(value, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in value):
        value = _stacked(value, place)
    if isinstance(value, np.ma.MaskedArray):
        return _unmasked(value, place)
    return _plain(_as_array(value, place), place)


def dims(value: Any) -> int:
    """The number of dims of an array, 0 if `value` is not an array."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about masked constants
            return int(np.ndim(value))
    except Exception:  # noqa: BLE001 - lists of unequal lengths; the conversions of other libraries may raise anything
        return 0


def as_numbers(value: Any) -> NDArray[np.float64] | None:
    """A number or several as an array, None if they are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about masked constants, which become NaN
            return np.asarray(value, dtype=np.float64)
    except Exception:  # noqa: BLE001 - the conversions of other libraries may raise anything
        return None


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing one: None, NaN, a masked constant, or pandas' NA or NaT."""
    if value is None or value is np.ma.masked or type(value).__name__ in _MISSING:
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and value != value  # noqa: PLR0124 - NaN is not equal to itself


def column_labels(value: Any) -> list[str] | None:
    """The names of a frame's columns, None for an array without names."""
    return [str(name) for name, _ in _columns(value)] if _is_frame(value) else None


def _is_frame(value: Any) -> bool:
    """Whether it is a frame of named columns, as pandas, polars and Arrow have them."""
    return hasattr(value, "columns") and any(hasattr(value, name) for name in ("iloc", "get_columns", "column_names"))


def _columns(frame: Any) -> list[tuple[Any, Any]]:
    """The names and the columns of a frame."""
    if hasattr(frame, "iloc"):  # pandas
        return [(name, frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    if hasattr(frame, "get_columns"):  # polars
        return list(zip(frame.columns, frame.get_columns(), strict=True))
    return list(zip(frame.column_names, frame.columns, strict=True))


def _frame(value: Any, place: str) -> NDArray[Any]:
    """The columns of a frame side by side [N, columns]; each is read on its own, as their types may differ."""
    columns = _columns(value)
    if not columns:
        raise DatasetError(f"{place} is a frame without columns, expected at least one")
    parts = [real_array(column, f"{place}, column {i} ({name!s:.80})") for i, (name, column) in enumerate(columns)]
    return np.column_stack(parts)


def _numpy(value: torch.Tensor, place: str) -> NDArray[Any]:
    try:
        found: NDArray[Any] = value.detach().cpu().numpy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{place} is not an array of numbers ({error!s:.120})") from None
    return found


def _as_array(value: Any, place: str) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about masked constants, which are missing values here
            found: NDArray[Any] = np.asarray(value)
    except MerpoError:
        raise
    except Exception as error:  # noqa: BLE001 - the conversions of other libraries may raise anything
        raise DatasetError(f"{place} is not an array of numbers ({error!s:.120})") from None
    return found


def _stacked(rows: Any, place: str) -> NDArray[Any]:
    """Rows of which some are masked, as one masked array."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about masked constants in lists, which become NaN
            return np.ma.stack([np.ma.asarray(row) for row in rows])
    except Exception as error:  # noqa: BLE001 - as above
        raise DatasetError(f"{place} is not an array of numbers ({error!s:.120})") from None


def _unmasked(value: np.ma.MaskedArray[Any, Any], place: str) -> NDArray[Any]:
    """A masked array with NaN where it is masked."""
    mask = np.ma.getmaskarray(value)
    known = value.data
    if known.dtype.kind == "O":
        known = known.copy()
        known[mask] = None
    plain = _plain(known, place)
    if not mask.any():
        return plain
    filled = plain.astype(np.float64)
    filled[mask] = np.nan
    return filled


def _plain(found: NDArray[Any], place: str) -> NDArray[Any]:
    """An array of numbers as it is, an array of objects as numbers; raises `DatasetError` for any other."""
    if found.dtype.kind == "O":
        return _from_objects(found, place)
    if found.dtype.kind not in "biuf":
        hint = "; convert times to seconds since a start" if found.dtype.kind in "mM" else ""
        raise DatasetError(f"{place} is an array of {found.dtype}, expected real numbers{hint}")
    return found


def _from_objects(found: NDArray[Any], place: str) -> NDArray[Any]:
    """Numbers from Python objects, as frames of mixed or nullable columns give them."""
    items = found.ravel().tolist() if found.ndim else found.item()
    if found.ndim == 1 and items and isinstance(items[0], list | tuple | np.ndarray):
        return _from_rows(items, place)
    if not found.ndim:
        raise DatasetError(f"{place} is a {type(items).__name__}, expected an array of numbers")
    numbers = np.full(len(items), np.nan)
    known = 0
    for i, item in enumerate(items):
        if is_missing(item):
            continue
        known += 1
        numbers[i] = _number(item, f"{place} is {item!r:.40} at row {i // max(1, len(items) // len(found))}")
    if not known:
        raise DatasetError(f"{place} is an array of object without any number, expected real numbers")
    return numbers.reshape(found.shape)


def _from_rows(items: list[Any], place: str) -> NDArray[Any]:
    """A column of lists of equal lengths as a matrix."""
    rows = [real_array(item, f"{place}, row {i},") for i, item in enumerate(items)]
    odd = next((i for i, row in enumerate(rows) if row.shape != rows[0].shape), None)
    if odd is not None:
        raise DatasetError(f"{place} has shape {rows[odd].shape} at row {odd}, expected {rows[0].shape} as at row 0")
    return np.stack(rows)


def _number(item: Any, place: str) -> float:
    if isinstance(item, str | bytes | complex) or not hasattr(item, "__float__"):
        raise DatasetError(f"{place}, an array of object; expected a number")
    try:
        return float(item)
    except OverflowError:
        return float("inf")  # an integer of more than 308 digits, refused later with its position
    except Exception:  # noqa: BLE001 - an object of another library may raise anything
        raise DatasetError(f"{place}, an array of object; expected a number") from None
