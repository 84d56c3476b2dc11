"""Metrics on disk: one JSON line per step logged, and TensorBoard scalars where that package is installed."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from merpo.errors import ArtifactError, MerpoError, TrainingError
from merpo.lazy import torch
from merpo.support.read import read_regular
from merpo.support.terminal import say

if TYPE_CHECKING:
    from merpo.types import Metrics

__all__ = [
    "METRICS_FILE",
    "MetricsWriter",
    "Record",
    "all_finite",
    "check_finite",
    "read_metrics",
    "scalars",
    "to_numbers",
]

METRICS_FILE = "metrics.jsonl"
LIMIT = 4 << 30  # bytes

Numbers: TypeAlias = "dict[str, float | list[float]]"


class Record(NamedTuple):
    """One line of `metrics.jsonl`; `wall` is Unix time in seconds, a number that was not finite is None."""

    stage: str
    step: int
    wall: float
    metrics: dict[str, float | None]


def to_numbers(metrics: Metrics) -> Numbers:
    """Metrics as numbers, or as lists with one number per task; the only place that synchronises with the device.

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


def check_finite(stage: str, step: int, numbers: Numbers, tasks: Sequence[int] | None = None) -> None:
    """Raise `TrainingError` naming stage, step, metric and task of the first number that is not finite.

    `tasks` are the numbers of the tasks reported, if not 0, 1, 2, ...
    """
    for name, value in numbers.items():
        for task, number in enumerate(value if isinstance(value, list) else [value]):
            if not math.isfinite(number):
                own = task if tasks is None else tasks[task]
                where = f" of task {own} (of {len(value)} reported)" if isinstance(value, list) else ""
                raise TrainingError(
                    f"stage {stage!r}, step {step}: metric {name!r}{where} is {number}, expected a finite number; "
                    "a smaller learning rate, or data without extreme values, usually helps",
                    own if isinstance(value, list) else None,
                )


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether all numbers are finite, from one sum; False also where finite numbers are so large that it overflows."""
    with torch.no_grad():
        flat = [tensor if tensor.dim() == 1 else tensor.reshape(-1) for tensor in tensors]
        return math.isfinite(torch.cat(flat).sum().item())


class MetricsWriter:
    """Appends to `folder/metrics.jsonl`, flushed line by line, and to TensorBoard files in `folder/tensorboard`.

    A line is identified by its stage and step, and never written twice: a run that resumes from a checkpoint repeats
    the steps after it.
    """

    def __init__(self, folder: Path, tensorboard: bool = False, note: Callable[[str], None] = say) -> None:
        self._path = folder / METRICS_FILE
        with self._written():
            folder.mkdir(parents=True, exist_ok=True)
            self._there = _mend(self._path)
            self._file = self._path.open("a", encoding="utf-8")
        self._board = _summary_writer(folder / "tensorboard", note) if tensorboard else None

    def log(self, stage: str, step: int, total: int, metrics: Metrics) -> None:
        """Write one line (and one scalar per number); the shape of `merpo.components.context.Log`.

        Raises `MerpoError` if the system refuses.
        """
        if (stage, step) in self._there:
            return
        wall = time.time()
        flat = {name: value if math.isfinite(value) else None for name, value in scalars(to_numbers(metrics)).items()}
        line = {"stage": stage, "step": step, "total": total, "wall": round(wall, 3), "metrics": flat}
        with self._written():
            self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()
        if self._board is not None:
            for name, value in flat.items():
                if value is not None:
                    self._board.add_scalar(f"{stage}/{name}", value, step, wall)

    def sync(self) -> None:
        """Wait until all lines are on the disk: a checkpoint must not know of steps that the file does not have."""
        with self._written():
            os.fsync(self._file.fileno())
        if self._board is not None:
            self._board.flush()

    def close(self) -> None:
        """Close the files; TensorBoard's writing thread ends here."""
        with suppress(OSError):  # a full disk has been reported already
            self._file.close()
        if self._board is not None:
            self._board.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MerpoError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _mend(path: Path) -> set[tuple[str, int]]:
    """Remove an incomplete last line, as a killed run leaves it; returns the stage and step of every line."""
    if not path.exists():
        return set()
    content = read_regular(path, LIMIT)
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    return {(row.stage, row.step) for row in read_metrics(path.parent)}


def _summary_writer(folder: Path, note: Callable[[str], None]) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        note("TensorBoard is not installed: scalars go to metrics.jsonl only (pip install 'merpo[tensorboard]')")
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def read_metrics(folder: Path) -> Iterator[Record]:
    """The records of `folder/metrics.jsonl`, oldest first; incomplete lines are skipped.

    Raises `ArtifactError` where the file is missing.
    """
    path = folder / METRICS_FILE
    try:
        lines = read_regular(path, LIMIT).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot read the metrics of a run ({error.strerror or error})") from None
    for line in lines:
        try:
            found = json.loads(line)
            record = Record(found["stage"], found["step"], found["wall"], found["metrics"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if _is_whole(record):
            yield record


def _is_whole(record: Record) -> bool:
    """Whether a record has the types that the writer writes."""
    stage, step, wall, metrics = record
    named = isinstance(stage, str) and isinstance(step, int) and isinstance(wall, int | float)
    if not named or not isinstance(metrics, dict):
        return False
    return all(value is None or isinstance(value, int | float) for value in metrics.values())
