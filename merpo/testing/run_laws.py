"""Laws of task families, environment grids and methods."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from merpo.components import gym_api
from merpo.components.context import Adapted, Context
from merpo.components.grid import EnvGrid
from merpo.components.interfaces import Method, TaskFamily
from merpo.components.task_data import Episodes, TaskData, to_rows
from merpo.errors import MerpoError
from merpo.lazy import np, torch
from merpo.testing.inputs import TASKS, batch, draw, spec
from merpo.testing.laws import ATOL, RTOL, Laws, named_leaves, require
from merpo.types import Grid, Params, Task

__all__ = ["check_grid", "check_method", "check_tasks"]

TRAIN, TEST = 3, 2
EPISODE = 16  # rows of an episode
DATA_ROWS = (64, 43)  # of two tasks: a method must not truncate one to the size of the other


def check_tasks(family: TaskFamily) -> None:
    """Check the laws of a task family: deterministic tasks of plain JSON values, and independent environments."""
    laws = Laws(family)
    train, test = laws.call("tasks", lambda: (TRAIN, TEST))
    place = f"{laws.name}.tasks"
    counts = len(train), len(test)
    require(counts == (TRAIN, TEST), place, f"returns {counts} tasks, expected {(TRAIN, TEST)}")
    require(family.tasks(TRAIN, TEST) == (train, test), place, "not deterministic: other tasks on the second call")
    require(family.horizon >= 1, f"{laws.name}.horizon", f"is {family.horizon}, expected at least 1")
    for task in (*train, *test):
        try:
            again = json.loads(json.dumps(task, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"{place}: {task!r:.120} is not plain JSON: {error}") from error
        require(again == task, place, f"{task!r:.120} is read back from JSON as {again!r:.120}")
    if not family.has_environment:
        _check_logs_only(family, laws, train[0])
        return
    for task in (*train, *test):
        _check_environment(family, laws, task)
    _check_alone(family, laws, train)
    check_grid(family, train)


def check_method(method: Method) -> None:
    """Check the laws of a method on two tiny tasks of unequal size; in particular they are adapted to independently."""
    laws, one = Laws(method), spec()
    rows = to_rows(batch("method", TASKS[:2], max(DATA_ROWS))).flatten(0, 1)
    episodes = Episodes([torch.tensor([*range(0, count, EPISODE), count]) for count in DATA_ROWS], seed=0)
    data = TaskData(rows, (0, max(DATA_ROWS)), DATA_ROWS, one, episodes)
    evaluated: list[dict[str, Params]] = []
    names = ("a", "b")
    context = Context(
        labels=names, evaluations=1, snapshots=(0, 1), evaluate_meta=lambda _, meta: evaluated.append(meta)
    )
    meta = laws.call("fit", lambda: (data, context), finite=False)  # log β is −∞ without β
    _require_groups(f"{laws.name}.fit", meta)
    for intermediate in evaluated:
        law = f"evaluates groups {sorted(intermediate)}, returns {sorted(meta)}"
        require(intermediate.keys() == meta.keys(), f"{laws.name}.fit", law)
    adapted: Adapted = laws.call("adapt", lambda: (meta, data, context), finite=False)
    place = f"{laws.name}.adapt"
    require(isinstance(adapted, Adapted), place, f"returns {type(adapted).__name__}, expected Adapted")
    _require_groups(place, {"policy": adapted.policy, **adapted.references, **adapted.artifacts})
    for name, leaf in named_leaves({"policy": adapted.policy, **adapted.references, "scores": adapted.scores}):
        require(
            leaf.shape[:1] == (2,), place, f"{name} has shape {tuple(leaf.shape)}, expected a leading dim of 2 tasks"
        )
    for name, curve in adapted.curves.items():
        good = curve.dim() == 2 and curve.shape[1] == 2
        require(good, place, f"curve {name} has shape {tuple(curve.shape)}, expected [steps, 2]")
    observations = draw("act", TASKS[:2], 5, one.observation_dim)
    for policy in (adapted.policy, *adapted.references.values(), *adapted.snapshots.values()):
        actions = laws.call("act", partial(_pair, policy, observations))
        require(actions.shape == (2, 5, one.action_dim), f"{laws.name}.act", f"returns shape {tuple(actions.shape)}")
        require(bool((actions.abs() <= 1).all()), f"{laws.name}.act", "returns actions outside of [-1, 1]")
    values = method.value(adapted, observations, draw("value", TASKS[:2], 5, one.action_dim).clamp(-1, 1))
    if values is not None:
        require(values.shape == (2, 5), f"{laws.name}.value", f"returns shape {tuple(values.shape)}, expected (2, 5)")
    for i, name in enumerate(names):
        alone = method.adapt(meta, data.select([i]), Context(labels=(name,), snapshots=(0, 1)))
        separate = dict(named_leaves(_per_task(alone)))
        for path, leaf in named_leaves(_per_task(adapted)):
            same = torch.allclose(leaf[i : i + 1], separate[path], rtol=10 * RTOL, atol=RTOL)  # many steps of Adam
            require(
                same,
                place,
                f"{path} of task {i} depends on the other task: together it differs from the task alone",
            )


def _per_task(adapted: Adapted) -> dict[str, Any]:
    """All of an adaptation's results whose leading dim is the task."""
    return {
        "policy": adapted.policy,
        "snapshots": adapted.snapshots,
        "references": adapted.references,
        "scores": adapted.scores,
    }


