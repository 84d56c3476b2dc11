"""What `merpo data import` and `merpo data show` say of a log: what was left out, not used, clipped, held."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Answer
from conventions import d4rl, make_log
from logs import write_csv, write_machines
from logs_recipes import logs_tables

from merpo.data.catalog import collections, find
from merpo.data.columns import read_columns
from merpo.data.import_any import import_any
from merpo.data.import_logs import import_logs
from merpo.data.import_summary import summary_lines
from merpo.data.needed import load_data
from merpo.data.reading.account import stored_account
from merpo.data.store import read_dataset
from merpo.errors import DatasetError
from merpo.recipe.recipe import from_tables

Cli = Callable[..., Answer]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def write_npz(path: Path, **changes: Any) -> Path:
    """A file with D4RL's names: two episodes end by the task, one by a time limit; a reward of 1 at their ends."""
    log = make_log([4, 4, 4], [True, True, False])
    arrays = {**d4rl(log), "rewards": log.last().astype(float), "infos": np.arange(12.0), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_the_import_says_what_it_did_and_show_says_it_again(merpo_cli: Cli, tmp_path: Path) -> None:
    write_npz(tmp_path / "robot.npz")
    done = merpo_cli("data", "import", "robot.npz")
    assert done.code == 0, done.err
    told = [
        "left out: 1 of 12 rows, after which the log has no observation, with a reward of 1.00 in total",
        "mean return: 1.00 in the log, 0.67 stored",
        "read as terminations: terminals, truncations: timeouts",
        "not used: infos",
        "2 of 3 episodes terminate",
        "ranges, as stored: observation 0 ",
        "look at it: merpo data show robot",
    ]
    for line, expected in zip(done.out.splitlines()[1:], told, strict=True):
        assert line.strip().startswith(expected)
    shown = merpo_cli("data", "show", "robot").out
    for line in ("return             0.67 ± 0.47", "return in the log  1.00 ± 0.00", *told[2:5]):
        assert line in shown
    assert told[0] in shown


def test_what_holds_for_all_files_is_said_once(merpo_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "robots").mkdir()
    for i in range(8):
        write_npz(tmp_path / "robots" / f"robot-{i}.npz", rewards=np.where(np.arange(12) == i, 1e9, np.arange(12.0)))
    done = merpo_cli("data", "import", "robots")
    assert done.out.count("not used: infos") == 1
    assert done.out.count("extreme value: rewards is 1e+09 at row") == 5
    assert "robot-4: extreme value: rewards is 1e+09 at row 4" in done.out
    assert "and notes on 3 datasets more, which merpo data show prints" in done.out
    assert "extreme value: rewards is 1e+09 at row 7" in merpo_cli("data", "show", "robots/robot-7").out


def test_an_older_or_collected_dataset_has_no_account(tmp_path: Path) -> None:
    from merpo.data.import_summary import account_rows

    assert summary_lines([]) == []
    for settings in ({}, {"read": None}, {"read": {"logged_rows": "x"}}):
        assert stored_account(settings) is None
        assert account_rows(settings) == {}


OPTIONS = [
    (["--gaps", "drop"], {"observations": np.where(np.arange(24).reshape(12, 2) == 9, np.nan, 1.0)}, "1 of 3 episodes"),
    (["--gaps", "hold"], {"observations": np.where(np.arange(24).reshape(12, 2) == 11, np.nan, 1.0)}, "held 1 of obs"),
    (["--missing=-9999", "--gaps=drop"], {"actions": np.where(np.arange(12) == 5, -9999, 0.5)}, "1 of 3 episodes"),
    (["--clip-actions"], {"actions": np.linspace(1.04, -1, 12)}, "actions clipped to their bounds in 1 of 11 rows"),
    (["--action-low=0", "--action-high", "12"], {"actions": np.arange(12.0)}, "ranges"),
    (["--action-low=-1,0", "--action-high=12,1"], {"actions": np.tile([[12.0, 0.5]], (12, 1))}, "ranges"),
    (
        ["--subtract", "observations[1]=1e9"],
        {"observations": np.arange(24.0).reshape(12, 2) + np.array([0, 1e9])},
        "− 1000000000",
    ),
    (["--ignore", "bit"], {"bit": np.arange(12) % 3 == 0}, "not used: infos, bit"),
    (["--flatten"], {"observations": np.arange(12 * 6).reshape(12, 3, 2).astype(np.uint8)}, "observation 5"),
]


@pytest.mark.parametrize(("options", "changes", "told"), OPTIONS, ids=[str(each[0]) for each in OPTIONS])
def test_each_option_is_what_lets_the_file_in(
    merpo_cli: Cli, tmp_path: Path, options: list[str], changes: dict[str, Any], told: str
) -> None:
    write_npz(tmp_path / "robot.npz", **changes)
    refused = merpo_cli("data", "import", "robot.npz")
    assert refused.code == 2
    assert refused.err.startswith("error: robot.npz: ")
    assert collections() == []
    done = merpo_cli("data", "import", "robot.npz", *options)
    assert done.code == 0, done.err
    assert told in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gaps", "fill"], "merpo data import: gaps: got 'fill', expected 'refuse', 'drop' or 'hold'"),
        (["--action-low", "x", "--action-high", "1"], "--action-low: got 'x', expected a number"),
        (["--action-low=nan", "--action-high", "1"], "action_low"),
        (["--action-low", "0"], "action_low and action_high are 0.0 and None, expected both or neither"),
        (["--action-low=0,0", "--action-high=1,1"], "expected a finite number or 1 of them"),
        (["--subtract", "3"], "--subtract: got '3', expected COLUMN=NUMBER"),
        (["--subtract", "observations[1]=x"], "--subtract: got 'x', expected a number"),
        (["--subtract", "observation=3"], r"subtract: no observation 'observation' \(did you mean 'observations'"),
    ],
)
def test_options_that_are_wrong_are_named(merpo_cli: Cli, tmp_path: Path, options: list[str], message: str) -> None:
    write_npz(tmp_path / "robot.npz")
    done = merpo_cli("data", "import", "robot.npz", *options)
    assert done.code == 2
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(done.err)


