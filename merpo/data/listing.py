"""Terminal output of `merpo data`: collections, datasets, returns by quality, verification."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from merpo.components.describe import value_text
from merpo.data.catalog import DatasetEntry, collections, entries, find, verify
from merpo.data.column_table import column_lines
from merpo.data.import_summary import account_rows
from merpo.data.manifest import Manifest, read_manifest
from merpo.data.places import CURVE, CURVE_PICTURE, data_path, manifest_path, store_root
from merpo.data.reading.account import KEY
from merpo.errors import DatasetError
from merpo.recipe.sections import QUALITIES
from merpo.support.format import number, share
from merpo.support.paths import inside
from merpo.support.tables import aligned
from merpo.support.tensors import sum_of
from merpo.support.terminal import printable, say

__all__ = [
    "QualityRow",
    "imported",
    "print_collections",
    "print_columns",
    "print_entries",
    "print_entry",
    "print_qualities",
    "print_snippet",
    "quality_lines",
    "quality_rows",
    "verify_all",
]


def print_collections() -> None:
    """Print a line per collection: number of datasets, families, qualities and size."""
    names = collections()
    if not names:
        say(f"{store_root()}: no data yet; add some with merpo data import or merpo collect RECIPE")
        return
    rows = [("collection", "datasets", "family", "quality", "transitions", "MB")]
    for name in names:
        manifests = [manifest for entry in entries(name) if (manifest := _readable(entry)) is not None]
        rows.append(
            (
                name,
                str(len(manifests)),
                _distinct(manifest.family for manifest in manifests),
                _distinct(manifest.quality for manifest in manifests),
                f"{sum(manifest.transitions for manifest in manifests):,}",
                f"{sum(manifest.size for manifest in manifests) / 1e6:.1f}",
            )
        )
    say("\n".join(aligned(rows, right=(1, 4, 5))))


def print_entries(collection: str) -> None:
    """Print a line per dataset of a collection."""
    rows = [("dataset", "quality", "transitions", "episodes", "mean return", "task")]
    for entry in entries(collection):
        try:
            manifest = entry.manifest()
        except DatasetError as error:
            rows.append((entry.name, "damaged", "", "", "", printable(str(error))[:120]))
            continue
        size = f"{manifest.transitions:,}", f"{manifest.episodes:,}", number(manifest.behavior.return_mean)
        rows.append((entry.name, manifest.quality, *size, value_text(manifest.task)))
    say("\n".join(aligned(rows, right=(2, 3, 4))))


def print_entry(entry: DatasetEntry) -> None:
    """Print the contents of a dataset's manifest."""
    manifest = entry.manifest()
    behavior = manifest.behavior
    lines = {
        "family": manifest.family,
        "task": value_text(manifest.task),
        "quality": manifest.quality,
        "behaviour policy": behavior.checkpoint or "not stored",
        "return": f"{number(behavior.return_mean)} ± {number(behavior.return_std)} (mean ± std over episodes)",
        **account_rows(manifest.settings),
        "transitions": f"{manifest.transitions:,} in {manifest.episodes:,} episodes",
        "dims": f"observations {manifest.observation_dim}, actions {manifest.action_dim}",
        **{
            f"from {key}": _setting_text(value)
            for key, value in manifest.settings.items()
            if value is not None and key != KEY
        },
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
        "sha256": manifest.sha256,
    }
    say(str(entry))
    width = max(map(len, lines))
    for key, value in lines.items():
        say(f"  {key:<{width}}  {printable(value)}")


def imported(found: Sequence[DatasetEntry]) -> list[DatasetEntry]:
    """Those of the datasets that were imported rather than collected."""
    return [entry for entry in found if entry.manifest().quality == "imported"]


def print_columns(found: Sequence[DatasetEntry]) -> None:
    """Print the statistics of the columns of each collection's datasets, those of other dims on their own."""
    groups: dict[tuple[str, int, int], list[DatasetEntry]] = {}
    for entry in found:
        manifest = entry.manifest()
        groups.setdefault((entry.collection, manifest.observation_dim, manifest.action_dim), []).append(entry)
    for (collection, *_), entries_alike in groups.items():
        lines = column_lines(entries_alike)
        say("\n".join([f"{collection}: {lines[0]}", *map(printable, lines[1:])]))


def print_qualities(found: Sequence[DatasetEntry]) -> None:
    """Print each collection's returns by quality and the paths of its learning curve."""
    for collection in dict.fromkeys(entry.collection for entry in found):
        own = [entry for entry in found if entry.collection == collection]
        folder = own[0].folder
        lines = [f"\n{collection}:", *quality_lines(folder, [entry.name for entry in own])]
        curves = [inside(folder, name) for name in (CURVE, CURVE_PICTURE)]
        lines += [f"learning curve: {path}" for path in curves if path.exists()]
        say("\n".join(lines))