def _pair(policy: Params, observations: torch.Tensor) -> tuple[Params, torch.Tensor]:
    return policy, observations


def _require_groups(place: str, groups: Any) -> None:
    """Require that `groups` can be saved as an artifact: a dict of dicts of tensors."""
    require(isinstance(groups, dict), place, f"returns {type(groups).__name__}, expected named groups of parameters")
    for name, group in groups.items():
        good = isinstance(group, dict) and all(isinstance(leaf, torch.Tensor) for leaf in group.values())
        require(isinstance(name, str) and good, place, f"group {name!r:.60} is not a dict of tensors")
        require(name != "" and "/" not in name, place, f"group {name!r:.60}, expected a name without '/'")


def _check_logs_only(family: TaskFamily, laws: Laws, task: Task) -> None:
    """Check a family without environments: `make` raises `MerpoError`, and there is no oracle."""
    try:
        family.make(task)
    except MerpoError:
        pass
    else:
        require(False, f"{laws.name}.make", "returns an environment although has_environment is false")
    require(family.oracle(task) is None, f"{laws.name}.oracle", "returns a policy although has_environment is false")


def _check_environment(family: TaskFamily, laws: Laws, task: Task) -> None:
    """Check one task's environment: Gymnasium's `check_env`, the spec, the time limit and the oracle."""
    from gymnasium.spaces import Box
    from gymnasium.utils.env_checker import check_env

    place, one = f"{laws.name}.make", family.spec()
    env = family.make(task)
    space = env.action_space
    good = isinstance(space, Box) and bool((space.low == -1).all() and (space.high == 1).all())
    require(good, place, f"has action space {space!r:.80}, expected a Box [-1, 1]")
    require(
        space.shape == (one.action_dim,),
        place,
        f"has actions {space.shape}, expected ({one.action_dim},) as in the spec",
    )
    path = _roll(family, task, seed=1)
    require(path == _roll(family, task, seed=1), place, "not deterministic: two episodes with the same seed differ")
    require(
        len(path) <= family.horizon, place, f"runs for {len(path)} steps, expected at most the horizon {family.horizon}"
    )
    *_, terminated, truncated = path[-1]
    require(bool(terminated or truncated), place, f"does not end after {family.horizon} steps")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about wrapped environments and unbounded spaces
        try:
            check_env(env, skip_render_check=True)
        except Exception as error:  # Gymnasium may raise anything
            raise AssertionError(f"{place}: Gymnasium's check_env: {error}") from error
    oracle = family.oracle(task)
    if oracle is None:
        return
    observation = gym_api.reset(env, 0)
    action = np.asarray(oracle(np.asarray(observation)))
    good = action.shape == (one.action_dim,) and bool((np.abs(action) <= 1).all())
    require(good, f"{laws.name}.oracle", f"returns {action!r:.80}, expected an action in [-1, 1]")
    env.close()


