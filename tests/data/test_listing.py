"""What a collection says of itself afterwards: returns by quality, and how SAC learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from ensured import ensure
from strategies import make_dataset
from tiny import tiny_recipe

from merpo.collect.collect import collect_recipe
from merpo.collect.learning_curve import curve_picture
from merpo.collect.train import BehaviorPolicies
from merpo.data import listing
from merpo.data.listing import quality_lines, quality_rows
from merpo.data.needed import collection_folder
from merpo.data.store import read_dataset, write_dataset

FIELDS: dict[str, Any] = {"family": "f", "family_settings": {}, "task_index": 0, "seed": 0, "settings": {}}


def store_one(folder: Path, task: int, quality: str, step: int, mean: float, ended: list[bool]) -> None:
    """A dataset of two episodes, of 3 and of 5 steps."""
    data = make_dataset([3, 5], ended, 2, 1, 0)
    numbers = {"step": step, "return_mean": mean, "return_std": 1.5}
    write_dataset(folder, f"task-{task:03d}.{quality}", data, quality=quality, **numbers, **FIELDS)


def names(folder: Path) -> list[str]:
    return [path.stem for path in sorted(folder.glob("*.json"))]


def test_the_table_says_what_each_quality_reached(tmp_path: Path) -> None:
    store_one(tmp_path, 0, "medium", 3000, 20.0, [True, False])
    store_one(tmp_path, 0, "random", 0, -1.0, [False, False])
    store_one(tmp_path, 1, "medium", 5000, 40.0, [True, True])
    store_one(tmp_path, 1, "mixed", 9000, 30.0, [True, True])
    assert quality_lines(tmp_path, names(tmp_path)) == [
        "task       quality  checkpoint  return     ±  episode length  ended early",
        "task-000   random            0   -1.00  1.50             4.0           0%",
        "task-000   medium        3,000   20.00  1.50             4.0          50%",
        "task-001   medium        5,000   40.00  1.50             4.0         100%",
        "task-001   mixed           all   30.00  1.50             4.0         100%",
        "mean of 2  medium        4,000   30.00  1.50             4.0          75%",
    ]


def test_numbers_are_those_of_the_episodes() -> None:
    recipe = tiny_recipe()
    _, said = ensure(recipe)
    folder = collection_folder(recipe)
    for row, name in zip(quality_rows(folder, names(folder)), names(folder), strict=True):
        returns = read_dataset(folder, name)[0].episode_returns()
        assert row.return_mean == pytest.approx(float(returns.mean()))
        assert row.return_std == pytest.approx(float(returns.std(correction=0)))
        assert (row.length, row.ended) == (10, 0)
    lines = [f"data: {line}" for line in quality_lines(folder, names(folder))]
    assert said[-len(lines) :] == lines


def test_where_sac_did_not_learn_is_said(tmp_path: Path) -> None:
    store_one(tmp_path, 3, "medium", 0, -1.0, [False, False])
    store_one(tmp_path, 4, "expert", 0, -1.0, [False, False])
    store_one(tmp_path, 5, "random", 0, -1.0, [False, False])
    line = quality_lines(tmp_path, names(tmp_path))[-1]
    assert line.startswith("2 tasks without a checkpoint better than the untrained policy, the first is task-003")
    assert not any("without" in line for line in quality_lines(tmp_path, ["task-005.random"]))


def test_many_datasets_are_told_as_means(tmp_path: Path) -> None:
    for task in range(4):
        store_one(tmp_path, task, "medium", 10, 1.0, [False, False])
    lines = quality_lines(tmp_path, names(tmp_path), max_rows=3)
    assert [line.split()[0] for line in lines] == ["task", "mean", "merpo"]
    assert len(quality_lines(tmp_path, names(tmp_path), max_rows=4)) == 6


def test_a_damaged_dataset_does_not_hide_the_others(tmp_path: Path) -> None:
    for task in range(3):
        store_one(tmp_path, task, "medium", 10, 1.0, [True, True])
    (tmp_path / "task-000.medium.json").write_text("{", "utf-8")
    (tmp_path / "task-001.medium.safetensors").write_bytes(b"x")
    rows = quality_rows(tmp_path, names(tmp_path))
    assert [(row.task, row.ended) for row in rows] == [("task-001", None), ("task-002", 1.0)]
    assert quality_lines(tmp_path, names(tmp_path))[1].endswith(" -")
    assert quality_lines(tmp_path, ["task-000.medium"]) == []
    assert listing.quality_lines(tmp_path, []) == []


def test_the_learning_curve_is_kept_and_shown(merpo_cli: Any, monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    made: Answer = merpo_cli("collect", "tiny.toml", "--quality", "random,medium")
    folder = collection_folder(tiny_recipe())
    assert made.code == 0
    assert f"learning curve in {folder / 'learning_curve.png'}" in made.err
    head, *rows = (folder / "learning_curve.csv").read_text("utf-8").splitlines()
    assert head == "step,task,return"
    assert [tuple(row.split(",")[:2]) for row in rows] == [(str(s), str(t)) for s in (0, 20, 40, 60) for t in range(4)]
    shown = merpo_cli("data", "show", folder.name).out
    assert "\ntask-000   random            0  " in shown
    assert f"learning curve: {folder / 'learning_curve.csv'}" in shown
    assert merpo_cli("data", "delete", folder.name, "--yes").code == 0
    assert not folder.exists()


def test_a_collection_without_its_policies_has_no_picture(merpo_cli: Any) -> None:
    collect_recipe(tiny_recipe())
    folder = collection_folder(tiny_recipe())
    picture = (folder / "learning_curve.png").read_bytes()
    for name in ("learning_curve.png", "learning_curve.csv"):
        (folder / name).unlink()
    collect_recipe(tiny_recipe())
    assert (folder / "learning_curve.png").read_bytes() == picture
    (folder / "learning_curve.png").unlink()
    (folder / "checkpoints.safetensors").unlink()
    answer = merpo_cli("collect", "tiny.toml")
    assert answer.code == 0
    assert "no learning curve: " in answer.err
    assert "checkpoints.safetensors" in answer.err
    assert not (folder / "learning_curve.png").exists()


@pytest.mark.parametrize("tasks", [2, 9])
def test_few_tasks_have_names_and_many_a_mean(tasks: int) -> None:
    returns = torch.linspace(-1, 1, 3)[:, None] + torch.arange(tasks)
    made = BehaviorPolicies({}, [0, 10, 20], returns)
    assert curve_picture(made, "family").startswith(b"\x89PNG")
    assert curve_picture(made, "family") == curve_picture(made, "family")
