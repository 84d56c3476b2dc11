"""The time of a stage is that of its work, whichever processes did it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from finished import finished_run, interrupted_meta_policy
from sealed import seal
from tiny import tiny_recipe

from merpo.artifacts.versions import processor
from merpo.compare.results import results_of
from merpo.components.context import Adapted, Context
from merpo.components.interfaces import Method
from merpo.components.task_data import TaskData
from merpo.errors import ArtifactError
from merpo.report import html as report_html
from merpo.report.report import Report, load_report, training_seconds
from merpo.run.run import run_recipe
from merpo.run.stage_times import FILE
from merpo.types import Params

STAGES = ["meta-model", "models", "behavior", "meta-policy", "unseen-models", "unseen-behavior"]
EVALUATED = {"evaluate": {"during_training": 1}}
Merpo = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_html, "pictures", lambda report: [])


@pytest.fixture(scope="module")
def first(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that nothing interrupted; tests only read it."""
    return finished_run(store, tmp_path_factory.mktemp("runs") / "first", EVALUATED)


@pytest.fixture
def run(first: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(first, tmp_path / "run")


def stored(run: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((run / FILE).read_text("utf-8"))
    return found


def report(run: Path) -> Report:
    return load_report(run / "report.json")


def set_times(run: Path, seconds: float) -> None:
    (run / FILE).write_text(json.dumps(dict.fromkeys(stored(run), seconds)), "utf-8")
    if (run / "report.json").exists():
        seal(run)


def table_seconds(run: Path) -> list[float | None]:
    return results_of([run]).rows[0].seconds


def test_a_run_stores_what_it_reports(first: Path) -> None:
    times, found = report(first).timings, stored(first)
    assert set(found) == {*STAGES, "fit", "adapt", "unseen tasks"}
    assert found == pytest.approx({name: times[name] for name in found}, abs=0.002)
    assert set(times) - set(found) == {"data", "evaluate", "report"}
    assert report(first).reused == []


def test_a_reused_stage_keeps_its_time(run: Path, merpo_cli: Merpo) -> None:
    set_times(run, 50.0)
    before = stored(run)
    for episodes in (2, 3):
        answer = merpo_cli("run", "tiny.toml", "--out", str(run), "--set", f"evaluate.episodes={episodes}")
        assert answer.code == 0
        found = report(run)
        assert found.reused == [*STAGES, "adapt"]
        assert stored(run) == before  # what is loaded adds nothing, however often
        assert {name: found.timings[name] for name in before} == before
        assert found.timings["evaluate"] is not None
        assert found.timings["evaluate"] < 50.0
    assert table_seconds(run) == [8 * 50.0]  # six stages, and what is around them
    page = (run / "report.html").read_text("utf-8")
    assert "<td>meta-policy (reused)</td><td>50 s</td>" in page
    assert "7 min 3" in page  # with what measuring on the way took, and this process


def test_an_interrupted_stage_adds_up(
    first: Path, tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut"
    often = ("--set", "run.checkpoint_every=0")
    with interrupted_meta_policy(monkeypatch):
        assert merpo_cli("run", "tiny.toml", "--out", str(cut), *often).code not in (0, 2)
    assert set(stored(cut)) == {*STAGES[:4], "fit"}  # the meta-policy's first step was kept with a checkpoint
    set_times(cut, 50.0)
    assert merpo_cli("run", "tiny.toml", "--out", str(cut), *often).code == 0
    found = report(cut)
    assert found.reused == STAGES[:3]
    assert found.timings["meta-model"] == 50.0
    for stage in ("meta-policy", "fit"):
        seconds = found.timings[stage]
        assert seconds is not None
        assert 50.0 < seconds < 100.0
        assert stored(cut)[stage] == pytest.approx(seconds, abs=0.002)
    assert found.timings["unseen-models"] == pytest.approx(report(first).timings["unseen-models"], abs=50.0)


def test_a_stage_whose_artifact_was_deleted_is_timed_anew(run: Path, merpo_cli: Merpo) -> None:
    set_times(run, 50.0)
    (run / "artifacts" / "models.safetensors").unlink()
    assert merpo_cli("run", "tiny.toml", "--out", str(run)).code == 0
    times = report(run).timings
    assert times["models"] is not None
    assert times["models"] < 50.0
    assert times["behavior"] == 50.0


def forget_stages(run: Path) -> None:
    """What a merpo that did not store times left of a run whose stages it had reused."""
    (run / FILE).unlink()
    old = json.loads((run / "report.json").read_text("utf-8"))
    old["timings"] = {name: seconds for name, seconds in old["timings"].items() if name not in STAGES}
    del old["reused"]
    (run / "report.json").write_text(json.dumps(old), "utf-8")
    seal(run)


def test_a_folder_without_stored_times_says_that_it_does_not_know(run: Path, merpo_cli: Merpo) -> None:
    forget_stages(run)
    assert table_seconds(run) == [None]
    assert merpo_cli("run", "tiny.toml", "--out", str(run)).code == 0
    found = report(run)
    assert {name for name, seconds in found.timings.items() if seconds is None} == set(STAGES)
    assert found.seconds is None
    assert set(stored(run)) == {"fit", "adapt", "unseen tasks"}
    assert table_seconds(run) == [None]
    answer = merpo_cli("compare", str(run), "--markdown", "-")
    assert answer.out.rstrip().endswith(f"| – | {processor()} |")
    assert "<td>meta-policy (reused)</td><td>not known</td>" in (run / "report.html").read_text("utf-8")
    assert merpo_cli("run", "tiny.toml", "--out", str(run)).code == 0
    assert table_seconds(run) == [None]  # nor does it the next time


@pytest.mark.parametrize("damaged", [False, True])
def test_the_report_of_the_process_that_trained_has_the_times_where_they_were_not_stored(
    run: Path, merpo_cli: Merpo, damaged: bool
) -> None:
    before = {name: seconds for name, seconds in report(run).timings.items() if name in stored(run)}
    taken = table_seconds(run)
    assert taken != [None]
    (run / FILE).unlink()
    if damaged:
        (run / "report.json").write_text("{", "utf-8")
    assert merpo_cli("run", "tiny.toml", "--out", str(run)).code == 0
    assert table_seconds(run) == ([None] if damaged else taken)
    if not damaged:
        assert stored(run) == pytest.approx(before, abs=0.002)


def test_the_rest_of_a_stage_that_began_without_a_stored_time_is_no_time(
    run: Path, tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, often = tmp_path / "cut", ("--set", "run.checkpoint_every=0")
    with monkeypatch.context() as patch, interrupted(patch):
        assert merpo_cli("run", "tiny.toml", "--out", str(cut), *often).code not in (0, 2)
    (cut / FILE).unlink()  # as a merpo that stored none left it
    assert merpo_cli("run", "tiny.toml", "--out", str(cut), *often).code == 0
    assert report(cut).timings["adapt"] is None
    assert "adapt" not in stored(cut)


@contextmanager
def interrupted(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Adaptation is cut off after the second step that it keeps."""
    from merpo.artifacts.keeper import Keeper

    keep = Keeper.save_state

    def cut(self: Keeper, label: str, step: int, state: Callable[[], Any]) -> None:
        keep(self, label, step, state)
        if (label, step) == ("adapt", 2):
            raise KeyboardInterrupt

    patch.setattr(Keeper, "save_state", cut)
    yield


@pytest.mark.parametrize("text", ["{", "[]", '{"fit": -1}', '{"fit": "long"}', '{"fit": 1e999}', "[" * 9999])
def test_times_that_are_damaged_are_refused_and_deleting_them_helps(run: Path, merpo_cli: Merpo, text: str) -> None:
    (run / FILE).write_text(text, "utf-8")
    seal(run)
    answer = merpo_cli("run", "tiny.toml", "--out", str(run))
    assert answer.code == 2
    assert "timings.json: " in answer.err
    assert "expected seconds by stage; delete it" in answer.err


class Plain(Method):
    """Learns without stages, so that a run does everything again."""

    name = "plain"

    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        return {"all": {"bias": torch.zeros(())}}

    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        return Adapted({"bias": meta["all"]["bias"].expand(tasks.n_tasks)}, {}, {}, {}, {}, {})

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        return policy["bias"][:, None, None].expand_as(observations).contiguous()


def test_what_is_done_again_is_counted_once(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    recipe: Any = tiny_recipe().model_copy(update={"method": Plain()})
    run_recipe(recipe, tmp_path, [0], None, True)
    before = stored(tmp_path)
    assert set(before) == {"fit", "adapt"}
    run_recipe(recipe, tmp_path, [0], None, True)
    assert stored(tmp_path) == before


def test_the_time_of_training_is_that_of_every_stage_that_trains() -> None:
    times = {"data": 100.0, "fit": 1.0, "a": 2.0, "unseen tasks": 50.0, "adapt": 4.0, "evaluate": 9.0, "videos": 9.0}
    assert training_seconds(times, ["a", "meta", "best-meta", "adapted"]) == 7.0
    assert training_seconds(times, ["a", "b"]) is None  # b was loaded
    assert training_seconds({**times, "a": None}, ["a"]) is None
    assert training_seconds({}, []) is None


def test_an_unreadable_file_is_an_error_of_the_library(run: Path, merpo_cli: Merpo) -> None:
    (run / FILE).unlink()
    (run / FILE).mkdir()  # a folder is there, too
    with pytest.raises(ArtifactError, match=r"timings\.json: not a file"):
        run_recipe(tiny_recipe(EVALUATED), run, [0], None, True)
