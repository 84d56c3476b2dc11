"""`merpo export`: adapted policies as separate files, each compared with the original after writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.artifacts.artifact import save_artifact
from merpo.data.normalize import NORMALIZATION
from merpo.errors import ArtifactError, MerpoError, nearest
from merpo.lazy import np, torch
from merpo.policies.onnx_names import ACTION, IN_UNITS, OPSET
from merpo.policies.policy import load_policy
from merpo.policies.readme import Described, write_readme
from merpo.policies.saved import SavedPolicies, from_saved, read_policies
from merpo.policies.task_name import TaskName
from merpo.support.paths import inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from merpo.policies.onnx import OnnxPolicy

__all__ = ["FORMATS", "TOLERANCE", "Exported", "export_policies"]

FORMATS = {"safetensors": ".safetensors", "onnx": ".onnx"}
TOLERANCE = 1e-5  # of actions in [-1, 1]; float32 sums in another order differ by about 1e-7
SCALES, ROWS = (0.1, 1.0, 3.0), 256  # scales of the observations for the comparison, and rows at each
BATCHES = 1, 3, 7  # rows of further observations, each compared at once: a graph may be right for one size only
FLOAT = 1.2e-7  # relative precision of float32


class Exported(NamedTuple):
    """An exported file, and the largest difference of its actions from the original's."""

    task: str
    path: Path
    size: int  # bytes
    difference: float
    in_units: bool  # whether the file has the bounds of the data's actions


def export_policies(
    source: Path,
    out: Path,
    form: str,
    tasks: Sequence[int] = (),
    tolerance: float = TOLERANCE,
    opset: int | None = None,
    allow_non_finite: bool = False,
    trust: bool = False,
) -> list[Exported]:
    """Write one file per task (`tasks` by index, all if empty), compare each with the original, and describe them.

    `opset` is that of ONNX, by default 17; with `allow_non_finite` an ONNX graph computes something for observations
    that are not finite, instead of NaN. `README.md` is written beside the files, unless there is one of somebody else.
    With `trust`, policies are read that are not those of their run's manifest.

    Raises `MerpoError` for an unknown format, task or opset; `ArtifactError`, without deleting the files, if an
    exported policy's action differs by more than `tolerance`.
    """
    if form not in FORMATS:
        raise MerpoError(f"format: got {form!r:.60}{nearest(form, FORMATS)}, expected one of: {', '.join(FORMATS)}")
    if form != "onnx" and (opset is not None or allow_non_finite):
        raise MerpoError("opset and allow_non_finite: are of ONNX graphs, expected --format onnx with them")
    saved = read_policies(source, trust)
    chosen = [saved.one(index) for index in tasks or [task.index for task in saved.tasks]]
    write = _writer(form, OPSET if opset is None else opset, allow_non_finite)
    done, files = [], []
    for one in chosen:
        task = one.tasks[0]
        path = _path(out, task, FORMATS[form], source)
        write(one, path)
        difference = _difference(one, path, guarded=not allow_non_finite)
        done.append(Exported(task.name, path, path.stat().st_size, difference, task.units is not None))
        files.append(Described(path.relative_to(out).as_posix(), one))
    worst = max(done, key=lambda exported: exported.difference)
    if worst.difference > tolerance:
        raise ArtifactError(
            f"{worst.path}: an action differs from the original's by {worst.difference:.2e}, "
            f"expected at most {tolerance:g}"
        )
    write_readme(out, files, allow_non_finite)
    return done


def _path(out: Path, task: TaskName, suffix: str, source: Path) -> Path:
    """The file of a task's policy: data of the store is named `collection/dataset`, and exported into a subfolder."""
    *folders, name = task.name.split("/")
    what = f"{source}: the name of task {task.index}"
    return inside(out, *folders, f"{name}{suffix}", what=what, error=ArtifactError)


def _writer(form: str, opset: int, allow_non_finite: bool) -> Callable[[SavedPolicies, Path], None]:
    if form == "onnx":
        from merpo.policies.onnx_export import onnx_writer

        return onnx_writer(opset, allow_non_finite)
    return _write_safetensors


def _write_safetensors(one: SavedPolicies, path: Path) -> None:
    """Write an artifact with one policy, which `read_policies` reads without the run."""
    groups = {"policy": one.policy, **({NORMALIZATION: one.normalization} if one.normalization else {})}
    save_artifact(path, groups, {"stage": "policy", **one.header()})


def _difference(one: SavedPolicies, path: Path, guarded: bool) -> float:
    """The largest difference of an action at random observations, in batches of several sizes.

    The outputs of an ONNX graph are compared as a server gets them, those in units relative to half of their range.
    """
    original = from_saved(one)
    if path.suffix != FORMATS["onnx"]:
        found = load_policy(path)
        return max(_largest(original(rows) - found(rows)) for rows in _batches(one))
    from merpo.policies.onnx import read_onnx

    graph, differences = read_onnx(path), []
    for rows in _batches(one):
        outputs = graph.run(rows)
        differences.append(_largest(original(rows) - outputs[ACTION]))
        if IN_UNITS in outputs:
            differences.append(_largest(_rescaled(one, original.action_in_units(rows) - outputs[IN_UNITS])))
        if guarded:
            differences.append(_unguarded(graph, rows))
    return max(differences)


def _batches(one: SavedPolicies) -> list[NDArray[np.float32]]:
    """Random observations around the mean of the normalisation: many at once, then batches of few."""
    generator = torch.Generator().manual_seed(0)
    many = torch.randn(ROWS, one.observation_dim, generator=generator)
    units = [torch.cat([scale * many for scale in SCALES])]
    for size, scale in product(BATCHES, SCALES):
        units.append(scale * torch.randn(size, one.observation_dim, generator=generator))
    if one.normalization:
        mean, std = (one.normalization[key].reshape(-1) for key in ("mean", "std"))
        units = [mean + std * rows for rows in units]
    return [rows.numpy() for rows in units]


def _rescaled(one: SavedPolicies, difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """A difference in units of the data as one of actions in [-1, 1], less the rounding of large bounds in float32."""
    units = one.tasks[0].units
    if units is None:
        return difference
    low, high = np.asarray(units.action_low), np.asarray(units.action_high)
    rounding = 4 * FLOAT * np.maximum(np.abs(low), np.abs(high))
    scaled: NDArray[np.float64] = np.maximum(np.abs(difference) - rounding, 0.0) / ((high - low) / 2)
    return scaled


def _unguarded(graph: OnnxPolicy, rows: NDArray[np.float32]) -> float:
    """Infinity if a graph gives an action for an observation that is not finite, or none for another row, else 0."""
    broken = rows.copy()
    broken[0, -1] = np.nan
    actions = graph.run(broken)[ACTION]
    return 0.0 if np.isnan(actions[0]).all() and np.isfinite(actions[1:]).all() else float("inf")


def _largest(difference: NDArray[Any]) -> float:
    """The largest absolute value; infinity instead of NaN, which compares with nothing."""
    return float(np.nan_to_num(np.abs(difference), nan=np.inf).max())
