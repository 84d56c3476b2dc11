"""Dispatch of `merpo data import`: files and folders of logs, or Minari dataset ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from merpo.data.columns import Columns, changed, read_columns
from merpo.data.import_logs import LOGS, check_family, import_logs, read_task_params
from merpo.errors import DatasetError, RecipeError
from merpo.recipe.sources import is_minari_id

__all__ = ["import_any"]


def import_any(
    sources: Sequence[str],
    collection: str | None = None,
    columns: Path | None = None,
    task_params: Path | None = None,
    family: str | None = None,
    ignore_env_spec: bool = False,
    changes: Mapping[str, Any] | None = None,
    leave_out: Sequence[str] = (),
    leave_out_keys: Sequence[str] = (),
) -> list[str]:
    """Import files or Minari datasets; returns the collections' names. A source that exists as a path is a path.

    `changes` are values for fields of `Columns`, which replace those in the file `columns`.
    """
    check_family(family or LOGS)
    params = read_task_params(task_params)
    paths = [Path(source) for source in sources if _is_path(source)]
    ids = _ids([source.removeprefix("minari:") for source in sources if not _is_path(source)])
    unknown = next((text for text in ids if not is_minari_id(text)), None)
    if unknown is not None:
        raise DatasetError(
            f"{unknown[:200]!r}: no such file or folder, and not a Minari dataset id such as D4RL/door/human-v2"
        )
    if paths and ids:
        raise RecipeError(f"got files ({paths[0]}) and Minari dataset ids ({ids[0]}), expected one kind at a time")
    if paths and leave_out_keys:
        raise RecipeError("--leave-out-key applies to Minari datasets only; of a file, --columns names what is read")
    if paths:
        mapping = changed(read_columns(columns), "merpo data import", changes or {})
        return [import_logs(paths, collection, mapping, params, family or LOGS, leave_out=leave_out)]
    if columns is not None:
        raise RecipeError("--columns applies to files only; Minari datasets have a fixed layout")
    if "ignore" in (changes or {}):
        raise RecipeError("--ignore applies to files only; Minari datasets have a fixed layout")
    from merpo.data.minari.imports import import_minari

    reading = changed(Columns(), "merpo data import", changes or {})
    return import_minari(
        ids,
        collection,
        params,
        family,
        ignore_env_spec,
        reading=reading,
        leave_out=leave_out,
        leave_out_keys=leave_out_keys,
    )


def _ids(texts: Sequence[str]) -> list[str]:
    """Texts in order, a pattern of Minari ids as those of the datasets on this machine, each once."""
    from merpo.data.minari.local import is_minari_pattern, matching_ids

    return list(
        dict.fromkeys(one for text in texts for one in (matching_ids(text) if is_minari_pattern(text) else [text]))
    )


def _is_path(source: str) -> bool:
    try:
        return Path(source).exists()
    except (OSError, ValueError):
        return False
