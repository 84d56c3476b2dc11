"""merpo.support.metrics over an interruption: every line once, whole, on disk before its checkpoint."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from small import dynamics, make, task_data

from merpo.algorithm.behavior import fit_behavior
from merpo.algorithm.meta_model import fit_meta_model
from merpo.algorithm.settings import BehaviorSettings, MetaModelSettings
from merpo.components.context import Context
from merpo.errors import MerpoError, TrainingError
from merpo.support import metrics
from merpo.support.metrics import METRICS_FILE, MetricsWriter, read_metrics


def steps(folder: Path) -> list[tuple[str, int, dict[str, float | None]]]:
    return [(row.stage, row.step, row.metrics) for row in read_metrics(folder)]


def test_steps_that_are_done_again_are_not_written_again(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path) as writer:
        for step in (10, 20, 30):
            writer.log("fit", step, 50, {"loss": step})
    content = (tmp_path / METRICS_FILE).read_bytes()
    (tmp_path / METRICS_FILE).write_bytes(content[:-5])  # torn
    with MetricsWriter(tmp_path) as writer:
        for step in (20, 30, 40):  # from a checkpoint after step 15
            writer.log("fit", step, 50, {"loss": step})
        writer.log("adapt", 20, 50, {"loss": 0})
        writer.log("adapt", 20, 50, {"loss": 1})  # twice in one process is twice
    assert steps(tmp_path) == [
        ("fit", 10, {"loss": 10}),
        ("fit", 20, {"loss": 20}),
        ("fit", 30, {"loss": 30}),
        ("fit", 40, {"loss": 40}),
        ("adapt", 20, {"loss": 0}),
        ("adapt", 20, {"loss": 1}),
    ]
    assert len((tmp_path / METRICS_FILE).read_text().splitlines()) == 6


@pytest.mark.parametrize(
    "line",
    [
        b'{"stage": [], "step": 1, "wall": 1, "metrics": {}}',
        b'{"stage": "a", "step": "1", "wall": 1, "metrics": {}}',
        b'{"stage": "a", "step": 1, "wall": 1, "metrics": {"a": []}}',
        b"[" * 100_000,
        b"null",
        b"\xff\xfe",
    ],
)
def test_lines_that_no_writer_wrote_are_skipped(tmp_path: Path, line: bytes) -> None:
    (tmp_path / METRICS_FILE).write_bytes(line + b"\n")
    with MetricsWriter(tmp_path) as writer:
        writer.log("a", 1, 1, {"x": 1})
    assert steps(tmp_path) == [("a", 1, {"x": 1})]


def test_a_disk_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MerpoError, match=r"file/metrics\.jsonl: cannot be written"):
        MetricsWriter(tmp_path / "file")
    with MetricsWriter(tmp_path) as writer:
        writer.log("fit", 1, 2, {})
        writer.sync()

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(metrics.os, "fsync", full)
        with pytest.raises(MerpoError, match=r"metrics\.jsonl: cannot be written: No space left on device"):
            writer.sync()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full")
def test_a_full_disk_is_named_at_the_line_that_does_not_fit(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path) as writer, Path("/dev/full").open("w", encoding="utf-8") as full:
        writer._file.close()
        writer._file = full
        with pytest.raises(MerpoError, match=r"metrics\.jsonl: cannot be written: No space left on device"):
            writer.log("fit", 1, 2, {})
        with suppress(OSError):  # what it still holds
            full.close()


def test_a_step_is_checked_on_the_cpu() -> None:
    whole = {"loss": torch.ones(3), "total": torch.tensor(2.0), "by member": torch.ones(3, 2)}
    Context().check("fit", 4, whole)
    Context().check("fit", 4, {"loss": torch.tensor([3e38, 3e38])})  # finite, though their sum is not
    for bad in (torch.nan, torch.inf, -torch.inf):
        losses = torch.tensor([1.0, bad, 0.0])
        with pytest.raises(TrainingError, match=r"stage 'fit', step 4: metric 'loss' of task 7 \(of 3 reported\) is"):
            Context().check("fit", 4, {**whole, "loss": losses}, [5, 7, 2])
        Context(device="cuda").check("fit", 4, {"loss": losses})  # where a report finds out
    both = {"loss": torch.tensor([torch.inf, -torch.inf])}
    with pytest.raises(TrainingError, match="of task 0"):
        Context().check("fit", 4, both)


def test_every_loop_stops_at_the_step_itself_whenever_it_reports() -> None:
    seen: list[tuple[str, int]] = []
    absurd = task_data()
    context = Context(log_every=1000, log=lambda stage, step, total, metrics: seen.append((stage, step)))
    rows = absurd.rows.clone()
    rows[absurd.starts[1], :] = torch.nan
    damaged = absurd._replace(rows=rows)
    knobs = BehaviorSettings(hidden=(8,), steps=400, batch_size=64)
    with pytest.raises(TrainingError, match=r"stage 'behavior', step \d+: metric 'nll' of task 1 ") as found:
        fit_behavior(damaged, knobs, context, "behavior")
    assert "step 400" not in str(found.value)
    models = MetaModelSettings(iterations=400, task_batch=2, inner_steps=2, batch_size=64)
    with pytest.raises(TrainingError, match=r"stage 'meta-model', step \d+: metric 'loss' of task 1 ") as found:
        fit_meta_model(dynamics(), make("meta_learner", "proximal"), damaged, models, context)
    assert "step 400" not in str(found.value)
    assert seen == []
