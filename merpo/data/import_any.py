"""What `merpo data import` is given: files and folders of logs, or ids of Minari's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from merpo.data.columns import read_columns
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
) -> list[str]:
    """Import everything named; returns the collections' names. A path that exists is one, whatever it looks like."""
    check_family(family or LOGS)
    params = read_task_params(task_params)
    paths = [Path(source) for source in sources if _is_path(source)]
    ids = [source.removeprefix("minari:") for source in sources if not _is_path(source)]
    strange = next((text for text in ids if not is_minari_id(text)), None)
    if strange is not None:
        raise DatasetError(
            f"{strange[:200]!r}: no such file or folder, and no id of Minari's such as D4RL/door/human-v2"
        )
    if paths and ids:
        raise RecipeError(f"got files ({paths[0]}) and ids of Minari's ({ids[0]}), expected one kind at a time")
    if paths:
        return [import_logs(paths, collection, read_columns(columns), params, family or LOGS)]
    if columns is not None:
        raise RecipeError("--columns is for files; a dataset of Minari's says itself what is what")
    from merpo.data.minari.imports import import_minari

    return import_minari(ids, collection, params, family, ignore_env_spec)


def _is_path(source: str) -> bool:
    try:
        return Path(source).exists()
    except (OSError, ValueError):
        return False
