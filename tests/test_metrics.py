"""merpo.metrics over an interruption: every line once, whole, and on the disk before a checkpoint that knows of it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from merpo import metrics
from merpo.errors import MerpoError
from merpo.metrics import METRICS_FILE, MetricsWriter, read_metrics


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
