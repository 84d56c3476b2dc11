"""Import of Minari datasets into the store, by merpo's own readers: no code that they name is executed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from merpo.data.columns import Columns
from merpo.data.import_logs import LOGS, Imported, store_imported
from merpo.data.leave_out import left_out, left_out_lines, require_numbers
from merpo.data.minari.arrow import read_arrow
from merpo.data.minari.files import MinariDataset, dataset_folder, minari_root, open_minari, require_id
from merpo.data.minari.hdf5 import read_hdf5
from merpo.data.minari.unused import unused_arrays
from merpo.data.reading.account import KEY as KEY_OF_ACCOUNT
from merpo.data.reading.choices import Choices
from merpo.data.reading.layout import Episodes, no_encoder
from merpo.data.reading.transitions import Origin, read_arrays
from merpo.data.reference_scores import KEY, minari_reference
from merpo.data.table_files import MAX_BYTES
from merpo.data.task_params import task_params
from merpo.errors import DatasetError, MerpoError
from merpo.recipe.sources import minari_place
from merpo.support.terminal import say
from merpo.types import Task

__all__ = ["SUBTRACTED", "TASK_KEY", "import_minari", "read_minari"]

TASK_KEY = "merpo_task"  # in a dataset's metadata: {"family": ..., "task": {...}}, as `merpo data export` writes it
SUBTRACTED = "subtracted"  # in the same place: numbers that were subtracted from the observations before the export
READERS = {"hdf5": read_hdf5, "arrow": read_arrow, "parquet": read_arrow}


def import_minari(
    ids: Sequence[str],
    collection: str | None = None,
    params: Mapping[str, Task] | None = None,
    family: str | None = None,
    ignore_env_spec: bool = False,
    note: Callable[[str], None] = say,
    reading: Columns | None = None,
    leave_out: Sequence[str] = (),
    leave_out_keys: Sequence[str] = (),
) -> list[str]:
    """Read, check and store datasets; returns the collections' names.

    Of `reading` the fields that are no names of columns apply, such as the bounds of actions. `leave_out` are episodes
    that are not read, `DATASET/NUMBER`; `leave_out_keys` are keys of dictionary observations.

    A dataset that is not on this machine is downloaded by Minari. Raises `DatasetError` for an invalid or unsafe one.
    """
    known = {text: minari_place(require_id(text)) for text in ids}
    names = [(text, name) for text, (_, name) in known.items()]
    tasks, without = task_params(params or {}, names, note), left_out(leave_out, names)
    imported: dict[tuple[str, str], list[Imported]] = {}
    for (text, (place, name)), given, episodes in zip(known.items(), tasks, without, strict=True):
        _ensure_local(text, note)
        dataset = open_minari(text, ignore_env_spec, leave_out_keys)
        recorded = dataset.metadata.get(TASK_KEY)
        recorded = recorded if isinstance(recorded, dict) else {}
        task = _recorded_task(recorded) if given is None else given  # {} is the task of a family with a single one
        task = {"minari": text, **_environment(dataset)} if task is None else task
        its_family = family or _family(recorded)
        one = read_minari(dataset, task, name, reading, episodes)
        reference = minari_reference(dataset.metadata, task, text, note)
        if reference is not None:
            one = one._replace(settings={**one.settings, KEY: reference.model_dump()})
        imported.setdefault((collection or place, its_family), []).append(one)
    for line in left_out_lines(list(known), without):
        note(f"minari: {line}")
    for (chosen, its_family), datasets in imported.items():
        store_imported(chosen, datasets, its_family, note)
    return list(dict.fromkeys(chosen for chosen, _ in imported))


def read_minari(
    dataset: MinariDataset, task: Task, name: str, reading: Columns | None = None, leave_out: Sequence[str] = ()
) -> Imported:
    """The episodes of a local dataset but those to leave out, actions scaled from their space's or the given bounds."""
    reader = READERS.get(dataset.format)
    if reader is None:
        path, known = dataset.folder / "metadata.json", ", ".join(READERS)
        raise DatasetError(f"{path}: data_format is {dataset.format!r:.40}, expected one of {known}")
    reading = reading or Columns()
    choices = _choices(dataset, reading)
    place = str(dataset.folder)
    episodes = Episodes(reader(dataset, require_numbers(leave_out, place)), _rows(dataset))
    origin = Origin(labels={"observations": _labels(dataset)}, unused=unused_arrays(dataset))
    try:
        data, account = read_arrays(episodes, choices, task=task, name=place, origin=origin)
    except MemoryError:
        raise DatasetError(f"{place}: does not fit into memory") from None
    account = account.model_copy(update={"subtracted": _total(_recorded_offsets(dataset), account.subtracted)})
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
        "action_low": choices.action_low,
        "action_high": choices.action_high,
        **({"left out": [*leave_out, *dataset.left_out]} if leave_out or dataset.left_out else {}),
        **kept,
        KEY_OF_ACCOUNT: account.model_dump(),
    }
    return Imported(replace(data, name=name), settings)


