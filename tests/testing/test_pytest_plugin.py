"""The fixtures that merpo brings to the tests of plugins."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path

import pytest
import torch

from merpo import Spec, TaskData, TaskDataset
from merpo.data.validate import check_dataset
from merpo.testing.inputs import tiny_datasets
from merpo.testing.runner import MerpoRunner


def test_pytest_finds_the_fixtures_by_entry_point() -> None:
    points = importlib.metadata.distribution("merpo").entry_points.select(group="pytest11")
    assert [point.value for point in points] == ["merpo.pytest_plugin"]


def test_the_dataset_is_valid_and_the_same_each_time(tiny_dataset: TaskDataset) -> None:
    check_dataset(tiny_dataset)
    assert (len(tiny_dataset), tiny_dataset.episode_returns().shape) == (60, (6,))
    again = tiny_datasets(1)[0]
    assert torch.equal(again.observations, tiny_dataset.observations)
    assert torch.equal(again.actions, tiny_dataset.actions)


def test_a_dataset_goes_on_within_an_episode_and_obeys_its_drift(tiny_dataset: TaskDataset) -> None:
    same = tiny_dataset.next_observations.view(6, 10, 3)[:, :-1] == tiny_dataset.observations.view(6, 10, 3)[:, 1:]
    assert bool(same.all())
    moved = tiny_dataset.next_observations[:, :2] - tiny_dataset.observations[:, :2] - 0.3 * tiny_dataset.actions
    assert torch.allclose(moved, torch.tensor(tiny_dataset.task["drift"]).expand(60, 2), atol=1e-5)
    assert torch.allclose(tiny_dataset.rewards, -tiny_dataset.next_observations[:, :2].norm(dim=-1))


def test_the_tasks_differ(tiny_tasks: TaskData) -> None:
    assert (tiny_tasks.n_tasks, tiny_tasks.sizes) == (3, (60, 60, 60))
    assert tiny_tasks.spec == Spec(3, 2)
    drifts = {tuple(data.task["drift"]) for data in tiny_datasets(3)}  # type: ignore[arg-type]
    assert len(drifts) == 3


def test_the_runner_has_a_folder_and_a_store_of_its_own(merpo_runner: MerpoRunner, tmp_path: Path) -> None:
    assert Path.cwd() == tmp_path == merpo_runner.folder
    assert os.environ["MERPO_DATA"] == str(tmp_path / "merpo-data")
    answer = merpo_runner("collect", merpo_runner.recipe())
    assert answer.code == 0, answer.err
    assert list((tmp_path / "merpo-data").rglob("*.safetensors"))


def test_the_runner_gives_what_a_user_would_see(merpo_runner: MerpoRunner) -> None:
    shown = merpo_runner("list-components", "--kind", "alpha", "--json")
    assert {row["name"] for row in json.loads(shown.out)} >= {"fixed", "adaptive"}
    wrong = merpo_runner("check", merpo_runner.recipe({"method": {"alpha": "fixd"}}))
    assert (wrong.code, wrong.out) == (2, "")
    assert "did you mean 'fixed'" in wrong.err


def test_a_defect_is_raised_as_it_is(merpo_runner: MerpoRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merpo.recipe.recipe.load_recipe", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        merpo_runner("check", "x.toml")
