"""What the numbers of a policy mean in its data: the bounds of the actions, and the names of the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from merpo.data.manifest import Manifest
from merpo.data.offsets import offsets_of
from merpo.errors import DatasetError

__all__ = ["DataUnits", "data_units"]

LARGEST_BOUND = 1e30  # the square of a larger number is infinite in float32
Bound = Annotated[float, Field(ge=-LARGEST_BOUND, le=LARGEST_BOUND)]


@dataclass(frozen=True)
class DataUnits:
    """The bounds [A] that the data's actions had before they were scaled to [-1, 1], and what its columns are."""

    action_low: tuple[Bound, ...]
    action_high: tuple[Bound, ...]
    observations: tuple[str, ...] = ()  # empty where the data has no names, as in simulations
    actions: tuple[str, ...] = ()
    subtracted: tuple[Bound, ...] = ()  # [O], from the observations; empty for none


def data_units(manifest: Manifest) -> DataUnits:
    """The units of a dataset: those that its import recorded, or else [-1, 1], as collected actions have.

    Raises `DatasetError` for bounds that are no numbers, or not one per dimension of the actions.
    """
    columns = manifest.settings.get("columns")
    columns = columns if isinstance(columns, Mapping) else {}
    low, high = (
        _bounds(manifest, key, next((t[key] for t in (manifest.settings, columns) if t.get(key) is not None), default))
        for key, default in (("action_low", -1.0), ("action_high", 1.0))
    )
    return DataUnits(
        low, high, _names(columns.get("observations")), _names(columns.get("actions")), offsets_of(manifest)
    )


def _bounds(manifest: Manifest, key: str, found: Any) -> tuple[float, ...]:
    values = found if isinstance(found, list | tuple) else [found]
    good = all(isinstance(value, int | float) and abs(value) <= LARGEST_BOUND for value in values)
    if not good or len(values) not in (1, manifest.action_dim):
        raise DatasetError(f"settings.{key} is {found!r:.80}, expected {manifest.action_dim} numbers; import it again")
    return tuple(float(value) for value in values) * (manifest.action_dim // len(values))


def _names(found: Any) -> tuple[str, ...]:
    return tuple(str(name)[:200] for name in found) if isinstance(found, list | tuple) else ()
