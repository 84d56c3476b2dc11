"""Numbers that an import subtracted from observations: all data of a run and of its adaptations must agree on them."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.reading.account import stored_account
from merpo.errors import DatasetError

__all__ = ["check_offsets", "offsets_of"]


def offsets_of(manifest: Manifest) -> tuple[float, ...]:
    """The numbers that were subtracted from the observations of a dataset; empty if they are all 0."""
    account = stored_account(manifest.settings)
    return account.subtracted if account is not None and any(account.subtracted) else ()


def check_offsets(
    loaded: Sequence[tuple[TaskDataset, Manifest]], expected: Sequence[float] | None = None, place: object = ""
) -> tuple[float, ...]:
    """The numbers that were subtracted from the observations of all datasets.

    Raises `DatasetError` unless they are the same: as `expected` in `place`, or else as in the first dataset.
    """
    if expected is None:
        expected, place = offsets_of(loaded[0][1]), loaded[0][0].name
    for data, manifest in loaded:
        if (found := offsets_of(manifest)) != tuple(expected):
            raise DatasetError(
                f"{data.name}: {_text(found)} were subtracted from its observations, expected {_text(expected)} as in "
                f"{place}; import it again with the same numbers"
            )
    return tuple(expected)


def _text(numbers: Sequence[float]) -> str:
    return f"{list(numbers)!s:.80}" if numbers else "no numbers"
