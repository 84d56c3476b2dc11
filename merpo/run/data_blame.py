"""Which data a loss that is not finite comes from: the dataset of its task, and the most extreme value there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from merpo.data.coverage import column_names
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.reading.extremes import Extreme, most_extreme
from merpo.errors import TrainingError

__all__ = ["naming_data"]


@contextmanager
def naming_data(loaded: Sequence[tuple[TaskDataset, Manifest]]) -> Iterator[None]:
    """Add the dataset, and its most extreme value, to a `TrainingError` about one of these tasks in the block.

    Where the error names no task, the dataset with the most extreme value is named, if there is any.
    """
    try:
        yield
    except TrainingError as error:
        raise TrainingError(f"{error}{_blame(error.task, loaded)}", error.task) from error


def _blame(task: int | None, loaded: Sequence[tuple[TaskDataset, Manifest]]) -> str:
    """The end of the message, empty if nothing is known."""
    if task is not None:
        if not 0 <= task < len(loaded):
            return ""
        data, manifest = loaded[task]
        extreme = most_extreme(data)
        return f"; its data is {data.name}{'' if extreme is None else f', where {_text(extreme, manifest)}'}"
    found = [(extreme, data, manifest) for data, manifest in loaded if (extreme := most_extreme(data)) is not None]
    if not found:
        return ""
    extreme, data, manifest = max(found, key=lambda each: abs(each[0].value))
    return f"; the most extreme value is in {data.name}, where {_text(extreme, manifest)}"


def _text(extreme: Extreme, manifest: Manifest) -> str:
    names = column_names(manifest.settings, manifest.observation_dim, manifest.action_dim)
    name = "reward" if extreme.key == "rewards" else names[extreme.column]
    if extreme.key == "next_observations":
        name = f"the next {name}"
    return f"{name} is {extreme.value:.5g} at row {extreme.row} of the dataset (its median is {extreme.median:.5g})"
