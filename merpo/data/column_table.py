"""Statistics of every column of imported data, with the names that the file gave them."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.data.catalog import DatasetEntry
from merpo.data.coverage import column_names
from merpo.data.store import read_dataset
from merpo.lazy import torch
from merpo.support.format import share
from merpo.support.tables import aligned

__all__ = ["column_lines"]

HEAD = ("column", "mean", "std", "min", "max", "")


def column_lines(found: Sequence[DatasetEntry]) -> list[str]:
    """A line per observation, action and reward over all rows of datasets of equal dims, as they are stored."""
    manifest = found[0].manifest()
    names = column_names(manifest.settings, manifest.observation_dim, manifest.action_dim)
    every = [read_dataset(entry.folder, entry.name)[0] for entry in found]
    rows = torch.cat([torch.cat([d.observations, d.actions, d.rewards[:, None]], 1) for d in every]).double()
    figures = (rows.mean(0), rows.std(0, correction=0), rows.amin(0), rows.amax(0))
    cells = [HEAD]
    for name, *numbers in zip(names, *(figure.tolist() for figure in figures), strict=True):
        _, std, low, high = numbers
        note = "constant" if high - low <= 1e-6 * max(abs(low), abs(high)) else ""
        cells.append((name, *(f"{number:.5g}" for number in (numbers[0], std, low, high)), note))
    episodes = sum(len(data.episode_offsets) - 1 for data in every)
    ends = sum(float(data.terminations.sum()) for data in every)
    size = f"{len(every)} datasets, {len(rows):,} transitions in {episodes:,} episodes, {share(ends / episodes)} of "
    return [f"{size}them ended early; actions are scaled to [-1, 1]", *aligned(cells, right=(1, 2, 3, 4))]
