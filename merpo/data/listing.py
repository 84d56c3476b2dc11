"""`merpo data` on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from merpo.components.describe import value_text
from merpo.data.catalog import Entry, collections, entries, find, verify
from merpo.data.manifest import Manifest, read_manifest
from merpo.data.places import CURVE, CURVE_PICTURE, data_path, manifest_path, store_root
from merpo.errors import DatasetError
from merpo.recipe.sections import QUALITIES
from merpo.support.format import number
from merpo.support.tables import aligned, printable

__all__ = [
    "QualityRow",
    "print_collections",
    "print_entries",
    "print_entry",
    "print_qualities",
    "print_snippet",
    "quality_lines",
    "quality_rows",
    "verify_all",
]


def print_collections() -> None:
    """A line per collection: how many datasets, of which family and qualities, how large."""
    names = collections()
    if not names:
        print(f"{store_root()}: no data yet; merpo data import, or merpo collect RECIPE")
        return
    rows = [("collection", "datasets", "family", "quality", "transitions", "MB")]
    for name in names:
        there = [manifest for entry in entries(name) if (manifest := _readable(entry)) is not None]
        rows.append(
            (
                name,
                str(len(there)),
                _words(manifest.family for manifest in there),
                _words(manifest.quality for manifest in there),
                f"{sum(manifest.transitions for manifest in there):,}",
                f"{sum(manifest.size for manifest in there) / 1e6:.1f}",
            )
        )
    print("\n".join(aligned(rows, right=(1, 4, 5))))


def print_entries(collection: str) -> None:
    """A line per dataset of a collection."""
    rows = [("dataset", "quality", "transitions", "episodes", "mean return", "task")]
    for entry in entries(collection):
        try:
            manifest = entry.manifest()
        except DatasetError as error:
            rows.append((entry.name, "damaged", "", "", "", printable(str(error))[:120]))
            continue
        size = f"{manifest.transitions:,}", f"{manifest.episodes:,}", number(manifest.behavior.return_mean)
        rows.append((entry.name, manifest.quality, *size, value_text(manifest.task)))
    print("\n".join(aligned(rows, right=(2, 3, 4))))


def print_entry(entry: Entry) -> None:
    """Everything that a dataset's manifest says."""
    manifest = entry.manifest()
    behavior = manifest.behavior
    lines = {
        "family": manifest.family,
        "task": value_text(manifest.task),
        "quality": manifest.quality,
        "behaviour policy": behavior.checkpoint or "not kept",
        "return": f"{number(behavior.return_mean)} ± {number(behavior.return_std)} (mean and deviation of episodes)",
        "transitions": f"{manifest.transitions:,} in {manifest.episodes:,} episodes",
        "dims": f"observations {manifest.observation_dim}, actions {manifest.action_dim}",
        **{f"from {key}": _whole(value) for key, value in manifest.settings.items() if value is not None},
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
        "sha256": manifest.sha256,
    }
    print(entry)
    width = max(map(len, lines))
    for key, value in lines.items():
        print(f"  {key:<{width}}  {printable(value)}")


def print_qualities(found: Sequence[Entry]) -> None:
    """What return the datasets of each collection reached, and where its learning curve is."""
    for collection in dict.fromkeys(entry.collection for entry in found):
        own = [entry for entry in found if entry.collection == collection]
        folder = own[0].folder
        lines = [f"\n{collection}:", *quality_lines(folder, [entry.name for entry in own])]
        lines += [f"learning curve: {path}" for name in (CURVE, CURVE_PICTURE) if (path := folder / name).exists()]
        print("\n".join(lines))


def print_snippet(found: Sequence[Entry]) -> None:
    """How a recipe names these datasets."""
    manifest = found[0].manifest()
    print("\nin a recipe:\n[data]\ntrain = [" + ", ".join(f'"store:{name}"' for name in _shortest(found)) + "]")
    if manifest.family == "logs":
        dims = f"observation_dim = {manifest.observation_dim}\naction_dim = {manifest.action_dim}"
        print(f'[tasks]\ncomponent = "logs"\n{dims}')


def verify_all(names: Sequence[str]) -> None:
    """A line per dataset, all of them; then `DatasetError` if any is damaged."""
    damaged = []
    for name in names:
        for entry in find(name):
            try:
                manifest = verify(entry)
                print(f"ok       {entry}  {manifest.transitions:,} transitions")
            except DatasetError as error:
                damaged.append(str(entry))
                print(f"damaged  {entry}  {printable(str(error))}")
    if damaged:
        raise DatasetError(f"{len(damaged)} datasets are damaged, the first is {damaged[0]}")


