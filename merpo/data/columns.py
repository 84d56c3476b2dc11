"""The mapping from a log file's columns to a dataset's arrays: `--columns FILE.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from merpo.components.component import Settings, tuples
from merpo.data.dataset import TaskDataset
from merpo.data.from_arrays import from_arrays
from merpo.data.table_files import CsvTable, Table, numbers, row_location
from merpo.errors import DatasetError, nearest
from merpo.lazy import np
from merpo.recipe.errors import recipe_error
from merpo.recipe.text import read
from merpo.types import Task

__all__ = ["Columns", "read_columns"]


class Columns(Settings):
    """Names of columns (csv, parquet) or arrays (npz); several are joined into one matrix, in this order."""

    observations: tuple[str, ...] = Field(
        ("observations",), min_length=1, max_length=10_000, description="Observation s."
    )
    actions: tuple[str, ...] = Field(("actions",), min_length=1, max_length=10_000, description="Action a.")
    rewards: str = Field("rewards", description="Reward r.")
    next_observations: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=10_000,
        description="Next observation s'; by default the following row's observation.",
    )
    terminations: str | None = Field(None, description="1 where the environment ended the episode.")
    truncations: str | None = Field(None, description="1 where the time limit ended it.")
    episodes: str | None = Field(None, description="Label of each row's episode, e.g. a day; rows stay in order.")
    action_low: tuple[float, ...] | None = Field(
        None, min_length=1, max_length=10_000, description="Least action per dimension, scaled to -1."
    )
    action_high: tuple[float, ...] | None = Field(
        None, min_length=1, max_length=10_000, description="Greatest action per dimension, scaled to 1."
    )

    def dataset(self, table: Table, place: str, task: Task, name: str) -> TaskDataset:
        """The dataset in a file's columns; messages of `DatasetError` begin with `place`, the file's path."""
        given: dict[str, Any] = {
            "observations": _matrix(table, self.observations, place),
            "actions": _matrix(table, self.actions, place),
            "rewards": _numbers(table, self.rewards, place),
        }
        if (names := self._present("next_observations", table)) is not None:
            given["next_observations"] = _matrix(table, (names,) if isinstance(names, str) else names, place)
        for key in ("terminations", "truncations"):
            if (column := self._present(key, table)) is not None:
                given[key] = _numbers(table, column, place)
        if (column := self._present("episodes", table)) is not None:
            given["episodes"] = _column(table, column, place)
        bounds = {"action_low": self.action_low, "action_high": self.action_high}
        try:
            data = from_arrays(**given, **bounds, task=task, name=place)
        except DatasetError as error:
            hint = "" if "within [-1, 1]" not in str(error) else "; give action_low and action_high in --columns"
            where = (
                f"; that is {row_location(table, error.at[1])} of the file"
                if error.at and isinstance(table, CsvTable)
                else ""
            )
            raise DatasetError(f"{error}{where}{hint}") from None
        return TaskDataset(**{**vars(data), "name": name})

    def _present(self, key: str, table: Table) -> Any:
        """The columns of an optional array: the configured ones, else the column named `key` if the file has it."""
        chosen = getattr(self, key)
        return key if chosen is None and key in table else chosen


def read_columns(path: Path | None) -> Columns:
    """The mapping in a TOML file, by default the names of merpo's arrays; raises `RecipeError` if it is invalid."""
    if path is None:
        return Columns()
    tables = tuples(read(path))
    try:
        return Columns.model_validate(tables)
    except ValidationError as error:
        raise recipe_error(error, str(path), Columns, tables) from None


def _column(table: Table, name: str, place: str) -> Any:
    if name not in table:
        known = ", ".join(list(table)[:20])
        raise DatasetError(
            f"{place}: no column {name[:80]!r}{nearest(name[:80], table)}; columns here: {known}; "
            "map them with --columns FILE.toml"
        )
    return table[name]


def _numbers(table: Table, name: str, place: str) -> Any:
    _column(table, name, place)
    return numbers(table, name, f"{place}: {name[:80]}")


def _matrix(table: Table, names: tuple[str, ...], place: str) -> Any:
    """Columns [N] and matrices [N, .] joined along dim 1; a single array stays as it is, also a block of episodes."""
    arrays = [_numbers(table, name, place) for name in names]
    if len(arrays) == 1:
        return arrays[0]
    for name, array in zip(names, arrays, strict=True):
        if array.ndim not in (1, 2) or len(array) != len(arrays[0]):
            raise DatasetError(
                f"{place}: {name[:80]} has shape {array.shape}, expected ({len(arrays[0])},) or ({len(arrays[0])}, .)"
            )
    return np.concatenate([array if array.ndim == 2 else array[:, None] for array in arrays], axis=1)
