"""Labels of rows as codes, so that a column of text takes few bytes a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Labels", "label_text", "labels_of"]


class Labels(NamedTuple):
    """The code of every row, an index of `texts`; -1 where there is no label."""

    codes: NDArray[Any]  # [N] integers
    texts: list[str]

    def values(self) -> NDArray[Any]:
        """The codes [N], NaN where there is no label."""
        return np.where(self.codes < 0, np.nan, self.codes) if (self.codes < 0).any() else self.codes


def labels_of(values: NDArray[Any]) -> Labels:
    """The labels in an array [N] of numbers or text; empty text and NaN are none."""
    found, codes = np.unique(values, return_inverse=True)
    texts = [label_text(value) for value in found.tolist()]
    missing = [i for i, text in enumerate(texts) if not text]
    codes = codes.reshape(-1).astype(np.int64)
    return Labels(np.where(np.isin(codes, missing), -1, codes) if missing else codes, texts)


def label_text(value: Any) -> str:
    """A label as the user writes it: 3 for 3.0; empty for NaN and None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    return str(value).strip()
