"""The families of MuJoCo bodies: what all of them keep, as Gymnasium's environments and as grids."""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import pickle
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from small import make

from merpo.components.grid import EnvGrid
from merpo.errors import MerpoError
from merpo.evaluation.evaluate import evaluate
from merpo.testing import check_component
from merpo_tasks import _checks

pytest.importorskip("mujoco.batch", reason="MuJoCo is not installed, or older than merpo's extra `mujoco` asks for")

# Family, its settings, and its registered environment.
FAMILIES: list[tuple[str, dict[str, Any], str]] = [
    ("half-cheetah-fwd-back", {}, "HalfCheetahFwdBack"),
    ("half-cheetah-fwd-back", {"variant": "corro"}, "HalfCheetahFwdBack"),
    ("walker-2d-params", {}, "Walker2DParams"),
    ("walker-2d-params", {"variant": "corro"}, "Walker2DParams"),
    ("walker-2d-params", {"derived": "stale"}, "Walker2DParams"),
    ("ant-fwd-back", {}, "AntFwdBack"),
    ("ant-fwd-back", {"variant": "corro"}, "AntFwdBack"),
    ("ant-fwd-back", {"contact": "zero"}, "AntFwdBack"),
]
EACH = pytest.mark.parametrize(
    ("name", "fields", "id_"),
    FAMILIES,
    ids=["-".join([name, *map(str, fields.values())]) for name, fields, _ in FAMILIES],
)