def _roll(family: TaskFamily, task: Task, seed: int, others: Sequence[Task] = ()) -> list[tuple[float, ...]]:
    """(s', r, terminated, truncated) per step of seeded random actions, while `others` are stepped in between."""
    one, actions = family.spec(), np.random.default_rng(seed)
    envs = [family.make(task) for task in (task, *others)]
    before, *_ = [gym_api.reset(env, seed) for env in envs]
    path: list[tuple[float, ...]] = []
    while len(path) <= family.horizon:
        action = actions.uniform(-1.0, 1.0, one.action_dim).astype(np.float32)
        for env in envs[1:]:
            gym_api.step(env, -action)
        after, reward, terminated, truncated = gym_api.step(envs[0], action)
        place = f"{type(family).__name__}.make"
        require(np.shape(after) == (one.observation_dim,), place, f"returns observations of shape {np.shape(after)}")
        numbers = (*map(float, after), float(reward))
        require(all(map(math.isfinite, numbers)), place, f"returns numbers that are not finite: {numbers}")
        if one.terminated is not None:
            rows = [torch.as_tensor(np.asarray(x), dtype=torch.float32) for x in (before, action, after)]
            agrees = bool(one.terminated(*rows)) == bool(terminated)
            require(agrees, place, f"terminated is {terminated}, unlike the spec's function at {after!r:.80}")
        path.append((*numbers, bool(terminated), bool(truncated)))
        if terminated or truncated:
            break
        before = after
    for env in envs:
        env.close()
    return path


def _check_alone(family: TaskFamily, laws: Laws, tasks: Sequence[Task]) -> None:
    """Check that an environment is independent of others that are stepped at the same time."""
    first, *others = tasks
    same = _roll(family, first, seed=2) == _roll(family, first, seed=2, others=others)
    require(same, f"{laws.name}.make", "an episode depends on other environments that are stepped at the same time")


EPISODES = 2
COMPARED = 10  # steps compared; later ones diverge by rounding, as motion with contacts is chaotic


class _Path(NamedTuple):
    """The recorded steps of a grid."""

    observations: torch.Tensor  # [T, H, E, O]
    rewards: torch.Tensor  # [T, H, E]
    following: torch.Tensor  # [T, H, E, O]
    terminations: torch.Tensor  # [T, H, E]
    truncations: torch.Tensor  # [T, H, E]
    running: torch.Tensor  # [T, H, E], before the step


def check_grid(family: TaskFamily, tasks: Sequence[Task]) -> None:
    """Check that a grid steps like the environments of `make`, each task independently, and stops at an end."""
    if type(family).grid is TaskFamily.grid:
        return
    place = f"{type(family).__name__}.grid"
    for restart in (False, True):
        found = _play(family, family.grid(tasks, EPISODES, 0, restart))
        plain = _play(family, EnvGrid(family.make, tasks, EPISODES, 0, restart))
        alone = _play(family, family.grid(tasks[:1], EPISODES, 0, restart))
        _require_same(found, plain, place, f"differs from the environments of make, restart = {restart}")
        _require_same(_Path(*(x[:1] for x in found)), alone, place, "steps of a task depend on the other tasks")
        running = found.running.bool()
        if restart:
            require(bool(running.all()), place, "has environments that do not restart")
            continue
        require(not bool(running[:, family.horizon].any()), place, f"runs on after {family.horizon} steps")
        ended = torch.stack([found.rewards, found.terminations, found.truncations])[:, ~running]
        still = torch.equal(found.following[~running], found.observations[~running])
        require(
            still and not bool(ended.any()), place, "changes observations or rewards of environments that have ended"
        )


def _play(family: TaskFamily, grid: Grid) -> _Path:
    """The recorded steps of a grid under seeded random actions, for one step more than the horizon."""
    steps, width = [], family.spec().action_dim
    for step in range(family.horizon + 1):
        seen, running = grid.observations(), torch.as_tensor(grid.running.copy())
        actions = draw(f"grid-{step}", range(len(seen)), EPISODES, width).tanh()
        batch, truncated = grid.step(seen, actions)
        steps.append((seen, batch.rewards, batch.next_observations, batch.terminations, truncated, running))
    grid.close()
    return _Path(*(torch.stack(parts, 1) for parts in zip(*steps, strict=True)))


def _require_same(one: _Path, two: _Path, place: str, law: str) -> None:
    for field, x, y in zip(_Path._fields, one, two, strict=True):
        first, second = x[:, :COMPARED].double(), y[:, :COMPARED].double()
        same = first.shape == second.shape and torch.allclose(first, second, rtol=RTOL, atol=ATOL)
        require(same, place, f"{law}: {field}")
