"""merpo_tasks: Ant-Fwd-Back against a plain loop over MuJoCo, and its stated tasks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from small import make

mujoco = pytest.importorskip("mujoco", reason="MuJoCo is not installed")

ASSET = str(Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "ant.xml")


def family(**fields: Any) -> Any:
    return make("tasks", "ant-fwd-back", **fields)


def test_the_body_is_that_of_focal() -> None:
    model = family().make({"angle": 0.0}).unwrapped.model
    assert (model.nbody, model.nq, model.nv, model.nu) == (14, 15, 14, 8)
    assert model.opt.timestep == 0.01
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert model.actuator_gear[:, 0].tolist() == [150] * 8


@pytest.mark.parametrize(
    ("variant", "contact", "angle", "size"),
    [
        ("focal", "counted", 0.0, 0.2),
        ("focal", "counted", math.pi, 1.0),
        ("focal", "zero", math.pi, 0.2),
        ("corro", "counted", 1.0, 1.0),
    ],
)
def test_a_plain_loop_gives_the_same_episode(variant: str, contact: str, angle: float, size: float) -> None:
    """The torso's place is where MuJoCo leaves it; the forces are those before its last small step, here of a copy."""
    model = mujoco.MjModel.from_xml_path(ASSET)
    data, copy = mujoco.MjData(model), mujoco.MjData(model)
    start = np.random.Generator(np.random.PCG64(1))
    data.qpos[:] = model.qpos0 + start.uniform(-0.1, 0.1, 15)
    data.qvel[:] = 0.1 * start.standard_normal(14)
    mujoco.mj_forward(model, data)
    env = family(variant=variant, contact=contact).make({"angle": angle})
    seen, _ = env.reset(seed=1)
    place, random, forces = data.xpos[1].copy(), np.random.default_rng(2), []
    for step in range(200):
        assert seen.tolist() == pytest.approx([*data.qpos[2:], *data.qvel], rel=1e-4, abs=1e-4), step
        action = random.uniform(-size, size, 8).astype(np.float32)
        data.ctrl[:] = action
        for _ in range(4):
            mujoco.mj_step(model, data)
        mujoco.mj_copyData(copy, model, data)
        mujoco.mj_forward(model, copy)
        mujoco.mj_rnePostConstraint(model, copy)
        mujoco.mj_step(model, data)
        seen, reward, terminated, truncated, _ = env.step(action)
        velocity = (data.xpos[1] - place) / 0.05
        place = data.xpos[1].copy()
        forces.append(sum(float(min(1, max(-1, f))) ** 2 for f in copy.cfrc_ext.flat))
        expected = velocity[0] * math.cos(angle) + velocity[1] * math.sin(angle)
        if variant == "focal":
            expected += 1 - 0.5 * sum(float(a) ** 2 for a in action)
            expected -= 0.0005 * forces[-1] if contact == "counted" else 0
        assert reward == pytest.approx(expected, abs=1e-5), step
        fallen = variant == "focal" and not 0.2 <= data.qpos[2] <= 1.0
        assert (terminated, truncated) == (fallen, step == 199)
        if terminated:
            break
    assert max(forces) > 1.0


def test_focals_tasks_are_forward_and_backward_and_the_unseen_ones_are_the_same_two() -> None:
    train, test = family().tasks(2, 2)
    assert train == test == [{"angle": 0.0}, {"angle": math.pi}]


def test_corros_angles_are_uniform() -> None:
    train, test = family(variant="corro").tasks(300, 100)
    angles = np.sort([task["angle"] for task in train + test])
    distance = np.abs(angles / (2 * math.pi) - np.arange(400) / 400).max()
    assert distance < 1.95 / 20  # Kolmogorov-Smirnov at the level 0.001
    assert train[0] != train[1]


def test_the_models_rollouts_end_where_the_ant_does() -> None:
    terminated = family().spec().terminated
    following = torch.zeros(6, 27)
    following[:, 0] = torch.tensor([0.19, 0.21, 0.99, 1.01, 0.5, math.nan])
    following[4, 20] = math.inf
    assert terminated(following, torch.zeros(6, 8), following).tolist() == [1, 0, 0, 1, 1, 1]
    assert family(variant="corro").spec().terminated is None
