"""`merpo export`: adapted policies as separate files, each compared with the original after writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from merpo.artifacts.artifact import save_artifact
from merpo.data.normalize import NORMALIZATION
from merpo.errors import ArtifactError, MerpoError, nearest
from merpo.lazy import np, torch
from merpo.policies.policy import load_policy
from merpo.policies.saved import SavedPolicies, from_saved, read_policies

__all__ = ["FORMATS", "TOLERANCE", "Exported", "export_policies"]

FORMATS = {"safetensors": ".safetensors", "onnx": ".onnx"}
TOLERANCE = 1e-5  # of actions in [-1, 1]; float32 sums in another order differ by about 1e-7
SCALES, ROWS = (0.1, 1.0, 3.0), 256  # scales of the observations for the comparison, and rows at each


class Exported(NamedTuple):
    """An exported file, and the largest difference of its actions from the original's."""

    task: str
    path: Path
    size: int  # bytes
    difference: float


def export_policies(
    source: Path, out: Path, form: str, tasks: Sequence[int] = (), tolerance: float = TOLERANCE, trust: bool = False
) -> list[Exported]:
    """Write one file per task (`tasks` by index, all if empty) and compare each with the original.

    With `trust`, policies are read that are not those of their run's manifest.

    Raises `MerpoError` for an unknown format or task; `ArtifactError`, without deleting the files, if an exported
    policy's action differs by more than `tolerance`.
    """
    if form not in FORMATS:
        raise MerpoError(f"format: got {form!r:.60}{nearest(form, FORMATS)}, expected one of: {', '.join(FORMATS)}")
    saved = read_policies(source, trust)
    chosen = [saved.one(index) for index in tasks or [task.index for task in saved.tasks]]
    write = _writer(saved, form)
    done = []
    for one in chosen:
        path = out / f"{one.tasks[0].name}{FORMATS[form]}"
        write(one, path)
        done.append(Exported(one.tasks[0].name, path, path.stat().st_size, _difference(one, path)))
    worst = max(done, key=lambda exported: exported.difference)
    if not worst.difference <= tolerance:  # also true for NaN
        raise ArtifactError(
            f"{worst.path}: an action differs from the original's by {worst.difference:.2e}, "
            f"expected at most {tolerance:g}"
        )
    return done


def _writer(saved: SavedPolicies, form: str) -> Callable[[SavedPolicies, Path], None]:
    if form == "onnx":
        from merpo.policies.onnx import onnx_writer

        return onnx_writer(saved)
    return _write_safetensors


def _write_safetensors(one: SavedPolicies, path: Path) -> None:
    """Write an artifact with one policy, which `read_policies` reads without the run."""
    groups = {"policy": one.policy, **({NORMALIZATION: one.normalization} if one.normalization else {})}
    save_artifact(path, groups, {"stage": "policy", **one.header()})


def _difference(one: SavedPolicies, path: Path) -> float:
    """The largest difference of an action, at random observations around the mean of the normalisation."""
    unit = torch.randn(ROWS, one.observation_dim, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([scale * unit for scale in SCALES])
    if one.normalization:
        rows = one.normalization["mean"].reshape(-1) + one.normalization["std"].reshape(-1) * rows
    expected, found = from_saved(one)(rows), load_policy(path)(rows)
    return float(np.abs(expected - found).max())
