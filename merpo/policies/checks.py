"""Checks of a policy's file beyond its format: numbers in the header, and weights."""

from __future__ import annotations

import re
from pathlib import Path

from merpo.data.normalize import NORMALIZATION
from merpo.errors import ArtifactError
from merpo.lazy import torch
from merpo.types import Params

__all__ = ["check_weights", "checked_normalization", "header_dims", "header_seed"]

MAX_DIM = 1_000_000  # of observations or actions
_DIM = r"[1-9][0-9]{0,6}"
_SEED = r"0|[1-9][0-9]{0,18}"


def header_dims(path: Path, header: dict[str, str]) -> tuple[int, int]:
    """(observation, action) dims; raises `ArtifactError` for anything but plain digits of a possible size."""
    found = [header.get(key, "") for key in ("observation_dim", "action_dim")]
    if not all(re.fullmatch(_DIM, text) and int(text) <= MAX_DIM for text in found):
        shown = ", ".join(f"{text!r:.40}" for text in found)
        raise ArtifactError(
            f"{path}: (observation, action) dims in the header are {shown}, expected integers from 1 to {MAX_DIM}"
        )
    return int(found[0]), int(found[1])


def header_seed(path: Path, header: dict[str, str]) -> int:
    """The run's seed; 0 where the header has none."""
    text = header.get("seed", "0")
    if not re.fullmatch(_SEED, text):
        raise ArtifactError(f"{path}: the seed in the header is {text!r:.40}, expected an integer >= 0")
    return int(text)


def check_weights(place: object, policy: Params) -> None:
    """Raise `ArtifactError` for weights of another type than merpo computes with, and for one that is not finite."""
    for name, value in policy.items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ArtifactError(f"{place}: the weights {name!r:.80} are {value.dtype}, expected torch.float32")
        bad = ~value.isfinite()
        if bool(bad.any()):
            raise ArtifactError(
                f"{place}: {int(bad.sum())} of {value.numel()} numbers of the weights {name!r:.80} are not finite, "
                "expected finite numbers: damaged, or from training that diverged"
            )


def checked_normalization(path: Path, group: Params, tasks: int, observation_dim: int) -> Params:
    """The group `normalization`, checked for T tasks and O observation dims; it may be empty."""
    if not group:
        return {}
    allowed = [(observation_dim,), (tasks, observation_dim)]
    shapes = {key: tuple(value.shape) for key, value in group.items()}
    if set(group) != {"mean", "std"} or any(shape not in allowed for shape in shapes.values()):
        raise ArtifactError(f"{path}: {NORMALIZATION} has {shapes}, expected mean and std of shape {allowed}")
    check_weights(f"{path}: {NORMALIZATION}", group)
    if bool((group["std"] < 0).any()):
        raise ArtifactError(f"{path}: {NORMALIZATION}: expected std >= 0")
    return dict(group)
