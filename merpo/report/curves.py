"""Curves of α, λ, β and the Q-gap for a report: over meta-training as bands over tasks, over adaptation per task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch

    from merpo.support.metrics import Record

__all__ = ["Band", "DualCurves", "PerTask", "bands", "per_task"]

Numbers: TypeAlias = "list[float | None]"  # None: not finite


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Band(_Model):
    """A quantity over meta-training: its mean, minimum and maximum over tasks at each of `steps`."""

    steps: list[int]
    mean: Numbers
    low: Numbers
    high: Numbers


class PerTask(_Model):
    """A quantity over adaptation: `values[i][t]` after `steps[i]` steps on task t."""

    steps: list[int]
    values: list[Numbers]


class DualCurves(_Model):
    """α, λ, β and the Q-gap, under the names alpha, lambda, beta and q_gap."""

    training: dict[str, Band] = {}
    adaptation: dict[str, PerTask] = {}


def bands(
    records: Iterable[Record], stage: str, names: Sequence[str] = ("alpha", "lambda", "beta", "q_gap")
) -> dict[str, Band]:
    """`DualCurves.training` from `read_metrics`: bands of `names` that a stage logged, per task or as one number."""
    rows = [(record.step, _renamed(record.metrics)) for record in records if record.stage == stage]
    found: dict[str, Band] = {}
    for name in names:
        having = [(step, row) for step, row in rows if name in row or f"{name}/mean" in row]
        if having:
            mean, low, high = (
                [row.get(f"{name}/{part}", row.get(name)) for _, row in having] for part in ("mean", "min", "max")
            )
            found[name] = Band(steps=[step for step, _ in having], mean=mean, low=low, high=high)
    return found


def per_task(curves: Mapping[str, torch.Tensor], most: int = 400) -> dict[str, PerTask]:
    """Curves [step, task] for `DualCurves.adaptation`, thinned to at most `most` steps; others are left out."""
    found: dict[str, PerTask] = {}
    for name, curve in curves.items():
        if curve.dim() == 2 and curve.shape[0] > 0:
            steps = list(range(0, curve.shape[0], -(-curve.shape[0] // most)))
            rows = curve[steps].double().tolist()
            values = [[x if math.isfinite(x) else None for x in row] for row in rows]
            found[_plain(name)] = PerTask(steps=[step + 1 for step in steps], values=values)
    return found


def _plain(name: str) -> str:
    """`lambda` for `lambda_`, which has an underscore as `lambda` is a keyword."""
    return name.replace("lambda_", "lambda")


def _renamed(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    return {_plain(name): value for name, value in metrics.items()}