@pytest.fixture(autouse=True)
def _folder_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """No environment writes MUJOCO_LOG.TXT or anything else where it is used."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


def bare(name: str, fields: dict[str, Any]) -> Any:
    """The environment of the first task, without wrappers."""
    family = make("tasks", name, **fields)
    return family.make(family.tasks(2, 0)[0][0]).unwrapped


def play(env: Any, steps: int = 15, seed: int = 0) -> list[list[float]]:
    """Observations and rewards along seeded random actions."""
    random, rows = np.random.default_rng(seed), []
    rows.append(env.reset(seed=seed)[0].tolist())
    for _ in range(steps):
        seen, reward, *_ = env.step(random.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        rows.append([*seen.tolist(), reward])
    return rows


@EACH
def test_the_laws_of_families(name: str, fields: dict[str, Any], id_: str) -> None:
    check_component(type(make("tasks", name)), horizon=15, **fields)


@EACH
def test_gymnasium_makes_and_checks_the_registered_environment(name: str, fields: dict[str, Any], id_: str) -> None:
    family = make("tasks", name, **fields)
    arguments = {key: value for key, value in bare(name, fields)._arguments.items() if key != "render_mode"}
    env = gymnasium.make(f"merpo_tasks.gym_ids:merpo/{id_}-v0", **arguments)
    assert env.spec is not None
    assert env.observation_space.shape == (family.spec().observation_dim,)
    assert env.spec.max_episode_steps == make("tasks", name).horizon == 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(infinity|precision lowered|render).*")
        check_env(env.unwrapped)
        check_env(gymnasium.make(env.spec.id, **{**arguments, **family.tasks(2, 0)[0][1]}).unwrapped)


@pytest.mark.parametrize(
    ("id_", "arguments", "message"),
    [
        (
            "Walker2DParams",
            {"variant": "coro"},
            r"variant: got 'coro' \(did you mean 'corro'\?\), expected one of: focal",
        ),
        ("AntFwdBack", {"variant": "nope"}, "variant: got 'nope', expected one of: focal, corro"),
        ("HalfCheetahFwdBack", {"direction": 3.7}, "direction: got 3.7, expected one of: -1.0, 1.0"),
        ("Locomotion", {"body": "ant"}, "body: got 'ant', expected one of: halfcheetah, hopper, walker2d"),
        ("SparsePointRobot", {"reward": "x"}, "reward: got 'x', expected one of: dense, sparse"),
    ],
)
def test_an_unknown_argument_is_no_other_benchmark(id_: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(MerpoError, match=message):
        gymnasium.make(f"merpo_tasks.gym_ids:merpo/{id_}-v0", **arguments)


@EACH
def test_tasks_are_arguments_so_that_copies_and_vectors_keep_them(name: str, fields: dict[str, Any], id_: str) -> None:
    env, family = bare(name, fields), make("tasks", name, **fields)
    expected = play(env)
    assert play(env) == expected  # an episode knows nothing of the one before it
    assert play(pickle.loads(pickle.dumps(env))) == expected
    assert play(copy.deepcopy(env)) == expected
    arguments = {key: value for key, value in env._arguments.items() if key != "render_mode"}
    assert arguments.items() >= family.tasks(2, 0)[0][0].items()
    many = gymnasium.make_vec(f"merpo_tasks.gym_ids:merpo/{id_}-v0", 2, **arguments)
    first, _ = many.reset(seed=[0, 5])
    assert first[0].tolist() == pytest.approx(expected[0])
    many.close()


@EACH
def test_other_seeds_and_other_tasks_are_other_episodes(name: str, fields: dict[str, Any], id_: str) -> None:
    family = make("tasks", name, **fields)
    first, *rest = family.tasks(9, 0)[0]
    one, other = family.make(first), family.make(next(task for task in rest if task != first))
    assert play(one, seed=1) != play(one, seed=2)
    assert play(one) != play(other)


@EACH
def test_the_grid_gives_the_returns_of_the_environments(name: str, fields: dict[str, Any], id_: str) -> None:
    family = make("tasks", name, horizon=40, **fields)
    tasks, width = family.tasks(2, 0)[0], family.spec().action_dim

    def policy(observations: torch.Tensor) -> torch.Tensor:
        return (3.0 * observations[..., -width:]).tanh()

    found = evaluate(family, tasks, policy, 3, 1)
    plain = EnvGrid(family.make, tasks, 3, 1, restart=False)
    returns = torch.zeros(2, 3)
    while plain.running.any():
        seen = plain.observations()
        returns += plain.step(seen, policy(seen))[0].rewards
    torch.testing.assert_close(found.returns.float(), returns, rtol=1e-5, atol=1e-5)


@EACH
def test_a_picture_shows_the_body_move(name: str, fields: dict[str, Any], id_: str) -> None:
    arguments = {**bare(name, fields)._arguments, "render_mode": "rgb_array"}
    env = gymnasium.make(f"merpo_tasks.gym_ids:merpo/{id_}-v0", **arguments)
    env.reset(seed=0)
    one = np.asarray(env.render())
    assert (one.shape, one.dtype) == ((240, 320, 3), np.uint8)
    colours = one.astype(int)
    body = colours[..., 0] > colours[..., 2]  # reddish, on a bluish ground
    assert 0.005 < body.mean() < 0.5
    assert not body[:10].any()
    for _ in range(5):
        env.step(np.ones(env.action_space.shape, dtype=np.float32))
    assert not np.array_equal(one, np.asarray(env.render()))


@EACH
def test_a_step_before_the_first_reset_is_refused(name: str, fields: dict[str, Any], id_: str) -> None:
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset before"):
        bare(name, fields).step(np.zeros(make("tasks", name).spec().action_dim, dtype=np.float32))


@EACH
def test_an_unstable_simulation_ends_and_earns_nothing(name: str, fields: dict[str, Any], id_: str) -> None:
    env = bare(name, fields)
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, dtype=np.float32)
    assert not env.step(still)[2]
    env.data.qvel[:] = 1e12  # MuJoCo itself puts such a body back to its first state and goes on
    seen, reward, terminated, truncated, _ = env.step(still)
    assert np.isfinite(seen).all()
    assert (reward, terminated, truncated) == (0.0, True, False)
    env.reset(seed=0)
    assert not env.step(still)[2]


@pytest.mark.parametrize(("missing", "words"), [("mujoco", "not installed"), ("mujoco.batch", "newer MuJoCo")])
@EACH
def test_without_mujoco_a_message_says_what_to_install(
    name: str, fields: dict[str, Any], id_: str, missing: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda x: None if x == missing else find(x))
    family = make("tasks", name, **fields)
    tasks = family.tasks(1, 0)[0]
    with pytest.raises(MerpoError, match=rf"tasks/{name} needs .*{words}.*pip install .*merpo\[mujoco\]"):
        family.make(tasks[0])
    with pytest.raises(MerpoError, match=r"merpo\[mujoco\]"):
        family.grid(tasks, 1, 0, False)


@pytest.mark.parametrize(
    ("versions", "wanted"),
    [
        ({"mujoco": "3.3.0"}, r"mujoco<5,>=3\.17, 3\.3\.0 is installed"),
        ({"mujoco": "2.1.4"}, r"mujoco<5,>=3\.17, 2\.1\.4 is installed"),
        ({"mujoco": "5.0"}, r"mujoco<5,>=3\.17, 5\.0 is installed"),
        ({"gymnasium": "0.29.1"}, r"gymnasium<2,>=1\.1, 0\.29\.1 is installed"),
    ],
)
def test_a_version_that_does_not_fit_is_named_with_what_is_wanted(
    versions: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions.get(name) or known(name))
    _checks._version_problem.cache_clear()
    try:
        with pytest.raises(MerpoError, match=rf"tasks/ant-fwd-back needs {wanted}; pip install -U 'merpo\[mujoco\]'"):
            family = make("tasks", "ant-fwd-back")
            family.make(family.tasks(1, 0)[0][0])
    finally:
        _checks._version_problem.cache_clear()


@pytest.mark.parametrize(
    "error", [OSError("libmujoco.so.3.3.0: cannot open shared object file"), ImportError("_structs")]
)
def test_files_of_two_versions_are_an_error_of_the_library(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def broken(name: str, *rest: Any) -> Any:
        if name == "mujoco.batch":
            raise error
        return find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", broken)
    with pytest.raises(MerpoError, match=r"installed but cannot be imported .*--force-reinstall"):
        _checks.require_mujoco("ant-fwd-back")
