"""How good collected data is: returns, lengths and ends of every dataset's episodes, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from merpo.data.manifest import read_manifest
from merpo.data.places import data_path, manifest_path
from merpo.errors import DatasetError
from merpo.recipe.sections import QUALITIES
from merpo.support.format import number
from merpo.support.tables import aligned

__all__ = ["QualityRow", "quality_lines", "quality_rows"]

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