def print_snippet(found: Sequence[DatasetEntry]) -> None:
    """Print the lines by which a recipe refers to these datasets."""
    manifest = found[0].manifest()
    say("\nin a recipe:\n[data]\ntrain = [" + ", ".join(f'"store:{name}"' for name in _source_names(found)) + "]")
    if manifest.family == "logs":
        dims = f"observation_dim = {manifest.observation_dim}\naction_dim = {manifest.action_dim}"
        say(f'[tasks]\ncomponent = "logs"\n{dims}')


def verify_all(names: Sequence[str]) -> None:
    """Verify all datasets, with a printed line for each; raises `DatasetError` at the end if any is damaged."""
    damaged = []
    for name in names:
        for entry in find(name):
            try:
                manifest = verify(entry)
                say(f"ok       {entry}  {manifest.transitions:,} transitions")
            except DatasetError as error:
                damaged.append(str(entry))
                say(f"damaged  {entry}  {printable(str(error))}")
    if damaged:
        raise DatasetError(f"{len(damaged)} datasets are damaged, the first is {damaged[0]}")


def _setting_text(value: object) -> str:
    """A settings value as text, cut after 400 characters."""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_setting_text(item)}" for key, item in value.items() if item is not None)[:400]
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:400]


def _source_names(found: Sequence[DatasetEntry]) -> list[str]:
    """The datasets' names in the store; a collection's name alone where all of its datasets are listed."""
    names: list[str] = []
    for collection in dict.fromkeys(entry.collection for entry in found):
        own = [entry for entry in found if entry.collection == collection]
        names += [collection] if len(own) == len(entries(collection)) else [str(entry) for entry in own]
    return names


def _readable(entry: DatasetEntry) -> Manifest | None:
    """The manifest, or None if it is damaged."""
    try:
        return entry.manifest()
    except DatasetError:
        return None


def _distinct(values: Iterable[str]) -> str:
    """The distinct values, sorted and separated by commas."""
    return ", ".join(sorted(set(values))) or "-"


HEAD = ("task", "quality", "checkpoint", "return", "±", "episode length", "ended early")


class QualityRow(NamedTuple):
    """Returns and episode lengths of one dataset."""

    task: str
    quality: str
    step: int  # training environment steps of the behaviour policy
    return_mean: float  # over the dataset's episodes
    return_std: float
    length: float  # mean steps per episode
    ended: float | None  # fraction of episodes that terminated before the time limit; None if the file is unreadable


def quality_rows(folder: Path, names: Sequence[str]) -> list[QualityRow]:
    """A row for each dataset of a collection with a valid manifest, sorted by task and then by quality."""
    rows = []
    for name in names:
        try:
            manifest = read_manifest(manifest_path(folder, name))
        except DatasetError:  # reported by `merpo data verify`
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


def quality_lines(folder: Path, names: Sequence[str], max_rows: int | None = None) -> list[str]:
    """The table of returns with the mean over tasks per quality; only the means if it has over `max_rows` datasets."""
    rows = quality_rows(folder, names)
    if not rows:
        return []
    short = max_rows is not None and len(rows) > max_rows
    cells = [HEAD, *([] if short else map(_cells, rows))]
    for quality in dict.fromkeys(row.quality for row in sorted(rows, key=lambda row: row.step)):
        same = [row for row in rows if row.quality == quality]
        if len(same) > 1:
            cells.append(_mean_cells(same))
    lines = aligned(cells, right=(2, 3, 4, 5, 6))
    untrained = sorted({row.task for row in rows if row.quality in {"medium", "expert"} and row.step == 0})
    if untrained:
        lines.append(
            f"{len(untrained)} tasks without a checkpoint better than the untrained policy, the first is "
            f"{untrained[0]}: SAC did not improve on it; try more collect.steps"
        )
    if short:
        lines.append(f"merpo data show {folder.name} lists every task")
    return lines


def _cells(row: QualityRow) -> tuple[str, ...]:
    step = "all" if row.quality == "mixed" else f"{row.step:,}"
    numbers = number(row.return_mean), number(row.return_std), f"{row.length:.1f}"
    return row.task, row.quality, step, *numbers, "-" if row.ended is None else share(row.ended)


def _mean_cells(rows: Sequence[QualityRow]) -> tuple[str, ...]:
    """The row of means over tasks; its ± is the mean of the tasks' standard deviations."""
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
    """The number of terminations in a dataset's file, of which only that array is read; None if unreadable."""
    try:
        return sum_of(path, "terminations")
    except (OSError, ValueError):
        return None
