"""merpo_tasks.gym_ids: what Gymnasium finds by which name."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import pytest

from merpo_tasks.gym_ids import IDS

NAMES = {"PointRobotWind", "SparsePointRobot", "HalfCheetahFwdBack", "Walker2DParams", "AntFwdBack", "Locomotion"}


def test_the_ids_are_these() -> None:
    assert set(IDS) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_id_is_registered_with_its_environment_and_time_limit(name: str) -> None:
    spec = gymnasium.spec(f"merpo/{name}-v0")
    assert (spec.entry_point, spec.max_episode_steps) == IDS[name]
    assert str(spec.entry_point).endswith(f":{name}Env")
    if "Robot" not in name:
        pytest.importorskip("mujoco.batch")
    assert issubclass(gymnasium.envs.registration.load_env_creator(str(spec.entry_point)), gymnasium.Env)


@pytest.mark.parametrize("module", ["gym_ids", "environments"])
def test_a_module_in_front_of_the_id_registers_it(module: str) -> None:
    """In a process of its own, which has imported neither; the second is the module's earlier name."""
    code = f"import gymnasium; print(gymnasium.make('merpo_tasks.{module}:merpo/PointRobotWind-v0').spec.id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "merpo/PointRobotWind-v0", done.stderr
