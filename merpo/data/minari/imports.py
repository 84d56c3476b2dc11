"""Import of Minari datasets into the store, by merpo's own readers: no code that they name is executed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from merpo.data.from_arrays import from_arrays
from merpo.data.import_logs import LOGS, Imported, check_params, store_imported
from merpo.data.minari.arrow import read_arrow
from merpo.data.minari.files import MinariDataset, minari_root, open_minari, require_id
from merpo.data.minari.hdf5 import read_hdf5
from merpo.data.reference_scores import KEY, minari_reference
from merpo.errors import DatasetError, MerpoError
from merpo.recipe.sources import minari_place
from merpo.support.terminal import say
from merpo.types import Task

__all__ = ["TASK_KEY", "import_minari", "read_minari"]

TASK_KEY = "merpo_task"  # in a dataset's metadata: {"family": ..., "task": {...}}, as `merpo data export` writes it
READERS = {"hdf5": read_hdf5, "arrow": read_arrow, "parquet": read_arrow}


def import_minari(
    ids: Sequence[str],
    collection: str | None = None,
    params: Mapping[str, Task] | None = None,
    family: str | None = None,
    ignore_env_spec: bool = False,
    note: Callable[[str], None] = say,
) -> list[str]:
    """Read, check and store datasets; returns the collections' names.

    A dataset that is not on this machine is downloaded by Minari. Raises `DatasetError` for an invalid or unsafe one.
    """
    known = {text: minari_place(require_id(text)) for text in ids}
    check_params(params or {}, [*known, *(name for _, name in known.values())])
    imported: dict[tuple[str, str], list[Imported]] = {}
    for text, (place, name) in known.items():
        _ensure_local(text, note)
        dataset = open_minari(text, ignore_env_spec)
        recorded = dataset.metadata.get(TASK_KEY)
        recorded = recorded if isinstance(recorded, dict) else {}
        task = next((p for p in ((params or {}).get(text), (params or {}).get(name)) if p is not None), None)
        task = _recorded_task(recorded) if task is None else task  # {} is the task of a family with a single one
        task = {"minari": text, **_environment(dataset)} if task is None else task
        its_family = family or _family(recorded)
        one = read_minari(dataset, task, name)
        reference = minari_reference(dataset.metadata, task, text, note)
        if reference is not None:
            one = one._replace(settings={**one.settings, KEY: reference.model_dump()})
        imported.setdefault((collection or place, its_family), []).append(one)
    for (chosen, its_family), datasets in imported.items():
        store_imported(chosen, datasets, its_family, note)
    return list(dict.fromkeys(chosen for chosen, _ in imported))


def read_minari(dataset: MinariDataset, task: Task, name: str) -> Imported:
    """All episodes of a local dataset, with actions scaled from their space's bounds to [-1, 1]."""
    reader = READERS.get(dataset.format)
    if reader is None:
        path, known = dataset.folder / "metadata.json", ", ".join(READERS)
        raise DatasetError(f"{path}: data_format is {dataset.format!r:.40}, expected one of {known}")
    low, high = _bounds(dataset)
    episodes = list(reader(dataset))
    columns = {key: [episode[key] for episode in episodes] for key in ("observations", "actions", "rewards")}
    ends = {key: [episode[key] for episode in episodes] for key in ("terminations", "truncations")}
    data = from_arrays(**columns, **ends, action_low=low, action_high=high, task=task, name=str(dataset.folder))
    kept = {
        key: str(value)[:200]
        for key in ("author", "algorithm_name", "code_permalink")
        if (value := dataset.metadata.get(key))
    }
    settings = {
        "source": "minari",
        "dataset_id": dataset.dataset_id,
        "format": dataset.format,
        "observations": [".".join(box.path) for box in dataset.observations if box.path],
        "action_low": low,
        "action_high": high,
        **kept,
    }
    return Imported(replace(data, name=name), settings)


def _bounds(dataset: MinariDataset) -> tuple[list[float], list[float]]:
    """The bounds of the action space; raises `DatasetError` if they are infinite, as scaling needs them."""
    low, high = ([number for box in dataset.actions for number in getattr(box, end)] for end in ("low", "high"))
    if any(not -1e30 < a < b < 1e30 for a, b in zip(low, high, strict=True)):
        path = dataset.folder / "metadata.json"
        raise DatasetError(f"{path}: action_space has bounds {low[:4]} and {high[:4]}, expected finite bounds")
    return low, high


def _family(recorded: Mapping[str, Any]) -> str:
    """The name of the task family recorded in the metadata, `LOGS` if none; it is not looked up here."""
    name = recorded.get("family")
    return name if isinstance(name, str) and re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) else LOGS


def _recorded_task(recorded: Mapping[str, Any]) -> Task | None:
    task = recorded.get("task")
    return task if isinstance(task, dict) else None


def _environment(dataset: MinariDataset) -> Task:
    """The id of the data's environment as a task parameter, empty if not recorded; no environment is made."""
    text = dataset.metadata.get("env_spec")
    try:
        spec = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):  # only with `ignore_env_spec`
        return {}
    name = spec.get("id") if isinstance(spec, dict) else None
    return {"environment": name} if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_./:-]{1,100}", name) else {}


def _ensure_local(dataset_id: str, note: Callable[[str], None]) -> None:
    """Download a dataset by Minari unless it is on this machine; raises an error with the reason on failure."""
    if (minari_root() / dataset_id / "data" / "metadata.json").exists():
        return
    try:
        from minari.storage.hosting import download_dataset
    except ImportError:
        raise MerpoError("download needs minari, which is not installed; pip install 'merpo[minari]'") from None
    if not _online():
        raise DatasetError(f"minari:{dataset_id}: not on this machine, and there is no network to download it")
    note(f"minari: {dataset_id} is not in {minari_root()}; downloading")
    try:
        download_dataset(dataset_id)
    except ImportError as error:
        raise MerpoError(f"minari:{dataset_id}: {error!s:.200}") from None
    except Exception as error:  # noqa: BLE001 - Minari and its clients may raise anything
        raise DatasetError(
            f"minari:{dataset_id}: cannot be downloaded ({type(error).__name__}: {error!s:.200})"
        ) from None


def _online() -> bool:
    """Whether Minari's default remote is reachable; not tested (True) if another remote or a proxy is configured."""
    import os
    import socket

    if any(os.environ.get(name) for name in ("MINARI_REMOTE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    try:
        socket.create_connection(("huggingface.co", 443), timeout=5).close()
    except OSError:
        return False
    return True
