"""A loss that is not finite names the dataset of its task, and the value there that is far from all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from logs import machine, write_csv, write_machines
from logs_recipes import logs_tables
from strategies import make_dataset

from merpo.data.columns import read_columns
from merpo.data.dataset import TaskDataset
from merpo.data.import_logs import import_logs
from merpo.data.manifest import Manifest
from merpo.errors import TrainingError
from merpo.recipe.recipe import from_tables
from merpo.run.data_blame import naming_data
from merpo.run.run import run_recipe

MANIFEST: Any = Manifest.model_construct(settings={}, observation_dim=2, action_dim=1)


def loaded(key: str, value: float) -> list[tuple[TaskDataset, Manifest]]:
    made = [make_dataset([4, 5], [True, False], 2, 1, seed) for seed in (0, 1, 2)]
    array = getattr(made[1], key).clone()
    array.view(9, -1)[6, -1] = value
    made[1] = TaskDataset(**{**vars(made[1]), key: array})
    return [(data, MANIFEST) for data in made]


@pytest.mark.parametrize(
    ("key", "name"),
    [("observations", "observation 1"), ("next_observations", "the next observation 1"), ("rewards", "reward")],
)
@pytest.mark.parametrize("task", [1, None])
def test_the_dataset_and_the_row_are_named(key: str, name: str, task: int | None) -> None:
    message = rf"^bad; .* task-1, where {name} is 1e\+15 at row 6 of the dataset"
    with pytest.raises(TrainingError, match=message), naming_data(loaded(key, 1e15)):
        raise TrainingError("bad", task)


def test_data_without_extremes_is_named_if_the_task_is_known() -> None:
    with pytest.raises(TrainingError, match=r"^bad; its data is task-2$"), naming_data(loaded("rewards", 0.5)):
        raise TrainingError("bad", 2)
    for task in (None, 3, -1):
        with pytest.raises(TrainingError, match=r"^bad$"), naming_data(loaded("rewards", 0.5)):
            raise TrainingError("bad", task)


def test_a_run_names_the_unseen_tasks_file_and_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "store"))
    for name, gains in (("pumps", [0.1, 0.2, 0.3, 0.4]), ("new", [0.15, 0.35])):
        folder = write_machines(tmp_path / name, gains)
        if name == "new":
            log = machine(0.35, seed=1)
            log["profit"][17] = 9e17
            write_csv(folder / "pump-1.csv", log)
        import_logs([folder], None, read_columns(tmp_path / "columns.toml"), {})
    with pytest.raises(TrainingError, match=r"its data is new/pump-1, where reward is 9e\+17 at row 16 of the dataset"):
        run_recipe(from_tables(logs_tables()), tmp_path / "out", [0], None, collect=False, quiet=True)
