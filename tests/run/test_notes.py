"""What is said of a run: a batch that it cannot have, tasks far apart, a resumption with other threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command import Answer
from ensured import ensure
from finished import finished_run, interrupted_meta_policy
from hypothesis import given
from hypothesis import strategies as st
from strategies import make_dataset
from tiny import tiny_recipe, write_tiny

from merpo.data.dataset import TaskDataset
from merpo.data.needed import collection_folder, load_data
from merpo.report import html as report_html
from merpo.report.report import report_of
from merpo.run.adapt import adapt_new
from merpo.run.check_data import data_lines
from merpo.run.notes import FACTOR, notes_on_data, notes_on_origin, notes_on_recipe
from merpo.run.run import run_recipe

Merpo = Callable[..., Answer]


def dataset(name: str, rows: int, reward: float) -> TaskDataset:
    """A dataset of `rows` transitions with rewards of ± `reward`."""
    made = make_dataset([rows], [False], 2, 2)
    rewards = reward * (1 - 2 * (torch.arange(rows) % 2)).float()
    return TaskDataset(**{**vars(made), "rewards": rewards, "name": name, "task": {"name": name}})


@given(ratio=st.floats(1.0, 1e6), last=st.booleans())
def test_rewards_far_apart_are_said(ratio: float, last: bool) -> None:
    small, large = dataset("small", 10, 0.5), dataset("large", 10, 0.5 * ratio)
    still = dataset("still", 10, 0.0)  # which has its check of health
    train, test = ([small, still], [large]) if last else ([large, small, still], [])
    notes = notes_on_data(tiny_recipe(), train, test)
    assert len(notes) == (ratio >= FACTOR * (1 + 1e-6)) or abs(ratio - FACTOR) < 1e-3
    assert all("Rewards of large are " in note and "times those of small" in note for note in notes)


@pytest.mark.parametrize(("rows", "said"), [(10, False), (99, False), (1000, True)])
def test_sizes_far_apart_are_said(rows: int, said: bool) -> None:
    notes = notes_on_data(tiny_recipe(), [dataset("few", 10, 1.0), dataset("many", rows, 1.0)], [])
    assert bool(notes) == said
    if said:
        assert "many has 1,000 transitions, few 10: " in notes[0]


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_a_task_batch_above_the_number_of_tasks_is_said(tasks: int) -> None:
    recipe = tiny_recipe({"data": {"train_tasks": tasks}, "method": {"meta_model": {"task_batch": 3}}})
    notes = notes_on_recipe(recipe)
    assert ("method.meta_model.task_batch is 3" in " ".join(notes)) == (tasks < 3)
    assert ("method.meta_policy.task_batch is 2" in " ".join(notes)) == (tasks < 2)


def test_a_method_that_learns_each_task_alone_needs_no_notes() -> None:
    recipe = tiny_recipe({"method": {"component": "single"}, "data": {"train_tasks": 1}})
    assert notes_on_recipe(recipe) == []
    assert notes_on_data(recipe, [dataset("a", 10, 1.0)], [dataset("b", 5000, 1e5)]) == []


def test_check_and_run_say_it(merpo_cli: Merpo, tmp_path: Path) -> None:
    write_tiny(Path("tiny.toml"), {"method": {"meta_policy": {"task_batch": 9}}})
    expected = "method.meta_policy.task_batch is 9, but there are 2 training tasks: a batch has all of them."
    for arguments in (("check", "tiny.toml"), ("check", "tiny.toml", "--data"), ("run", "tiny.toml", "--out", "x")):
        answer = merpo_cli(*arguments)
        assert answer.code == 0
        assert expected in answer.out + answer.err


def test_other_threads_are_said_where_training_goes_on(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    monkeypatch.setattr(report_html, "pictures", lambda report: [])
    changes = {"run": {"threads": 1, "checkpoint_every": 0.0}}
    with interrupted_meta_policy(monkeypatch), pytest.raises(KeyboardInterrupt):
        finished_run(store, tmp_path / "run", changes)
    other = tiny_recipe({"run": {"threads": 2, "checkpoint_every": 0.0}})
    run_recipe(other, tmp_path / "run", [0], "cpu", True)
    (note,) = report_of(tmp_path / "run").notes
    assert note.startswith("Resumed otherwise than begun (threads 1 then, 2 now)")
    run_recipe(tiny_recipe(changes), tmp_path / "run", [0], "cpu", True)  # nothing is trained
    assert report_of(tmp_path / "run").notes == [note]


def test_data_of_another_horizon_is_said(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(store, tmp_path / "run", {"evaluate": {"videos": 0}})
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "data"))
    other = tiny_recipe({"tasks": {"horizon": 12}})
    ensure(other)
    name = f"store:{collection_folder(other).name}"
    data = {"train": [f"{name}/task-000.*", f"{name}/task-001.*"], "test": [f"{name}/task-002.*"]}
    said = " and 2 more datasets: collected with other settings of point-robot-wind, horizon (12 there, 10 here), "
    assert sum(said in line for line in data_lines(tiny_recipe({"data": data}))) == 1
    assert not any("horizon" in line for line in data_lines(tiny_recipe({"data": data, "tasks": {"horizon": 12}})))
    capfd.readouterr()
    adapt_new(run, [f"{name}/task-002.medium"], tmp_path / "adapted")
    assert said.partition(": ")[2] in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("horizon", [1, 9, 10, 11])
def test_imported_episodes_that_are_too_long_are_said(
    store: Path, monkeypatch: pytest.MonkeyPatch, horizon: int
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    train, _ = load_data(tiny_recipe(), 2)
    data, manifest = train[0]
    imported = manifest.model_copy(update={"family_settings": {}})
    notes = notes_on_origin(tiny_recipe({"tasks": {"horizon": horizon}}).tasks, [(data, imported)])
    assert [
        f"episodes of up to 10 steps, those of point-robot-wind here have at most {horizon}" in n for n in notes
    ] == ([True] if horizon < 10 else [])
