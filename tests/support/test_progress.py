"""Progress and metrics: what is said when, what is written, and that nothing that is not finite goes unnoticed."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import threading
from pathlib import Path

import pytest
import torch
from rich.console import Console

from merpo.components.context import Context, Log
from merpo.errors import ArtifactError, TrainingError
from merpo.support.metrics import METRICS_FILE, MetricsWriter, read_metrics
from merpo.support.progress import Progress


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def plain() -> Console:
    return Console(file=io.StringIO(), width=40)


def run(total: int, seconds: float) -> list[str]:
    """What a stage of `total` steps says that takes so long per step."""
    console, clock = plain(), Clock()
    with Progress(console, clock=clock) as progress:
        for step in range(1, total + 1):
            clock.now += seconds
            progress.log("fit", step, total, {"loss": 1.0 / step})
    return lines(console)


def test_a_quick_stage_says_that_it_began_and_ended() -> None:
    said = run(100, 0.001)
    assert len(said) == 2
    assert said[0].startswith("fit: 1/100")
    assert said[1].startswith("fit: 100/100  done in")
    assert said[1].endswith("loss 0.01")


def test_a_stage_of_a_minute_speaks_every_ten_percent() -> None:
    assert [line.split()[1] for line in run(60, 1.0)] == [f"{s}/60" for s in (1, 7, 13, 19, 25, 31, 37, 43, 49, 55, 60)]


def test_a_long_stage_speaks_every_ten_seconds() -> None:
    said = run(1000, 1.0)
    assert len(said) == 101
    assert "ETA 14 min 59 s" in next(line for line in said if line.startswith("fit: 101/"))


def test_what_was_last_heard_is_said_at_the_end_even_of_a_stage_cut_short() -> None:
    console = plain()
    with pytest.raises(KeyboardInterrupt), Progress(console, clock=Clock()) as progress:
        progress.log("fit", 1, 100, {})
        progress.log("fit", 9, 100, {"loss": 2.0})
        raise KeyboardInterrupt
    assert lines(console)[-1] == "fit: 9/100  ETA 0.0 s  loss 2"


def test_a_stage_that_runs_again_within_another_begins_anew() -> None:
    console = plain()
    with Progress(console, clock=Clock()) as progress:
        for outer in (1, 2):
            progress.log("meta", outer, 2, {})
            for step in (1, 2):
                progress.log("adapt", step, 2, {})
    assert [line.split("  ")[0] for line in lines(console)] == [
        "meta: 1/2", "adapt: 1/2", "adapt: 2/2", "meta: 2/2", "adapt: 1/2", "adapt: 2/2",
    ]  # fmt: skip


def test_the_numbers_that_matter_come_first_and_tasks_are_averaged() -> None:
    console = plain()
    metrics = {f"other{i}": float(i) for i in range(9)} | {
        "alpha": torch.tensor([0.25, 0.75]),
        "loss": torch.tensor(2.0),
    }
    with Progress(console, clock=Clock()) as progress:
        progress.log("fit", 1, 1, metrics)
    assert lines(console) == ["fit: 1/1  done in 0.0 s  loss 2  alpha 0.5  other0 0  other1 1  other2 2"]


def test_notes_are_printed_as_they_are() -> None:
    console = plain()
    text = "[bold]not markup[/] " * 9
    with Progress(console) as progress:
        progress.note(text)
    assert lines(console) == [text]


def test_a_terminal_has_bars_and_no_thread_survives() -> None:
    before = set(threading.enumerate())
    console = Console(file=io.StringIO(), force_terminal=True, width=100, _environ={"TERM": "xterm"})
    with pytest.raises(RuntimeError), Progress(console) as progress:
        progress.log("meta [x]", 1, 4, {"loss": 0.5})
        assert set(threading.enumerate()) == before
        progress.log("adapt", 2, 2, {"alpha": torch.ones(2)})
        progress.log("adapt", 1, 2, {"alpha": torch.ones(2)})
        progress.note("collected")
        raise RuntimeError
    text = "\n".join(lines(console))
    for part in ("meta [x]", "1/4", "loss 0.5", "adapt", "1/2", "collected"):
        assert part in text
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_stops_the_run_and_is_named(value: float) -> None:
    progress = Progress(plain())
    with pytest.raises(TrainingError, match=r"stage 'fit', step 7: metric 'q' of task 2 .*(nan|inf)"):
        progress.log("fit", 7, 9, {"loss": 1.0, "q": torch.tensor([0.0, 1.0, value])})
    with pytest.raises(TrainingError, match="metric 'loss' is"):
        progress.log("fit", 7, 9, {"loss": value})
    with pytest.raises(TrainingError, match="of task 1"):
        progress.log("fit", 7, 9, {"members": torch.tensor([[0.0, 0.0], [value, 0.0]])})


def test_progress_and_metrics_are_what_a_context_takes(tmp_path: Path) -> None:
    log: Log = Progress(plain()).log
    Context(log=log).log("fit", 1, 1, {})
    with MetricsWriter(tmp_path) as writer:
        Context(log=writer.log).log("fit", 1, 1, {})


def test_metrics_are_written_line_by_line(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path / "run") as writer:
        writer.log("fit", 10, 20, {"loss": torch.tensor(0.5), "alpha": torch.tensor([0.0, 1.0, 0.5]), "n": 3})
        line = (tmp_path / "run" / METRICS_FILE).read_text()  # while the writer is open
        assert line.endswith("\n")
        assert json.loads(line)["metrics"] == {
            "loss": 0.5,
            "alpha/mean": 0.5,
            "alpha/min": 0.0,
            "alpha/max": 1.0,
            "n": 3.0,
        }
        writer.log("fit", 20, 20, {"members": torch.tensor([[1.0, 3.0]]), "bad": math.nan})
    first, second = read_metrics(tmp_path / "run")
    assert (first.stage, first.step) == ("fit", 10)
    assert first.wall <= second.wall
    assert second.metrics == {"members/mean": 2.0, "members/min": 2.0, "members/max": 2.0, "bad": None}


def test_metrics_append_after_a_crash_that_tore_a_line(tmp_path: Path) -> None:
    for step in (1, 2):
        with MetricsWriter(tmp_path) as writer:
            writer.log("fit", step, 2, {})
        with (tmp_path / METRICS_FILE).open("a") as file:
            file.write('{"stage": "fit", "st')
    assert [record.step for record in read_metrics(tmp_path)] == [1, 2]


def test_metrics_of_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot read the metrics"):
        list(read_metrics(tmp_path))


def test_a_missing_tensorboard_is_said_once_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said: list[str] = []
    with MetricsWriter(tmp_path, tensorboard=True, note=said.append) as writer:
        writer.log("fit", 1, 1, {"loss": 1.0})
    assert len(said) == 1
    assert "merpo[tensorboard]" in said[0]
    assert len(list(read_metrics(tmp_path))) == 1


def test_tensorboard_reads_the_scalars_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    before = set(threading.enumerate())
    with MetricsWriter(tmp_path, tensorboard=True) as writer:
        writer.log("fit", 5, 9, {"loss": torch.tensor([1.0, 3.0]), "bad": math.nan})
    assert set(threading.enumerate()) == before
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"fit/loss/mean", "fit/loss/min", "fit/loss/max"}
    scalar = events.Scalars("fit/loss/mean")[0]
    assert (scalar.step, scalar.value) == (5, 2.0)