def _choices(dataset: MinariDataset, reading: Columns) -> Choices:
    """The user's decisions, with the bounds of the action space unless others are given.

    Raises `DatasetError` for infinite bounds, as scaling needs them, and for images.
    """
    path = dataset.folder / "metadata.json"
    images = [] if reading.flatten else [box for box in dataset.observations if box.image]
    if images:
        where = ".".join(("observation_space", *images[0].path))
        raise DatasetError(f"{path}: {where}: {no_encoder(images[0].image, images[0].dtype)}")
    low, high = ([number for box in dataset.actions for number in getattr(box, end)] for end in ("low", "high"))
    choices = reading.choices(_widths(dataset), str(path))
    if (choices.action_low is None) != (choices.action_high is None):
        raise DatasetError(f"{path}: got one of --action-low and --action-high, expected both")
    if choices.action_low is not None:
        return choices
    if any(not -1e30 < a < b < 1e30 for a, b in zip(low, high, strict=True)):
        raise DatasetError(
            f"{path}: action_space has bounds {low[:4]} and {high[:4]}, expected finite bounds; "
            "give those of the machine: --action-low NUMBERS --action-high NUMBERS"
        )
    return choices._replace(action_low=low, action_high=high)


def _rows(dataset: MinariDataset) -> int:
    """The number of observations by the metadata, which may be wrong; at most what may be in memory."""
    counts = [dataset.metadata.get(key) for key in ("total_steps", "total_episodes")]
    known = sum(count for count in counts if isinstance(count, int) and count > 0)
    return min(known, MAX_BYTES // (8 * sum(box.size for box in (*dataset.observations, *dataset.actions))))


def _widths(dataset: MinariDataset) -> dict[str, int]:
    """The boxes of observations by their names, and how many numbers each has."""
    return {".".join(box.path) or "observations": box.size for box in dataset.observations}


def _labels(dataset: MinariDataset) -> list[str]:
    """A name for each observation."""
    return [name if size == 1 else f"{name}[{i}]" for name, size in _widths(dataset).items() for i in range(size)]


def _family(recorded: Mapping[str, Any]) -> str:
    """The name of the task family recorded in the metadata, `LOGS` if none; it is not looked up here."""
    name = recorded.get("family")
    return name if isinstance(name, str) and re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) else LOGS


def _recorded_task(recorded: Mapping[str, Any]) -> Task | None:
    task = recorded.get("task")
    return task if isinstance(task, dict) else None


def _recorded_offsets(dataset: MinariDataset) -> tuple[float, ...]:
    """The numbers that were subtracted from the observations before their export, empty if none are recorded."""
    recorded = dataset.metadata.get(TASK_KEY)
    found = recorded.get(SUBTRACTED) if isinstance(recorded, dict) else None
    width = sum(box.size for box in dataset.observations)
    if not isinstance(found, list) or len(found) != width or not all(isinstance(one, int | float) for one in found):
        return ()
    return tuple(map(float, found))


def _total(before: tuple[float, ...], now: tuple[float, ...]) -> tuple[float, ...]:
    """The sum of two subtractions, each empty for none."""
    return tuple(map(sum, zip(before, now, strict=True))) if before and now else before or now


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
    if (dataset_folder(dataset_id) / "data" / "metadata.json").exists():
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
