"""Episodes that are left out by name, through every door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from command import Answer
from hypothesis import given
from hypothesis import strategies as st
from logs import COLUMNS, machine, write_csv

from merpo.data.catalog import find
from merpo.data.from_arrays import from_arrays
from merpo.data.leave_out import left_out
from merpo.data.store import read_dataset
from merpo.errors import DatasetError, RecipeError

Cli = Callable[..., Answer]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def broken(tmp_path: Path, kind: str) -> tuple[Path, dict[str, Any]]:
    """A log whose third day has text, NaN and a row too short where the format can have them, and the log itself."""
    log = machine(0.1)
    day = np.array(log["day"]) == "day 2"
    path = tmp_path / "pumps" / f"pump-0.{kind}"
    path.parent.mkdir()
    (tmp_path / "columns.toml").write_text(COLUMNS)
    if kind == "csv":
        write_csv(path, {**log, "profit": np.where(day, "ERR", log["profit"].astype(str))})
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:30], "day 2,1", *lines[30:]]) + "\n")
    else:
        wrong = {**log, "profit": np.where(day, np.nan, log["profit"])}
        if kind == "npz":
            np.savez(path, **wrong)
        else:
            pyarrow.parquet.write_table(pa.table(wrong), path)
    return path, {key: np.asarray(value)[~day] for key, value in log.items()}


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
@pytest.mark.parametrize("episode", ["day 2", "pump-0/day 2"])
def test_a_broken_episode_is_left_out_by_its_label(kind: str, episode: str, tmp_path: Path, merpo_cli: Cli) -> None:
    _, good = broken(tmp_path, kind)
    words = ["data", "import", "pumps", "--columns", "columns.toml"]
    assert merpo_cli(*words).code == 2
    done = merpo_cli(*words, "--leave-out", episode)
    assert done.code == 0, done.err
    assert "pumps: left out: pump-0/day 2" in done.out
    (entry,) = find("pumps")
    data, manifest = read_dataset(entry.folder, entry.name)
    keep = np.arange(33) % 11 != 10
    np.testing.assert_allclose(data.rewards, good["profit"][keep], rtol=1e-6)
    np.testing.assert_allclose(data.observations[:, 0], good["level"][keep], rtol=1e-6)
    assert len(data.episode_offsets) == 4
    assert manifest.settings["left out"] == ["day 2"]
    assert "day 2" in merpo_cli("data", "show", "pumps").out


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_a_label_that_is_not_there_is_refused(kind: str, tmp_path: Path, merpo_cli: Cli) -> None:
    path, _ = broken(tmp_path, kind)
    done = merpo_cli(
        "data", "import", str(path), "--columns", "columns.toml", "--leave-out", "day 2", "--leave-out", "dya 3"
    )
    assert done.code == 2
    assert "no episode 'dya 3' to leave out (did you mean 'day 3'?)" in done.err


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_the_row_of_an_error_is_that_of_the_file(kind: str, tmp_path: Path, merpo_cli: Cli) -> None:
    path, _ = broken(tmp_path, kind)
    done = merpo_cli("data", "import", str(path), "--columns", "columns.toml", "--leave-out", "day 0")
    assert "rewards is nan at row 10, " in done.err
    assert "; that is row 22 of the file" in done.err


def test_of_several_datasets_each_episode_is_named_with_its_own(tmp_path: Path, merpo_cli: Cli) -> None:
    broken(tmp_path, "csv")
    write_csv(tmp_path / "pumps" / "Süd 1.csv", machine(0.2))
    words = ["data", "import", "pumps", "--columns", "columns.toml", "--leave-out"]
    done = merpo_cli(*words, "day 2")
    assert done.code == 2
    assert "got 'day 2', expected DATASET/EPISODE, as 2 datasets are imported" in done.err
    done = merpo_cli(*words, "pump-0/day 2", "--leave-out", "Süd 1/day 0", "--leave-out", "Süd-1/day 1")
    assert done.code == 0, done.err
    assert [entry.manifest().episodes for entry in find("pumps")] == [2, 3]


def test_names_with_slashes_belong_to_the_longest_dataset() -> None:
    assert left_out(["a/b/1", "a/1", "a/b/2/3"], [("a",), ("a/b", "b")]) == [("1",), ("1", "2/3")]
    assert left_out(["2024/05/01"], [("a",)]) == [("2024/05/01",)]
    assert left_out([], [("a",), ("b",)]) == [(), ()]
    with pytest.raises(RecipeError, match=r"got 'pmup/1', .*did you mean 'pump'"):
        left_out(["pmup/1"], [("pump",), ("b",)])


@given(st.lists(st.integers(2, 4), min_size=2, max_size=5), st.data(), st.booleans())
def test_numbered_episodes_are_left_out(lengths: list[int], data: st.DataObject, flat: bool) -> None:
    gone = data.draw(st.sets(st.integers(0, len(lengths) - 1), max_size=len(lengths) - 1))
    episodes = [np.full((n + 1, 1), np.nan if e in gone else e) for e, n in enumerate(lengths)]
    arrays: dict[str, Any] = {
        "observations": [one[:-1] for one in episodes],
        "next_observations": [one[1:] for one in episodes],
        "actions": [one[:-1] * 0 for one in episodes],
        "rewards": [one[:-1, 0] for one in episodes],
    }
    if flat:
        arrays = {key: np.concatenate(value) for key, value in arrays.items()}
        arrays["truncations"] = np.concatenate([np.arange(n) == n - 1 for n in lengths])
    made = from_arrays(**arrays, leave_out=gone)
    kept = [n for e, n in enumerate(lengths) if e not in gone]
    assert made.episode_offsets.tolist() == np.cumsum([0, *kept]).tolist()
    assert sorted(set(made.rewards.tolist())) == [e for e in range(len(lengths)) if e not in gone]


def test_numbers_that_are_not_there_and_rows_behind_them() -> None:
    log = {"observations": np.zeros((6, 1)), "actions": np.zeros((6, 1)), "rewards": np.array([0, 0, 0, 0, 0, np.nan])}
    ends = np.array([0, 1, 0, 1, 0, 1])
    with pytest.raises(DatasetError, match="no episode 3 to leave out, expected a number from 0 to 2"):
        from_arrays(**log, truncations=ends, leave_out=[3])
    with pytest.raises(DatasetError, match="all of its 3 episodes are left out"):
        from_arrays(**log, truncations=ends, leave_out=[0, 1, 2])
    with pytest.raises(DatasetError) as caught:
        from_arrays(**log, next_observations=np.zeros((6, 1)), truncations=ends, leave_out=[1])
    assert caught.value.at == ("rewards", 5)
    log = {**log, "rewards": np.array([0, 0, 0, 0, np.nan, 0])}
    with pytest.raises(DatasetError) as caught:
        from_arrays(**log, truncations=ends, leave_out=[0])
    assert caught.value.at == ("rewards", 4)


def test_a_file_without_labels_has_numbers(tmp_path: Path, merpo_cli: Cli) -> None:
    log = {"observations": np.zeros((3, 5, 2)), "actions": np.zeros((3, 4, 1)), "rewards": np.ones((3, 4))}
    log["rewards"][1, 2] = np.nan
    np.savez(tmp_path / "a.npz", **log)
    assert merpo_cli("data", "import", "a.npz").code == 2
    done = merpo_cli("data", "import", "a.npz", "--leave-out", "day 1")
    assert "no episode 'day 1' to leave out, expected a number from 0, as its episodes have no labels" in done.err
    done = merpo_cli("data", "import", "a.npz", "--leave-out", "1")
    assert done.code == 0, done.err
    assert find("a")[0].manifest().episodes == 2