def test_options_replace_what_the_mapping_says(tmp_path: Path) -> None:
    folder = write_machines(tmp_path / "pumps", [0.1])
    (tmp_path / "wide.toml").write_text((tmp_path / "columns.toml").read_text() + "clip_actions = true\n")
    import_any([str(folder)], "wide", tmp_path / "wide.toml", changes={"action_high": (200.0,)})
    import_any([str(folder)], "same", tmp_path / "columns.toml")
    (wide,), (same,) = (find(name) for name in ("wide", "same"))
    a, b = (read_dataset(one.folder, one.name)[0].actions for one in (wide, same))
    np.testing.assert_allclose((a + 1) * 100, (b + 1) * 50, rtol=1e-5)
    assert wide.manifest().settings["columns"]["clip_actions"] is True


def test_datasets_of_a_recipe_have_the_same_numbers_subtracted(tmp_path: Path) -> None:
    for name, gains in (("pumps", [0.1, 0.2]), ("new", [0.15, 0.35])):
        folder = write_machines(tmp_path / name, gains)
        import_any([str(folder)], None, tmp_path / "columns.toml", changes={"subtract": {"level": 3.0}})
    recipe = from_tables(logs_tables())
    train, test = load_data(recipe, 2)
    assert len(train) + len(test) == 4
    write_machines(tmp_path / "new", [0.15, 0.35])
    import_any([str(tmp_path / "new")], "other", tmp_path / "columns.toml", changes={"subtract": {"level": 4.0}})
    changed = from_tables(logs_tables({"data": {"test": ["store:other"]}}))
    with pytest.raises(
        DatasetError, match=r"other/pump-0: \[4.0, 0.0\] were subtracted .* expected \[3.0, 0.0\] as in"
    ):
        load_data(changed, 2)


def test_the_files_names_of_columns_are_in_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(
        tmp_path / "a.csv", {"obs_0": [1.0, 2.0], "obs_1": [3.0, 4.0], "action": [0.1, 0.2], "reward": [5.0, 6.0]}
    )
    import_logs([tmp_path / "a.csv"], "a", read_columns(None), {})
    assert "ranges, as stored: obs_0 1 to 1; obs_1 3 to 3; action 0.1 to 0.1; reward 5 to 5" in capsys.readouterr().out
