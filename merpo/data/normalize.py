"""Normalisation of observations: fitted on training data, stored with the artifacts, applied to every observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merpo.components.task_data import TaskData
from merpo.data.dataset import TaskDataset
from merpo.errors import ArtifactError, DatasetError, PluginError
from merpo.lazy import torch
from merpo.nn.scale import divisor
from merpo.types import Normalization, Params, Terminated

__all__ = ["NORMALIZATION", "fit_normalization", "normalize_tasks", "split_normalization", "with_normalization"]

NORMALIZATION = "normalization"  # the group of an artifact that holds `mean` and `std` of observations


def fit_normalization(datasets: Sequence[TaskDataset]) -> Normalization:
    """Mean and standard deviation [O] over all rows of several tasks' data.

    The std of a (nearly) constant dim follows its size (`divisor`), so that a task where it differs does not explode.
    Raises `DatasetError` if there is no dataset.
    """
    if not datasets:
        raise DatasetError("no datasets: at least one is needed to normalise observations")
    rows = sum(len(data) for data in datasets)
    mean = _total([data.observations.double().sum(0) for data in datasets]) / rows
    square = _total([(data.observations.double() - mean).square().sum(0) for data in datasets]) / rows
    largest = torch.stack([data.observations.abs().amax(0) for data in datasets]).amax(0).double()
    std = square.sqrt()
    kind = datasets[0].observations.dtype
    return Normalization(mean.to(kind), divisor(std, largest).to(kind))


def normalize_tasks(normalization: Normalization, data: TaskData) -> TaskData:
    """The same tasks with normalised observations; their termination function gets raw observations as before."""
    local = normalization.to(data.rows.device)
    o, a = data.spec.observation_dim, data.spec.action_dim
    rows = data.rows.clone()
    for start in (0, o + a + 1):  # s and s'
        rows[:, start : start + o] = local.apply(rows[:, start : start + o])
    raw = data.spec.terminated
    terminated = None if raw is None else _on_normalized(raw, local)
    return data._replace(rows=rows, spec=data.spec._replace(terminated=terminated, normalization=local))


def _on_normalized(raw: Terminated, normalization: Normalization) -> Terminated:
    """A termination function of normalised observations, from one of raw observations."""

    def terminated(observations: torch.Tensor, actions: torch.Tensor, next_observations: torch.Tensor) -> torch.Tensor:
        return raw(normalization.undo(observations), actions, normalization.undo(next_observations))

    return terminated


def with_normalization(groups: Mapping[str, Params], normalization: Normalization | None) -> dict[str, Params]:
    """The groups of an artifact, with the normalisation added if there is one."""
    if normalization is None:
        return dict(groups)
    if groups.get(NORMALIZATION):
        raise PluginError(
            f"the method's artifacts already have a group {NORMALIZATION!r}; set data.normalize_observations = false"
        )
    return {**groups, NORMALIZATION: normalization._asdict()}


def split_normalization(
    groups: Mapping[str, Params], normalized: bool, place: object
) -> tuple[dict[str, Params], Normalization | None]:
    """The inverse of `with_normalization`; `normalized` is the recipe's `data.normalize_observations`.

    Raises `ArtifactError` if the normalisation is missing although `normalized` is true.
    """
    if not normalized:
        return dict(groups), None
    found = groups.get(NORMALIZATION, {})
    if set(found) != {"mean", "std"}:
        raise ArtifactError(f"{place}: {NORMALIZATION} holds {sorted(found)!s:.80}, expected mean and std")
    rest = {name: group for name, group in groups.items() if name != NORMALIZATION}
    return rest, Normalization(**found)


def _total(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(parts)).sum(0)
