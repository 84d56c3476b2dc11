"""merpo_tasks.mujoco.grid: the very numbers of Gymnasium's environments, with any threads and in any company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, final

import gymnasium
import numpy as np
import pytest
import torch
from pydantic import Field

from merpo.components.grid import EnvGrid
from merpo.components.interfaces import TaskFamily
from merpo.evaluation.evaluate import evaluate
from merpo.testing import check_component
from merpo.types import Grid, Spec, Task

pytest.importorskip("mujoco.batch", reason="MuJoCo is not installed, or older than merpo's extra `mujoco` asks for")

from merpo_tasks.mujoco.bodies import _compiled, asset, half_cheetah, walker2d
from merpo_tasks.mujoco.grid import MujocoGrid
from merpo_tasks.mujoco.simulation import Simulation, logged_warnings

CHEETAH, WALKER = "HalfCheetah-v5", "Walker2d-v5"
BODIES = {CHEETAH: (half_cheetah, "half_cheetah.xml"), WALKER: (walker2d, "walker2d_v5.xml")}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Gymnasium's half cheetah makes MuJoCo warn whenever it is loaded."""
    with logged_warnings():
        yield


def healthy(observations: torch.Tensor, actions: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    height, angle = following[..., 0], following[..., 1]
    return 1.0 - ((height > 0.8) & (height < 2.0) & (angle.abs() < 1.0)).float()


@final
class Heavier(TaskFamily):
    """Bodies whose parts are heavier by a factor that is the task."""

    name = "heavier"

    body: Literal["HalfCheetah-v5", "Walker2d-v5"] = Field("Walker2d-v5", description="Gymnasium's name.")
    horizon: int = Field(60, ge=1, description="Steps per episode.")
    together: bool = Field(True, description="Step arrays of states, not Gymnasium's environments.")

    def spec(self) -> Spec:
        return Spec(17, 6, healthy if self.body == WALKER else None)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        made: list[Task] = [{"factor": 1.0 + 0.1 * i} for i in range(train + test)]
        return made[:train], made[train:]

    def make(self, task: Task) -> Any:
        env: Any = gymnasium.make(self.body, max_episode_steps=self.horizon)
        env.unwrapped.model.body_mass[:] *= task["factor"]
        return env

    def grid(self, tasks: Any, episodes: int, seed: int, restart: bool) -> Grid:
        if not self.together:
            return super().grid(tasks, episodes, seed, restart)
        return MujocoGrid(simulation(self, tasks), episodes, seed, restart)


def simulation(family: Heavier, tasks: list[Task]) -> Simulation:
    body, file = BODIES[family.body]
    models = [asset(file) for _ in tasks]
    for model, task in zip(models, tasks, strict=True):
        model.body_mass[:] *= task["factor"]
    return body(models, family.horizon)


def actions(step: int, tasks: int, episodes: int, scale: float = 1.0) -> torch.Tensor:
    """Actions [T, E, 6], some outside the box; a task's are the same whichever tasks are beside it."""
    draws = [np.random.default_rng((step, t)).normal(size=(episodes, 6)) for t in range(tasks)]
    return torch.as_tensor(scale * np.stack(draws), dtype=torch.float32)


@pytest.mark.parametrize(
    ("body", "scale", "least", "most"), [(CHEETAH, 1.0, 60, 60), (WALKER, 1.0, 5, 50), (WALKER, 0.02, 50, 60)]
)
def test_trajectories_are_those_of_a_plain_loop(body: str, scale: float, least: int, most: int) -> None:
    family = Heavier(body=body)
    tasks, _ = family.tasks(2, 0)
    grid, steps = family.grid(tasks, 2, 7, restart=False), []
    while grid.running.any():
        seen = grid.observations()
        steps.append((seen, *grid.step(seen, actions(len(steps), 2, 2, scale))))
    lengths = {}
    for t, e in np.ndindex(2, 2):
        env = family.make(tasks[t])
        observation, _ = env.reset(seed=7 + e)
        for step, (seen, batch, cuts) in enumerate(steps):
            assert seen[t, e].tolist() == observation.astype(np.float32).tolist(), (t, e, step)
            move = actions(step, 2, 2, scale)[t, e].numpy()
            observation, reward, terminated, truncated, _ = env.step(move)
            assert batch.next_observations[t, e].tolist() == observation.astype(np.float32).tolist(), (t, e, step)
            assert batch.rewards[t, e] == np.float32(reward), (t, e, step)
            assert (batch.terminations[t, e], cuts[t, e]) == (terminated, truncated), (t, e, step)
            lengths[t, e] = step + 1
            if terminated or truncated:
                break
        for seen, batch, cuts in steps[lengths[t, e] :]:
            assert torch.equal(batch.next_observations[t, e], seen[t, e])
            assert batch.rewards[t, e] == batch.terminations[t, e] == cuts[t, e] == 0
    assert all(least <= length <= most for length in lengths.values()), lengths


@pytest.mark.parametrize("body", [CHEETAH, WALKER])
def test_evaluation_is_that_of_gymnasiums_environments(body: str) -> None:
    families = [Heavier(body=body, horizon=40, together=together) for together in (True, False)]
    found, expected = (evaluate(family, family.tasks(2, 0)[0], act, 3, 1) for family in families)
    assert torch.equal(found.returns, expected.returns)
    assert torch.equal(found.lengths, expected.lengths)
    assert found.trajectories == expected.trajectories


def act(observations: torch.Tensor) -> torch.Tensor:
    return (3.0 * observations[..., -6:]).tanh()


@pytest.mark.parametrize("body", [CHEETAH, WALKER])
def test_episodes_start_again_as_gymnasiums_do(body: str) -> None:
    family = Heavier(body=body, horizon=15)
    tasks, _ = family.tasks(2, 0)
    ours, theirs = family.grid(tasks, 2, 3, True), EnvGrid(family.make, tasks, 2, 3, True)
    ends = 0.0
    for step in range(40):
        seen = ours.observations()
        assert torch.equal(seen, theirs.observations()), step
        (one, cuts), (two, other) = (grid.step(seen, actions(step, 2, 2)) for grid in (ours, theirs))
        assert all(torch.equal(x, y) for x, y in zip((*one, cuts), (*two, other), strict=True)), step
        assert ours.running.all()
        ends += float(one.terminations.sum() + cuts.sum())
    assert ends >= 8


def test_threads_and_company_change_nothing() -> None:
    family = Heavier()
    tasks, _ = family.tasks(3, 0)

    def play(chosen: slice, threads: int) -> torch.Tensor:
        torch.set_num_threads(threads)
        grid = family.grid(tasks[chosen], 2, 0, restart=False)
        torch.set_num_threads(1)
        batches = [grid.step(grid.observations(), actions(step, 3, 2)[chosen])[0] for step in range(20)]
        return torch.stack([batch.next_observations for batch in batches])

    together = play(slice(None), 1)
    assert torch.equal(play(slice(None), 3), together)
    assert torch.equal(play(slice(1, 2), 1), together[:, 1:2])


def test_what_mujoco_derives_can_be_read() -> None:
    """FOCAL's cheetah sees its torso's position, which after a step is that before MuJoCo's last small one."""
    family = Heavier(body=CHEETAH, horizon=10)
    tasks, _ = family.tasks(2, 0)
    seen = {"observe": lambda state: state["xpos"][..., 1, :], "fields": ("qpos", "qvel", "xpos")}
    one = replace(simulation(family, tasks), **seen)
    grid, env = MujocoGrid(one, 1, 0, restart=False), family.make(tasks[1])
    env.reset(seed=0)
    for step in range(10):
        torso = env.unwrapped.get_body_com("torso").astype(np.float32)
        assert grid.observations()[1, 0].tolist() == torso.tolist()
        move = actions(step, 2, 1)
        grid.step(grid.observations(), move)
        env.step(move[1, 0].numpy())


@pytest.mark.parametrize("huge", [1e12, np.nan])
def test_an_unstable_simulation_ends_and_earns_nothing(huge: float) -> None:
    """MuJoCo itself puts such a body back to its first state, which would be a leap that is paid for."""
    family = Heavier(body=CHEETAH, horizon=9)
    for restart in (False, True):
        grid = MujocoGrid(simulation(family, family.tasks(2, 0)[0]), 1, 0, restart)
        for step in range(3):
            grid.step(grid.observations(), actions(step, 2, 1))
        grid._batch.qvel[1] = huge
        batch, cuts = grid.step(grid.observations(), actions(3, 2, 1))
        assert batch.terminations.tolist() == [[0.0], [1.0]]
        assert batch.rewards[1, 0] == 0 != batch.rewards[0, 0]
        assert torch.isfinite(batch.next_observations).all()
        assert not cuts.any()
        assert grid.running.tolist() == [[True], [restart]]
        batch, _ = grid.step(grid.observations(), actions(4, 2, 1))
        assert not batch.terminations.any(), "what began anew is stable"
        assert bool(batch.rewards[1, 0]) == restart


def test_nothing_moves_when_all_have_ended() -> None:
    family = Heavier(body=CHEETAH, horizon=3)
    grid = family.grid(family.tasks(2, 0)[0], 1, 0, restart=False)
    for _ in range(3):
        grid.step(grid.observations(), torch.zeros(2, 1, 6))
    assert not grid.running.any()
    seen = grid.observations()
    batch, cuts = grid.step(seen, torch.ones(2, 1, 6))
    assert torch.equal(batch.next_observations, seen)
    assert batch.rewards.tolist() == batch.terminations.tolist() == cuts.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("body", [CHEETAH, WALKER])
def test_a_family_with_such_a_grid_keeps_the_laws(body: str) -> None:
    check_component(Heavier, body=body, horizon=20)


def test_a_model_is_loaded_quietly_and_is_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mujoco

    monkeypatch.chdir(tmp_path)
    mujoco.set_mju_user_warning(None)
    _compiled.cache_clear()
    one, other = asset("half_cheetah.xml"), asset("half_cheetah.xml")
    one.body_mass[:] = 1.0
    assert not np.array_equal(one.body_mass, other.body_mass)
    assert list(tmp_path.iterdir()) == []
    assert mujoco.get_mju_user_warning() is None
