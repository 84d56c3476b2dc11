"""One file of task parameters for several imports: a misspelt table is noticed, a table of another import is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer
from logs import write_machines

from merpo.data.catalog import find
from merpo.data.task_params import task_params
from merpo.errors import RecipeError

Cli = Callable[..., Answer]
FILE = "[pump-0]\nload = 1\n[pump-1]\nload = 2\n['Süd 2']\nload = 3\n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_one_file_serves_the_imports_for_training_and_for_testing(
    encoding: str, merpo_cli: Cli, tmp_path: Path
) -> None:
    for folder, gains in (("train", [0.1, 0.2]), ("test", [0.3])):
        write_machines(tmp_path / folder, gains)
    (tmp_path / "test" / "pump-0.csv").rename(tmp_path / "test" / "Süd 2.csv")
    (tmp_path / "tasks.toml").write_text(FILE, encoding)
    (tmp_path / "c.toml").write_text((tmp_path / "columns.toml").read_text(), encoding)
    for folder, others in (("train", "1 tables are for datasets of other imports: Süd 2"), ("test", "pump-0, pump-1")):
        done = merpo_cli("data", "import", folder, "--columns", "c.toml", "--task-params", "tasks.toml")
        assert done.code == 0, done.err
        assert others in done.out
    assert [entry.manifest().task for entry in find("train")] == [{"load": 1}, {"load": 2}]
    assert [(str(entry), entry.manifest().task) for entry in find("test")] == [("test/Süd-2", {"load": 3})]


def test_tables_and_datasets_are_matched_by_every_name() -> None:
    said: list[str] = []
    params = {"Su\u0308d 2": {"load": 1}, "a-b": {}, "other": {"load": 3}}
    assert task_params(params, [("Süd-2", "Süd 2"), ("a-b", "a b")], said.append) == [{"load": 1}, {}]
    assert said == ["--task-params: 1 tables are for datasets of other imports: other"]
    assert task_params({"a": {"load": 1}}, [("a",), ("b",)], said.append) == [{"load": 1}, None]
    assert task_params({}, [("a",), ("b",)], said.append) == [None, None]
    assert len(said) == 1


def test_a_table_and_a_dataset_that_are_both_left_over_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"no dataset 'pmup-1' \(did you mean 'pump-1'\?\), and no table for pump-1"):
        task_params({"pump-0": {}, "pmup-1": {}}, [("pump-0",), ("pump-1",)], print)
    with pytest.raises(RecipeError, match="tables 'a-b' and 'a b' are of the same dataset"):
        task_params({"a b": {}, "a-b": {}}, [("a-b", "a b")], print)
