"""merpo_tasks: Walker-2D-Params against its stated constants, a plain loop over MuJoCo, and its distributions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from small import make

from merpo.errors import MerpoError

mujoco = pytest.importorskip("mujoco", reason="MuJoCo is not installed")

ASSET = str(Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "walker2d.xml")


def family(**fields: Any) -> Any:
    return make("tasks", "walker-2d-params", **fields)


def test_the_body_is_that_of_rand_param_envs() -> None:
    """Places, sizes and joints as the XML in global coordinates has them."""
    env = family().make({}).unwrapped
    model, data = env.model, env.data
    mujoco.mj_forward(model, data)
    assert (model.nbody, model.ngeom, model.nv, model.nu) == (8, 8, 9, 6)
    assert (model.opt.timestep, env._simulation.frame_skip) == (0.004, 4)
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert env.metadata["render_fps"] == round(1 / 0.016)
    shapes = {  # ends of the capsules, radius, sliding friction
        "torso_geom": ((0, 0, 1.45), (0, 0, 1.05), 0.05, 0.9),
        "thigh_geom": ((0, 0, 1.05), (0, 0, 0.6), 0.05, 0.9),
        "leg_geom": ((0, 0, 0.6), (0, 0, 0.1), 0.04, 0.9),
        "foot_geom": ((0, 0, 0.1), (0.2, 0, 0.1), 0.06, 0.9),
        "thigh_left_geom": ((0, 0, 1.05), (0, 0, 0.6), 0.05, 0.9),
        "leg_left_geom": ((0, 0, 0.6), (0, 0, 0.1), 0.04, 0.9),
        "foot_left_geom": ((0, 0, 0.1), (0.2, 0, 0.1), 0.06, 1.9),
    }
    for name, (start, end, radius, friction) in shapes.items():
        i = model.geom(name).id
        centre, axis = data.geom_xpos[i], model.geom_size[i, 1] * data.geom_xmat[i].reshape(3, 3)[:, 2]
        ends = sorted([tuple((centre - axis).round(9) + 0.0), tuple((centre + axis).round(9) + 0.0)])
        assert ends == [pytest.approx(p, abs=1e-9) for p in sorted([start, end])], name
        assert (model.geom_size[i, 0], model.geom_friction[i, 0]) == pytest.approx((radius, friction)), name
        assert model.geom_friction[i, 1:].tolist() == pytest.approx([0.1, 0.1])
    anchors = {"thigh": 1.05, "leg": 0.6, "foot": 0.1}
    for name, z in anchors.items():
        for side in ("", "_left"):
            i = model.joint(f"{name}{side}_joint").id
            assert data.xanchor[i].tolist() == pytest.approx([0, 0, z]), (name, side)
            assert model.dof_damping[model.jnt_dofadr[i]] == 0.1
            assert model.dof_armature[model.jnt_dofadr[i]] == 0.01
    assert model.dof_damping[:3].tolist() == model.dof_armature[:3].tolist() == [0, 0, 0]
    assert model.actuator_gear[:, 0].tolist() == [100] * 6


@pytest.mark.parametrize("variant", ["focal", "corro"])
@pytest.mark.parametrize("derived", ["recomputed", "stale"])
def test_a_plain_loop_gives_the_same_episodes(variant: str, derived: str) -> None:
    one = family(variant=variant, derived=derived)
    ends = []
    for task in one.tasks(4, 0)[0]:
        model = mujoco.MjModel.from_xml_path(ASSET)
        model.opt.timestep = 0.004
        for body in range(8):
            model.body_mass[body] *= task["body_mass"][body]
            for axis in range(3):
                model.geom_friction[body, axis] *= task["geom_friction"][body][axis]
                model.body_inertia[body, axis] *= task["body_inertia"][body][axis] if variant == "focal" else 1.0
        for dof in range(9):
            model.dof_damping[dof] *= task["dof_damping"][dof] if variant == "focal" else 1.0
        assert model.qpos0.tolist() == [0, 1.25, 0, 0, 0, 0, 0, 0, 0]
        data = mujoco.MjData(model)
        if derived == "recomputed":
            mujoco.mj_setConst(model, data)
            assert model.body_subtreemass[0] == pytest.approx(sum(model.body_mass))
        env = one.make(task)
        seen, _ = env.reset(seed=1)
        start = np.random.Generator(np.random.PCG64(1))
        data.qpos[:] = model.qpos0 + start.uniform(-0.005, 0.005, 9)
        data.qvel[:] = start.uniform(-0.005, 0.005, 9)
        mujoco.mj_forward(model, data)
        random = np.random.default_rng(2)
        for step in range(200):
            position, speeds = data.qpos.tolist(), data.qvel.tolist()
            expected = [*position[1:], *(min(10, max(-10, v)) for v in speeds)]
            expected = expected if variant == "focal" else [*position, *speeds]
            assert seen.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-5), step
            action = (0.3 * random.normal(size=6)).clip(-1, 1).astype(np.float32)
            data.ctrl[:] = action
            x = data.qpos[0]
            for _ in range(4):
                mujoco.mj_step(model, data)
            seen, reward, terminated, truncated, _ = env.step(action)
            assert reward == pytest.approx(
                (data.qpos[0] - x) / 0.016 + 1 - 0.001 * sum(float(a) ** 2 for a in action), abs=1e-6
            )
            z, pitch = data.qpos[1], data.qpos[2]
            fallen = not (0.8 < z < 2.0 and -1.0 < pitch < 1.0) if variant == "focal" else z <= 0.5
            assert (terminated, truncated) == (fallen, step == 199)
            if terminated or truncated:
                break
        ends.append(terminated)
    assert any(ends)


def test_stale_constants_are_those_of_the_unchanged_body() -> None:
    task = family().tasks(1, 0)[0][0]
    plain = family().make({}).unwrapped.model
    stale, fresh = (family(derived=how).make(task).unwrapped.model for how in ("stale", "recomputed"))
    assert np.array_equal(stale.body_mass, fresh.body_mass)
    assert np.array_equal(stale.dof_invweight0, plain.dof_invweight0)
    assert not np.allclose(fresh.dof_invweight0, plain.dof_invweight0, rtol=0.1)
    assert np.array_equal(plain.body_mass, family().make({}).unwrapped.model.body_mass)  # nothing adds up


def test_draws_are_in_the_stated_order_of_the_legacy_generator() -> None:
    train, test = family().tasks(20, 5)
    random = np.random.RandomState(1337)
    for task in train + test:
        for name, base, shape in (
            ("body_mass", 1.5, (8, 1)), ("body_inertia", 1.5, (8, 3)), ("dof_damping", 1.3, (9, 1)),
            ("geom_friction", 1.5, (8, 3)),
        ):  # fmt: skip
            assert np.array_equal(np.ravel(task[name]), (base ** random.uniform(-3, 3, shape)).ravel()), name
    assert (len(train), len(test)) == (20, 5)


@pytest.mark.parametrize(
    ("name", "base"), [("body_mass", 1.5), ("body_inertia", 1.5), ("dof_damping", 1.3), ("geom_friction", 1.5)]
)
def test_exponents_are_uniform(name: str, base: float) -> None:
    drawn = np.concatenate([np.ravel(task[name]) for task in family(seed=3).tasks(400, 0)[0]])
    exponents = np.sort(np.log(drawn) / np.log(base))
    assert exponents[0] >= -3
    assert exponents[-1] <= 3
    distance = np.abs((exponents + 3) / 6 - np.arange(len(exponents)) / len(exponents)).max()
    assert distance < 1.95 / len(exponents) ** 0.5  # Kolmogorov-Smirnov at the level 0.001


def test_corro_draws_mass_and_friction_alone() -> None:
    assert [sorted(task) for task in family(variant="corro").tasks(2, 0)[0]] == [["body_mass", "geom_friction"]] * 2


def test_log_scale_bounds_the_multipliers() -> None:
    task = family(log_scale=0.0).tasks(1, 0)[0][0]
    assert all(np.all(np.asarray(values) == 1.0) for values in task.values())


@pytest.mark.parametrize(
    ("variant", "rows"),
    [
        (
            "focal",
            [
                ((0.81, 0.0), 0),
                ((0.79, 0.0), 1),
                ((2.01, 0.0), 1),
                ((1.2, 1.01), 1),
                ((1.2, -1.01), 1),
                ((1.9, 0.9), 0),
            ],
        ),
        ("corro", [((9.0, 0.51), 0), ((0.0, 0.49), 1), ((0.0, 3.0), 0)]),
    ],
)
def test_the_models_rollouts_end_where_the_walker_does(variant: str, rows: list[Any]) -> None:
    spec = family(variant=variant).spec()
    following = torch.zeros(len(rows), spec.observation_dim)
    following[:, :2] = torch.tensor([row for row, _ in rows])
    found = spec.terminated(torch.zeros_like(following), torch.zeros(len(rows), 6), following)
    assert found.tolist() == [float(end) for _, end in rows]


def test_multipliers_of_another_shape_are_refused() -> None:
    with pytest.raises(MerpoError, match=r"body_mass has shape \(3,\), expected multipliers \(8,\)"):
        family().make({"body_mass": [1.0, 1.0, 1.0]})
