"""A behaviour policy that cannot be read is told: in notes, and by the exit code where that is asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer
from finished import finished_run
from tiny import tiny_recipe

from merpo.data.needed import collection_folder
from merpo.report import html as report_html
from merpo.report.report import report_of
from merpo.run.run import run_recipe

Merpo = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_html, "pictures", lambda report: [])


@pytest.fixture(scope="module")
def first(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests only read it."""
    return finished_run(store, tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture
def data(first: Path, store: Path, tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's collection in a store of its own."""
    monkeypatch.setenv("MERPO_DATA", str(shutil.copytree(store, tmp_path / "own")))
    return collection_folder(tiny_recipe())


def damaged(data: Path) -> None:
    path = data / "task-003.medium.policy.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def missing(data: Path) -> None:
    (data / "task-003.medium.policy.safetensors").unlink()


def unreadable(data: Path) -> None:
    path = data / "task-003.medium.policy.safetensors"
    path.unlink()
    path.mkdir()


def edited(data: Path) -> None:
    path = data / "task-003.medium.json"
    path.write_text(path.read_text("utf-8").replace('"sha256"', '"sha265"', 1), "utf-8")


DAMAGES = [damaged, missing, unreadable]


@pytest.mark.parametrize("harm", [*DAMAGES, edited])
def test_evaluate_tells_and_exits_with_2(
    first: Path, data: Path, merpo_cli: Merpo, harm: Callable[[Path], None]
) -> None:
    harm(data)
    answer = merpo_cli("evaluate", str(first), "--out", "measured.json")
    assert answer.code == 2
    assert "mean return" in answer.out, "what could be measured is shown"
    assert "note: the behaviour policies were not measured: " in answer.out
    assert "task-003.medium" in answer.err
    measured = json.loads(Path("measured.json").read_text("utf-8"))
    assert measured["notes"]
    assert measured["tasks"][0]["behavior"] is None


def test_evaluate_tells_that_the_store_has_no_such_data(first: Path, data: Path, merpo_cli: Merpo) -> None:
    shutil.rmtree(data)
    answer = merpo_cli("evaluate", str(first))
    assert answer.code == 0
    assert "the behaviour policies were not measured: the store does not have the data of task-002.medium" in answer.out
    assert merpo_cli("evaluate", str(first), "--strict").code == 2


def test_nothing_is_told_where_all_is_well(first: Path, data: Path, merpo_cli: Merpo) -> None:
    answer = merpo_cli("evaluate", str(first), "--strict")
    assert answer.code == 0
    assert "note" not in answer.out


@pytest.mark.parametrize("harm", DAMAGES)
def test_a_run_tells_and_exits_with_2_if_strict(
    data: Path, tmp_path: Path, merpo_cli: Merpo, harm: Callable[[Path], None]
) -> None:
    harm(data)
    answer = merpo_cli("run", "tiny.toml", "--out", "run")
    assert answer.code == 0
    told = "The behaviour policies were not measured by their modes: "
    assert f"note: {told}" in answer.out
    (note,) = report_of(tmp_path / "run").notes
    assert note.startswith(told)
    assert "task-003.medium.policy.safetensors" in note
    assert told in (tmp_path / "run" / "report.html").read_text("utf-8")
    answer = merpo_cli("run", "tiny.toml", "--out", "run", "--strict")
    assert answer.code == 2
    assert told in answer.err
    assert told.lower()[:20] in merpo_cli("compare", "run").out.lower()


def test_data_of_several_policies_has_none(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    run_recipe(tiny_recipe({"data": {"quality": "mixed"}}), tmp_path / "run", [0], "cpu", True, strict=True)
    (note,) = report_of(tmp_path / "run").notes
    assert note.endswith("none was kept with task-002.mixed, task-003.mixed.")
