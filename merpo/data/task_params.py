"""Parameters of tasks for an import: `--task-params FILE.toml`, a table for each dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from unicodedata import normalize

from merpo.errors import RecipeError, nearest
from merpo.types import Task

__all__ = ["task_params"]

SHOWN = 10  # names in a message


def task_params(
    params: Mapping[str, Task], datasets: Sequence[Sequence[str]], note: Callable[[str], None]
) -> list[Task | None]:
    """The parameters of each dataset, None where there is no table for it; a dataset is given by all its names.

    One file may serve several imports, such as those for training and for testing: tables of other datasets do not
    matter as long as all these have one. Raises `RecipeError` if both a table and a dataset are left over, as the
    name of the table may be misspelt, and if a dataset has two tables.
    """
    tables = {normalize("NFC", name): name for name in params}
    found = [_tables(tables, names) for names in datasets]
    for own in found:
        if len(own) > 1:
            raise RecipeError(f"--task-params: tables {own[0][:80]!r} and {own[1][:80]!r} are of the same dataset")
    used = {name for own in found for name in own}
    others = [name for name in params if name not in used]
    without = [names[0] for names, own in zip(datasets, found, strict=True) if not own]
    if others and without:
        raise RecipeError(
            f"--task-params: no dataset {others[0][:80]!r}{nearest(others[0][:80], without)}, "
            f"and no table for {_some(without)}"
        )
    if others:
        note(f"--task-params: {len(others)} tables are for datasets of other imports: {_some(others)}")
    return [params[own[0]] if own else None for own in found]


def _tables(tables: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """The tables of a dataset, by their names in the file."""
    keys = dict.fromkeys(normalize("NFC", name) for name in names)
    return [tables[key] for key in keys if key in tables]


def _some(names: Sequence[str]) -> str:
    return ", ".join(name[:80] for name in names[:SHOWN]) + ", ..." * (len(names) > SHOWN)