def _whole(value: object) -> str:
    """A value of the settings, at most 400 characters."""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_whole(item)}" for key, item in value.items() if item is not None)[:400]
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:400]


def _shortest(found: Sequence[Entry]) -> list[str]:
    """A collection by its name where all of it is meant."""
    names: list[str] = []
    for collection in dict.fromkeys(entry.collection for entry in found):
        own = [entry for entry in found if entry.collection == collection]
        names += [collection] if len(own) == len(entries(collection)) else [str(entry) for entry in own]
    return names


def _readable(entry: Entry) -> Manifest | None:
    try:
        return entry.manifest()
    except DatasetError:
        return None


def _words(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "-"


HEAD = ("task", "quality", "checkpoint", "return", "±", "episode length", "ended early")


class QualityRow(NamedTuple):
    """One dataset."""

    task: str
    quality: str
    step: int  # after which the behaviour policy was taken, in environment steps of its training
    return_mean: float  # of the dataset's episodes
    return_std: float
    length: float  # mean steps of an episode
    ended: float | None  # share of episodes that ended before time cut them; None where the file cannot be read


def quality_rows(folder: Path, names: Sequence[str]) -> list[QualityRow]:
    """A row for each of a collection's datasets whose manifest is whole, by task and then by quality."""
    rows = []
    for name in names:
        try:
            manifest = read_manifest(manifest_path(folder, name))
        except DatasetError:  # `merpo data verify` says why
            continue
        behavior, length = manifest.behavior, manifest.transitions / manifest.episodes
        ended = _terminations(data_path(folder, name))
        rows.append(
            QualityRow(
                name.removesuffix(f".{manifest.quality}"),
                manifest.quality,
                behavior.step,
                behavior.return_mean,
                behavior.return_std,
                length,
                None if ended is None else ended / manifest.episodes,
            )
        )
    rank = {quality: place for place, quality in enumerate(QUALITIES)}
    return sorted(rows, key=lambda row: (row.task, rank.get(row.quality, len(rank)), row.quality))


def quality_lines(folder: Path, names: Sequence[str], most: int | None = None) -> list[str]:
    """The table, with the means over the tasks of each quality; of more than `most` datasets the means alone."""
    rows = quality_rows(folder, names)
    if not rows:
        return []
    short = most is not None and len(rows) > most
    cells = [HEAD, *([] if short else map(_cells, rows))]
    for quality in dict.fromkeys(row.quality for row in sorted(rows, key=lambda row: row.step)):
        same = [row for row in rows if row.quality == quality]
        if len(same) > 1:
            cells.append(_mean_cells(same))
    lines = aligned(cells, right=(2, 3, 4, 5, 6))
    unlearnt = sorted({row.task for row in rows if row.quality in {"medium", "expert"} and row.step == 0})
    if unlearnt:
        lines.append(
            f"{len(unlearnt)} tasks without a checkpoint better than the untrained policy, the first is {unlearnt[0]}: "
            "SAC has not learnt there; it may need more collect.steps"
        )
    if short:
        lines.append(f"merpo data show {folder.name} has the tasks one by one")
    return lines


def _cells(row: QualityRow) -> tuple[str, ...]:
    step = "all" if row.quality == "mixed" else f"{row.step:,}"
    numbers = number(row.return_mean), number(row.return_std), f"{row.length:.1f}"
    return row.task, row.quality, step, *numbers, "-" if row.ended is None else f"{row.ended:.0%}"


def _mean_cells(rows: Sequence[QualityRow]) -> tuple[str, ...]:
    """The mean over tasks; its ± is the mean deviation within a task."""
    known = [row.ended for row in rows if row.ended is not None]
    mean = QualityRow(
        f"mean of {len(rows)}",
        rows[0].quality,
        round(fmean(row.step for row in rows)),
        fmean(row.return_mean for row in rows),
        fmean(row.return_std for row in rows),
        fmean(row.length for row in rows),
        fmean(known) if known else None,
    )
    return _cells(mean)


def _terminations(path: Path) -> float | None:
    """How many rows of a dataset truly ended an episode; nothing else of the file is read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return float(file.get_tensor("terminations").sum())
    except (SafetensorError, OSError, ValueError, TypeError):
        return None
