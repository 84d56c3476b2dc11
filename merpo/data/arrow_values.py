"""Values of Arrow columns as NumPy arrays: numbers, times, and lists of them as matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["is_list", "list_depth", "plain_kind", "values_of"]

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
DAY = 86_400.0  # seconds


def plain_kind(pa: Any, kind: Any) -> Any:
    """The type of the values of a column: those of a dictionary, or those in which an extension type is stored."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def is_list(pa: Any, kind: Any) -> bool:
    """Whether the values of a type are lists, of equal or unequal lengths."""
    types = pa.types
    checks = types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view
    return any(check(kind) for check in checks)


def list_depth(pa: Any, kind: Any) -> int:
    """How many lists are around a column's numbers."""
    if isinstance(kind, pa.FixedShapeTensorType):
        return len(kind.shape)
    kind, depth = plain_kind(pa, kind), 0
    while is_list(pa, kind):
        kind, depth = plain_kind(pa, kind.value_type), depth + 1
    return depth


def values_of(pa: Any, array: Any, place: str, row: int = 0) -> NDArray[Any] | list[NDArray[Any]]:
    """The values of an Arrow array: numbers [N], lists of equal lengths [N, .], else an array for each row.

    Missing values are NaN. Times are seconds: since 1970 for dates and timestamps, since midnight for times of day.
    Raises `DatasetError`, which begins with `place`, for values that are no numbers; the array's first is in `row`.
    """
    types, kind = pa.types, array.type
    if isinstance(kind, pa.BaseExtensionType):
        found = values_of(pa, array.storage, place, row)
        if isinstance(kind, pa.FixedShapeTensorType) and isinstance(found, np.ndarray):
            found = found.reshape(len(found), *kind.shape)
        return found
    if types.is_dictionary(kind):
        return values_of(pa, array.dictionary_decode(), place, row)
    if is_list(pa, kind):
        return _lists(pa, array, place, row)
    if types.is_null(kind):
        return np.full(len(array), np.nan)
    if types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif types.is_temporal(kind) and not types.is_interval(kind):
        return _seconds(pa, array)
    elif not (types.is_integer(kind) or types.is_floating(kind)):
        raise DatasetError(f"{place} holds {kind!s:.80}, expected numbers or lists of numbers")
    plain: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return plain


def _seconds(pa: Any, array: Any) -> NDArray[Any]:
    types, kind = pa.types, array.type
    wide = kind.bit_width == 64
    scale = DAY if types.is_date32(kind) else 1e-3 if types.is_date64(kind) else SECONDS[kind.unit]
    counts = array.view(pa.int64() if wide else pa.int32()).to_numpy(zero_copy_only=False)
    found: NDArray[Any] = counts.astype(np.float64) * scale
    return found


def _lists(pa: Any, array: Any, place: str, row: int) -> NDArray[Any] | list[NDArray[Any]]:
    """Lists as a matrix, rows of NaN for missing lists; an array for each row if their lengths differ."""
    lengths = pa.compute.list_value_length(array).to_numpy(zero_copy_only=False)
    missing = np.isnan(lengths) if lengths.dtype.kind == "f" else np.zeros(len(lengths), dtype=bool)
    known = lengths[~missing].astype(np.int64)
    inner = values_of(pa, array.flatten(), place)  # of the lists that are there, one after the other
    if len(known) and (known == known[0]).all() and not isinstance(inner, list):
        shape = (len(known), int(known[0]), *inner.shape[1:])
        matrix = inner.reshape(shape)
        if not missing.any():
            return matrix
        whole = np.full((len(array), *shape[1:]), np.nan)
        whole[~missing] = matrix
        return whole
    if not len(array):
        return np.empty((0, 0))
    if missing.any():
        raise DatasetError(f"{place} has no list in row {row + int(missing.argmax())}, and lists of unequal lengths")
    ends = known.cumsum()
    if isinstance(inner, list):
        parts = [inner[end - n : end] for n, end in zip(known.tolist(), ends.tolist(), strict=True)]
        return [_stacked(part, place, at) for at, part in enumerate(parts, row)]
    return np.split(inner, ends[:-1])


def _stacked(parts: list[NDArray[Any]], place: str, row: int) -> NDArray[Any]:
    """The lists within a row's list as a matrix."""
    if len({part.shape for part in parts}) > 1:
        raise DatasetError(f"{place} has lists of unequal lengths within row {row}")
    return np.stack(parts) if parts else np.empty((0, 0))
