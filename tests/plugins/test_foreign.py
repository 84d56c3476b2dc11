"""bench/foreign: the laws of its families, their grids and logs, and how large their numbers are."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from merpo_foreign import merpo_components
from merpo_foreign.logs import episode_returns, parameters_of, scripted
from merpo_foreign.simulated import Simulated
from merpo_foreign.suite import DEVELOPMENT, FAMILIES, QUALITIES, REPORTING, family, suite_logs

from merpo.components.grid import EnvGrid
from merpo.data.columns import read_columns
from merpo.data.import_logs import import_logs, read_task_params
from merpo.data.named import read_named
from merpo.data.validate import check_datasets
from merpo.evaluation.evaluate import evaluate, starts
from merpo.testing import check_component

FOREIGN = Path(__file__).resolve().parents[2] / "bench" / "foreign"
NAMES = [cls.name.removeprefix("foreign-") for cls in FAMILIES]
SIZES = {  # of the good logs: standard deviations of observations, means of the rewards' sizes, at least and at most
    "heating": ((0.5, 10.0), (50.0, 500.0)),
    "cart": ((0.01, 1.0), (5e-4, 1e-3)),
    "stage": ((1e-4, 1e-3), (0.1, 1.0)),
    "reservoir": ((0.5, 1e5), (5e3, 2e4)),
    "arm": ((0.02, 1.0), (0.1, 0.5)),
    "vehicle": ((2e-3, 2.0), (0.5, 1.0)),
    "battery": ((0.5, 30.0), (5.0, 30.0)),
    "inventory": ((0.5, 100.0), (100.0, 1000.0)),
}


@pytest.fixture(params=NAMES)
def one(request: pytest.FixtureRequest) -> Simulated:
    return family(request.param)


def test_the_suite_has_every_family_once() -> None:
    assert set(merpo_components()) == set(FAMILIES)
    assert not set(DEVELOPMENT) & set(REPORTING)
    assert {len(one.controllers) for one in FAMILIES} == {len(QUALITIES)}
    assert SIZES.keys() == set(NAMES)


@pytest.mark.parametrize("cls", FAMILIES, ids=NAMES)
def test_the_laws_of_families(cls: type[Simulated]) -> None:
    check_component(cls, horizon=6)


def test_a_grid_equals_environments_that_are_stepped_one_by_one(one: Simulated) -> None:
    short = type(one)(horizon=30)
    tasks = short.tasks(2, 1)[0]
    grids = short.grid(tasks, 3, 5, restart=False), EnvGrid(short.make, tasks, 3, 5, restart=False)
    source = torch.Generator().manual_seed(0)
    while grids[0].running.any():
        assert np.array_equal(grids[0].running, grids[1].running)
        actions = 2.4 * torch.rand(2, 3, short.action_dim, generator=source) - 1.2
        batches = [grid.step(grid.observations(), actions.clamp(-1.0, 1.0)) for grid in grids]
        running = torch.as_tensor(grids[0].running)
        for name in ("observations", "next_observations", "rewards", "terminations"):
            found, expected = (getattr(batch, name) for batch, _ in batches)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7, msg=name)
        assert torch.equal(batches[0][1], batches[1][1])
        assert running.any() or bool((batches[0][1] + batches[0][0].terminations).max() == 1.0)
    assert not grids[1].running.any()


def test_returns_are_those_of_an_evaluation(one: Simulated) -> None:
    tasks = one.tasks(2, 1)[0]
    parameters = parameters_of(one, tasks)
    policy = scripted(one, parameters, one.controllers["good"].gains)
    found = episode_returns(one, parameters, policy, 3, starts(1))

    def act(observations: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(policy(observations.numpy().astype(float))).clamp(-1.0, 1.0)

    expected = evaluate(one, tasks, act, 3, starts(1)).returns
    assert found == pytest.approx(expected.numpy(), rel=2e-2)  # observations have single precision in a grid


def returns(one: Simulated, quality: str) -> float:
    return float(np.mean([data.episode_returns().mean() for data in suite_logs(one, quality, 4, 0)[0]]))


def test_logs_are_ordered_by_their_quality_and_leave_room(one: Simulated) -> None:
    poor, medium, good = (returns(one, quality) for quality in ("poor", "medium", "good"))
    assert poor < medium < good
    assert medium < poor + 0.95 * (good - poor)


def test_logs_are_the_same_on_every_call(one: Simulated) -> None:
    first, again = (suite_logs(one, "medium", 1, 2) for _ in range(2))
    for data, same in zip((*first[0], *first[1]), (*again[0], *again[1]), strict=True):
        assert data.name == same.name
        assert data.task == same.task
        for key in ("observations", "actions", "rewards", "next_observations", "terminations"):
            assert torch.equal(getattr(data, key), getattr(same, key))
    assert not torch.equal(first[1][0].actions[:5], suite_logs(one, "poor", 1, 2)[1][0].actions[:5])


def test_logs_have_the_documented_sizes(one: Simulated) -> None:
    train, test = suite_logs(one, "good", 2, 4)
    check_datasets([*train, *test], 16)
    assert all(1500 <= len(data) <= 6000 for data in train)
    episodes = [len(data.episode_offsets) - 1 for data in test]
    assert all(5 <= count <= 40 for count in episodes)
    assert len(set(episodes)) > 1
    observations, rewards = SIZES[one.name.removeprefix("foreign-")]
    std = torch.stack([data.observations.std(0) for data in train])
    assert observations[0] <= float(std.min())
    assert float(std.max()) <= observations[1]
    size = float(torch.stack([data.rewards.abs().mean() for data in train]).mean())
    assert rewards[0] <= size <= rewards[1]
    ended = sum(float(data.terminations.sum()) for data in suite_logs(one, "poor", 2, 0)[0])
    assert (ended > 0) == one.terminates


def blind(name: str, gains: Sequence[float], believed: dict[str, float]) -> tuple[float, float]:
    """Returns on six tasks of a controller that knows its task, and of one that believes the same of every task."""
    one = family(name)
    parameters = parameters_of(one, one.tasks(6, 1)[0])
    wrong = parameters | {key: np.full((6, 1), value) for key, value in believed.items()}
    told = episode_returns(one, parameters, scripted(one, parameters, gains), 5, 0).mean()
    return float(told), float(episode_returns(one, parameters, scripted(one, wrong, gains), 5, 0).mean())


def test_who_does_not_know_the_task_earns_clearly_less() -> None:
    told, untold = blind("arm", family("arm").controllers["good"].gains, {"reach": 0.5, "bearing": 0.0})
    assert untold < 3.0 * told < 0.0
    for axle in (-0.5, 0.5):
        told, untold = blind("vehicle", family("vehicle").controllers["good"].gains, {"axle": axle})
        assert untold < 0.7 * told


def test_the_store_and_a_users_files_hold_the_same_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import make_data

    few = ["make_data.py", "--families", "arm", "cart", "--qualities", "medium", "--train", "2", "--test", "1"]
    for more in ([], [], ["--csv", str(tmp_path)]):  # twice: the second time finds the same bits
        monkeypatch.setattr(sys, "argv", [*few, *more])
        make_data.main()
    for name in ("foreign-arm", "foreign-cart"):
        stored = read_named([f"store:{name}-medium"])
        assert [data.name for data, _ in stored] == ["test-00", "train-00", "train-01"]
        assert {manifest.family for _, manifest in stored} == {name}
        folder = tmp_path / f"{name}-medium"
        for part in ("train", "test"):
            params = read_task_params(folder / f"{part}.toml")
            columns = read_columns(folder / "columns.toml")
            import_logs([folder / part], f"{name}-csv", columns, params, note=lambda _: None)
        read = {data.name: data for data, _ in read_named([f"store:{name}-csv"])}
        for data, _ in stored:
            again = read[data.name]
            kept = torch.ones(len(data), dtype=torch.bool)
            if name == "foreign-arm":  # without next observations, an episode's last row has none
                kept[data.episode_offsets[1:] - 1] = False
            assert again.task == data.task
            for key in ("observations", "actions", "rewards", "next_observations", "terminations"):
                assert torch.equal(getattr(again, key), getattr(data, key)[kept]), key


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "written"),
    [
        ("references", "foreign_references"),
        ("pooled_clone", "foreign_pooled"),
        ("d3rlpy_baselines", "foreign_d3rlpy"),
    ],
)
def test_a_script_runs_at_its_smallest_size(script: str, written: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, str(FOREIGN / f"{script}.py"), "--tiny", "--out", str(out)],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if script == "d3rlpy_baselines" and importlib.util.find_spec("d3rlpy") is None:
        assert done.stdout.startswith("skipped: d3rlpy is not installed")
        return
    found = json.loads((out / f"{written}.json").read_text("utf-8"))
    assert found.keys() > {"arguments"}
