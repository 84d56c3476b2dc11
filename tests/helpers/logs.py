"""Synthetic machine logs for tests of imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from tiny import tables

from merpo.testing.runner import MerpoRunner

COLUMNS = """\
observations = ["level", "flow"]
actions = ["valve"]
rewards = "profit"
episodes = "day"
action_low = [0.0]
action_high = [100.0]
"""


def machine(gain: float, days: int = 4, rows: int = 11, seed: int = 0) -> dict[str, Any]:
    """Columns of a machine's log: the level responds to the valve with `gain`; the reward is −|level|."""
    random = np.random.default_rng(seed)
    levels, valves = [], []
    for _ in range(days):
        level = random.normal()
        for _ in range(rows):
            valve = random.uniform(0, 100)
            levels.append(level)
            valves.append(valve)
            level = 0.9 * level + gain * (valve / 50 - 1)
    level_, valve_ = np.asarray(levels), np.asarray(valves)
    return {
        "day": [f"day {d}" for d in range(days) for _ in range(rows)],
        "level": level_, "flow": gain * valve_, "valve": valve_, "profit": -np.abs(level_),
    }  # fmt: skip


def write_csv(path: Path, columns: dict[str, Any]) -> Path:
    """Write columns to a csv file; returns its path."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_machines(folder: Path, gains: list[float]) -> Path:
    """Write a csv file per machine into a folder, and columns.toml beside it; returns the folder."""
    for i, gain in enumerate(gains):
        write_csv(folder / f"pump-{i}.csv", machine(gain, seed=i))
    (folder.parent / "columns.toml").write_text(COLUMNS, "utf-8")
    return folder


MACHINE = """\
observations = ["level", "flow <b>"]
actions = ["valve", "heater"]
rewards = "profit"
episodes = "day"
action_low = [0.0, -5.0]
action_high = [100.0, 1e6]
"""


def machine_run(store: Path, folder: Path) -> Path:
    """A finished run on two logs of a machine with a valve from 0 to 100 and a heater from -5 to 1e6."""
    random = np.random.default_rng(0)
    for i, name in enumerate("ab"):
        columns = machine(1.0 + i, seed=i)
        columns["flow <b>"] = columns.pop("flow")
        columns["heater"] = random.uniform(-5, 1e6, len(columns["valve"]))
        write_csv(folder / "pumps" / f"{name}.csv", columns)
    (folder / "columns.toml").write_text(MACHINE, "utf-8")
    (folder / "tasks.toml").write_text("[a]\nload = 1\n[b]\nload = 2\n", "utf-8")
    recipe = tables({"evaluate": {"videos": 0}})
    recipe["tasks"] = {"component": "logs", "observation_dim": 2, "action_dim": 2}
    recipe["data"] = {"train": ["store:pumps/a"], "test": ["store:pumps/b"]}
    (folder / "recipe.toml").write_text(tomli_w.dumps(recipe), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        merpo = MerpoRunner(folder)
        more = ("--columns", folder / "columns.toml", "--task-params", folder / "tasks.toml")
        for command in (
            ("data", "import", folder / "pumps", *more), ("run", folder / "recipe.toml", "--out", folder / "run"),
        ):  # fmt: skip
            answer = merpo(*command)
            assert answer.code == 0, answer.err
    return folder / "run"
