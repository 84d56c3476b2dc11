"""`merpo check RECIPE --data`: what is there, what is missing, and what does not fit, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from command import Answer
from logs import write_machines
from logs_recipes import logs_tables
from tiny import tiny_recipe

from merpo.data.columns import read_columns
from merpo.data.import_logs import import_logs
from merpo.data.needed import collection_folder
from merpo.errors import DatasetError
from merpo.recipe.recipe import from_tables
from merpo.run.check_data import data_lines

Cli = Callable[..., Answer]


@pytest.fixture
def pumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with logs of four pumps, and of two new ones."""
    for name, gains in (("pumps", [0.1, 0.2, 0.3, 0.4]), ("new", [0.15, 0.35])):
        folder = write_machines(tmp_path / name, gains)
        import_logs([folder], None, read_columns(tmp_path / "columns.toml"), {})
    return tmp_path


def with_logs(changes: dict[str, Any]) -> list[str]:
    return data_lines(from_tables(logs_tables(changes)))


def test_logs_that_fit_are_counted_and_checked(pumps: Path) -> None:
    first, *checks = with_logs({})
    assert first == "data: 4 + 2 datasets of 40 to 40 transitions, observations 2, actions 1; a batch has 16"
    assert [line.split(":")[0].split(maxsplit=1)[1] for line in checks] == [
        "episodes", "rewards", "actions", "range of the data",
    ]  # fmt: skip
    assert "at least 4 for each unseen task, 4 for each training task. Collect more episodes" in checks[0]
    assert checks[1] == "pass    rewards: vary in all 6 tasks"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"test": ["store:nwe"]}}, "nwe"),
        ({"data": {"test": ["store:new/pump-7"]}}, "pump-7"),
        ({"method": {"rac": {"batch_size": 41}}}, "40 transitions, fewer than a batch of 41"),
    ],
)
def test_logs_that_are_missing_or_too_few_are_refused(pumps: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        with_logs(changes)


def test_dims_that_do_not_fit_are_refused(pumps: Path) -> None:
    made = logs_tables()
    made["tasks"]["observation_dim"] = 3
    with pytest.raises(DatasetError, match=r"dims are \(2, 1\), expected those of the tasks, \(3, 1\)"):
        data_lines(from_tables(made))


def test_data_of_minaris_that_is_not_there_is_named_and_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = with_logs({"data": {"train": ["minari:D4RL/door/human-v2"], "test": ["minari:D4RL/door/cloned-v2"]}})
    assert lines == [
        "data: not in the store yet, merpo run downloads it: minari:D4RL/door/human-v2, minari:D4RL/door/cloned-v2"
    ]


def test_data_to_collect_is_looked_for_in_the_store(merpo_cli: Cli) -> None:
    folder = collection_folder(tiny_recipe())
    lacking = merpo_cli("check", "tiny.toml", "--data")
    assert lacking.code == 0
    assert f"data: 4 of 4 datasets are not in {folder}, the first is task-000.medium" in lacking.out
    assert not folder.exists(), "nothing is collected"
    assert merpo_cli("collect", "tiny.toml").code == 0
    there = merpo_cli("check", "tiny.toml", "--data")
    assert "data: 2 + 2 datasets of 40 to 40 transitions, observations 2, actions 2" in there.out
    assert "range of the data" in there.out
    (folder / "task-003.medium.safetensors").write_bytes(b"damaged")
    damaged = merpo_cli("check", "tiny.toml", "--data")
    assert (damaged.code, "task-003.medium" in damaged.err) == (2, True)
    assert merpo_cli("check", "tiny.toml").code == 0, "without --data nothing is read"


def test_with_resolved_values_the_recipe_alone_is_on_standard_output(merpo_cli: Cli, pumps: Path) -> None:
    Path("logs.toml").write_text(tomli_w.dumps(logs_tables()), "utf-8")
    answer = merpo_cli("check", "logs.toml", "--data", "--resolved")
    assert "datasets of" not in answer.out
