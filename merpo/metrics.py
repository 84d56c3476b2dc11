"""Metrics on disk: one line of JSON per report, and TensorBoard scalars where that package is installed."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from merpo.errors import ArtifactError, TrainingError

if TYPE_CHECKING:
    from merpo.context import Metrics

__all__ = ["METRICS_FILE", "MetricsWriter", "Record", "check_finite", "read_metrics", "scalars", "to_numbers"]

METRICS_FILE = "metrics.jsonl"

Numbers: TypeAlias = "dict[str, float | list[float]]"


class Record(NamedTuple):
    """One line of `metrics.jsonl`; `wall` is Unix time in seconds, a number that was not finite is None."""

    stage: str
    step: int
    wall: float
    metrics: dict[str, float | None]


def to_numbers(metrics: Metrics) -> Numbers:
    """Every metric as a number, or as a list with one number per task: the only place where tensors are read out.

    Of tensors with further dims [T, ...] the mean over those dims is kept.
    """
    return {name: _number(value) for name, value in metrics.items()}


def _number(value: Any) -> float | list[float]:
    if not hasattr(value, "detach"):
        return float(value)
    tensor = value.detach().double()
    numbers: float | list[float] = (tensor.flatten(1).mean(-1) if tensor.dim() > 1 else tensor).tolist()
    return numbers


def scalars(numbers: Numbers) -> dict[str, float]:
    """One number per key: a metric that is per task becomes `name/mean`, `name/min` and `name/max`."""
    flat: dict[str, float] = {}
    for name, value in numbers.items():
        if not isinstance(value, list):
            flat[name] = value
        elif value:
            flat |= {f"{name}/mean": math.fsum(value) / len(value) if all(map(math.isfinite, value)) else math.nan}
            flat |= {f"{name}/min": min(value), f"{name}/max": max(value)}
    return flat


def check_finite(stage: str, step: int, numbers: Numbers) -> None:
    """Raise `TrainingError` naming stage, step, metric and task of the first number that is not finite."""
    for name, value in numbers.items():
        for task, number in enumerate(value if isinstance(value, list) else [value]):
            if not math.isfinite(number):
                where = f" of task {task} (of {len(value)} reported)" if isinstance(value, list) else ""
                raise TrainingError(
                    f"stage {stage!r}, step {step}: metric {name!r}{where} is {number}, expected a finite number; "
                    "a smaller learning rate, or data without extreme values, usually helps"
                )


class MetricsWriter:
    """Appends to `folder/metrics.jsonl`, flushed line by line, and to TensorBoard files in `folder/tensorboard`."""

    def __init__(self, folder: Path, tensorboard: bool = False, note: Callable[[str], None] = print) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / METRICS_FILE
        torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
        self._file = path.open("a", encoding="utf-8")
        if torn:  # a run that was killed may leave half a line; it must not swallow the next one
            self._file.write("\n")
        self._board = _summary_writer(folder / "tensorboard", note) if tensorboard else None

    def log(self, stage: str, step: int, total: int, metrics: Metrics) -> None:
        """Write one line (and one scalar per number); the shape of `merpo.context.Log`."""
        wall = time.time()
        flat = {name: value if math.isfinite(value) else None for name, value in scalars(to_numbers(metrics)).items()}
        line = {"stage": stage, "step": step, "total": total, "wall": round(wall, 3), "metrics": flat}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in flat.items():
                if value is not None:
                    self._board.add_scalar(f"{stage}/{name}", value, step, wall)

    def close(self) -> None:
        """Close the files; TensorBoard's writing thread ends here."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _summary_writer(folder: Path, note: Callable[[str], None]) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        note("TensorBoard is not installed: scalars go to metrics.jsonl only (pip install 'merpo[tensorboard]')")
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def read_metrics(folder: Path) -> Iterator[Record]:
    """The records of `folder/metrics.jsonl`, oldest first; a line torn by a crash is skipped.

    Raises `ArtifactError` where the file is missing.
    """
    path = folder / METRICS_FILE
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot read the metrics of a run ({error.strerror or error})") from None
    for line in lines:
        try:
            record = json.loads(line)
            yield Record(record["stage"], record["step"], record["wall"], record["metrics"])
        except (ValueError, KeyError, TypeError):
            continue
