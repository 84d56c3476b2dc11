"""`merpo run --profile`: it changes no number, shows each stage's time and operations, and ends cleanly."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from sealed import origin
from tiny import tiny_recipe

from merpo.errors import MerpoError
from merpo.nn.workers import worker_pool
from merpo.report.report import PROFILING
from merpo.run import profile as module
from merpo.run.profile import PYTHON, Profile
from merpo.run.run import run_recipe
from merpo.support.metrics import read_metrics

COMPUTED = {"meta-model", "models", "behavior", "meta-policy", "unseen-models", "unseen-behavior", "unseen tasks"}
ALWAYS = {"data", "fit", "adapt", "evaluate", "report"}
RECORDED = COMPUTED | {"adapt"}
RECIPE = {"evaluate": {"during_training": 2}, "run": {"log_every": 1}}

Merpo = Callable[..., Answer]


@pytest.fixture(scope="module")
def plain(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a profile; tests only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        return run_recipe(tiny_recipe(RECIPE), tmp_path_factory.mktemp("runs") / "plain", [0], None, True)


def rows(printed: str) -> dict[str, list[str]]:
    """The table's rows by stage: time, share, most of it."""
    table = printed[printed.index("\nWhere ") :]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return {stage: rest for stage, *rest in cells[1:]}


def trace(path: Path) -> list[dict[str, Any]]:
    """The operations in a trace."""
    found = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    return [event for event in found if event.get("cat") == "cpu_op"]


def test_a_profile_changes_no_number_and_tells_every_stage(
    plain: Path, tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)  # many recordings
    monkeypatch.setattr(module, "APART", 0.0)
    answer = merpo_cli("run", "tiny.toml", "--out", "profiled", "--profile")
    assert answer.code == 0
    assert "USDT" not in answer.err

    one, two = plain, tmp_path / "profiled"
    names = {path.name for path in (one / "artifacts").iterdir()}
    assert {path.name for path in (two / "artifacts").iterdir()} == names
    for name in names:
        assert (two / "artifacts" / name).read_bytes() == (one / "artifacts" / name).read_bytes()
    for name in ("recipe.toml", "training_curve.json"):
        assert (two / name).read_bytes() == (one / name).read_bytes()
    assert origin(two) == origin(one)
    reports = [json.loads((run / "report.json").read_text("utf-8")) for run in (one, two)]
    for report in reports:
        del report["created"], report["timings"]
    assert reports[0] == reports[1]
    assert [(r.stage, r.step, r.metrics) for r in read_metrics(one)] == [
        (r.stage, r.step, r.metrics) for r in read_metrics(two)
    ]

    assert not (one / "profile").exists()
    assert answer.out.index("report: ") < answer.out.index("\nWhere ")
    table = rows(answer.out)
    assert set(table) == COMPUTED | ALWAYS | {PROFILING}
    assert sum(float(share.rstrip("%")) for _, share, _ in table.values()) == pytest.approx(100, abs=len(table))
    assert all("%" in most for stage, (_, _, most) in table.items() if stage in RECORDED)
    files = {path.name for path in (two / "profile").iterdir()}
    assert files >= {f"{stage.replace(' ', '-')}.json.gz" for stage in RECORDED}
    assert all(name.endswith(".json.gz") for name in files)  # nothing temporary is left
    assert "aten::bmm" in {event["name"] for path in (two / "profile").iterdir() for event in trace(path)}


def test_a_run_that_goes_on_profiles_what_it_computes(plain: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    shutil.copytree(plain, tmp_path / "x")
    (tmp_path / "x" / "artifacts" / "adapted.safetensors").unlink()
    answer = merpo_cli("run", "tiny.toml", "--out", "x", "--profile")
    assert answer.code == 0
    assert set(rows(answer.out)) == ALWAYS | {PROFILING}
    assert {path.stem for path in (tmp_path / "x" / "profile").iterdir()} <= {f"{stage}.json" for stage in ALWAYS}


def train(steps: int, step: Callable[[], None] = lambda: None) -> torch.Tensor:
    x = torch.ones(3, requires_grad=True)
    for _ in range(steps):
        (x,) = torch.autograd.grad((x / 2).exp().sum(), [x])
        x = x.detach().requires_grad_(True)
        step()
    return x


def test_recordings_begin_and_end_between_steps_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)
    profile = Profile()
    profile.save_in(tmp_path)
    kept: list[int] = []

    def step() -> None:
        time.sleep(0.002)
        profile.step()
        recorded = tmp_path / "a-stage.json.gz"
        if recorded.exists():
            kept.append(recorded.stat().st_mtime_ns)

    with profile.watch.stage("a / stage"):
        found = train(100, step)
        assert not torch._C._autograd._profiler_enabled()
    assert torch.equal(found, train(100))
    assert 2 <= len(set(kept)) <= 6  # and the first before the stage was over
    operations = [event["name"] for event in trace(tmp_path / "a-stage.json.gz")]
    assert operations.count("aten::exp") == 1
    assert PYTHON in profile.shares("a / stage")
    assert sum(profile.shares("a / stage").values()) == pytest.approx(1.0)
    assert set(profile.watch.read()) == {"a / stage", PROFILING}


def test_a_recording_ends_with_its_stage(tmp_path: Path) -> None:
    profile = Profile()
    profile.save_in(tmp_path)
    with profile.watch.stage("outer"):
        train(2, profile.step)  # begins a recording of outer
        with profile.watch.stage("inner"):
            assert not torch._C._autograd._profiler_enabled()
            with pytest.raises(KeyboardInterrupt), profile.watch.stage("broken"):
                train(3, profile.step)
                raise KeyboardInterrupt
    assert not torch._C._autograd._profiler_enabled()
    assert {path.name for path in tmp_path.iterdir()} == {"outer.json.gz", "broken.json.gz"}
    assert [event["name"] for event in trace(tmp_path / "broken.json.gz")].count("aten::exp") == 2
    assert profile.shares("inner") == {}


def test_workers_are_recorded_and_their_steps_left_alone(tmp_path: Path) -> None:
    profile, both = Profile(), threading.Barrier(2)  # or the first worker may have done everything before the second
    profile.save_in(tmp_path)

    def work(_: int) -> None:
        both.wait(60)
        train(5, profile.step)

    with worker_pool(2) as share, profile.watch.stage("s"):
        profile.step()
        share.map(work, range(4))
    found = [event for event in trace(tmp_path / "s.json.gz") if event["name"] == "aten::exp"]
    assert len(found) == 20
    assert len({event["tid"] for event in found}) == 2


def test_operations_are_counted_without_what_they_call() -> None:
    profile, x = Profile(), torch.ones(400, 400)
    with profile.watch.stage("s"):
        profile.step()
        for _ in range(20):
            x = (x @ x).clamp(max=1.0)
    shares = profile.shares("s")
    assert next(iter(shares)) == "mm"
    assert shares["mm"] > 10 * shares["matmul"]  # which calls it


def test_what_cannot_be_written_is_an_error_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    profile = Profile()
    profile.save_in(tmp_path / "file")
    with pytest.raises(MerpoError, match=r"file/s.json.gz: cannot be written"), profile.watch.stage("s"):
        train(2, profile.step)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    profile = Profile()
    with pytest.raises(MerpoError, match=r"--profile: cannot write to .*none: .*No such"), profile.watch.stage("s"):
        train(2, profile.step)
    assert not torch._C._autograd._profiler_enabled()
