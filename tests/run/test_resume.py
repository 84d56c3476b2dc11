"""Every loop that keeps its state ends bit by bit as it would have without an interruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from adapting import adapt
from broken import SMALL, delegate
from ending import _Ending
from small import critic, dynamics, make, rac, streams, task_data
from training import SETTINGS, family

from merpo.algorithm.behavior import fit_behavior
from merpo.algorithm.meta_model import fit_meta_model, init_meta_model
from merpo.algorithm.meta_policy import PERSISTENT, fit_meta_policy
from merpo.algorithm.settings import BehaviorSettings, MetaModelSettings, MetaPolicySettings
from merpo.artifacts.keeper import Keeper
from merpo.artifacts.trees import flatten
from merpo.collect.train import train_behavior
from merpo.components.context import Context
from merpo.components.interfaces import TaskFamily
from merpo.errors import PluginError
from merpo.nn.params import expand
from merpo.nn.policy import init_policy


class CutError(Exception):
    """The interruption."""


def keeper(root: Path) -> Keeper:
    return Keeper(root / "checkpoints", "run", 0.0, lambda text: None)


def interrupted(root: Path, context: Context, at: int) -> Context:
    """`context`, cut off right after a loop's step `at` was kept."""
    own = keeper(root)

    def keep(label: str, step: int, state: Callable[[], Any]) -> None:
        own.save_state(label, step, state)
        if step == at:
            raise CutError

    return replace(context, resume=own.resume, save_state=keep)


def check_resumes(root: Path, work: Callable[[Context], Any], cuts: list[int], context: Context | None = None) -> None:
    """`work` gives the same bits in one go and when cut off after each of `cuts`, one after the other."""
    context = context or Context(seed=4)
    expected = work(context)
    for at in cuts:
        with pytest.raises(CutError):
            work(interrupted(root, context, at))
    own, steps = keeper(root), []

    def resume(label: str, start: Any) -> tuple[int, Any]:
        step, state = own.resume(label, start)
        steps.append(step)
        return step, state

    found = work(replace(context, resume=resume, save_state=own.save_state))
    assert steps == cuts[-1:]  # it did go on from there
    ours, theirs = flatten(found), flatten(expected)
    assert ours.keys() == theirs.keys()
    assert ours
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def test_behaviour_clones(tmp_path: Path) -> None:
    knobs = BehaviorSettings(hidden=(8,), steps=6, batch_size=8)
    check_resumes(tmp_path, lambda context: fit_behavior(task_data(), knobs, context, "behavior"), [2, 3, 5])


@pytest.mark.parametrize("learner", ["proximal", "reptile", "maml"])
def test_the_meta_model(tmp_path: Path, learner: str) -> None:
    knobs = MetaModelSettings(iterations=5, task_batch=2, inner_steps=2, batch_size=8)
    own = make("meta_learner", learner)
    check_resumes(tmp_path, lambda context: fit_meta_model(dynamics(), own, task_data(), knobs, context), [1, 4])


@pytest.mark.parametrize("keep", PERSISTENT)
@pytest.mark.parametrize("model", [True, False])
def test_the_meta_policy(tmp_path: Path, keep: Any, model: bool) -> None:
    knobs = MetaPolicySettings(iterations=5, task_batch=2, inner_steps=2, task_networks=keep)
    algorithm, data = rac(use_model=model), task_data()
    theta = expand(init_meta_model(dynamics(), data, torch.Generator().manual_seed(0)), 3)
    models = dynamics().keep_best(theta, torch.zeros(3, 3)) if model else None
    behavior = expand(init_policy(data.spec, (8,), torch.Generator().manual_seed(1)), 3)
    seen: list[int] = []

    def fit(context: Context) -> Any:
        return fit_meta_policy(algorithm, make("alpha", "adaptive"), data, models, behavior, knobs, context)

    context = Context(seed=4, evaluations=5, evaluate_meta=lambda step, meta: seen.append(step))
    check_resumes(tmp_path, fit, [2, 3], context)
    assert seen == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]  # no evaluation twice, none left out


def test_adaptation(tmp_path: Path) -> None:
    def work(context: Context) -> Any:
        done = adapt(context, steps=13)
        return {"state": done.state, "curves": done.curves, "saved": {str(k): v for k, v in done.snapshots.items()}}

    check_resumes(tmp_path, work, [3, 11], Context(seed=1, snapshots=(0, 2, 12)))


def test_adaptation_with_other_snapshots_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(CutError):
        adapt(interrupted(tmp_path, Context(seed=1, snapshots=(0,)), 3))
    own = keeper(tmp_path)
    done = adapt(Context(seed=1, snapshots=(0, 1), resume=own.resume, save_state=own.save_state))
    assert set(done.snapshots) == {0, 1, 4}


def families() -> list[TaskFamily]:
    """Episodes that time cuts, and episodes that end by themselves, after another number of steps for each task."""
    kind, name, base, fields = SMALL["tasks"]
    ending = delegate(kind, name, base, fields, make=lambda inner, task: _Ending(3 + int(task["wind"][0] > 0)))
    return [family(), ending()]  # type: ignore[list-item]


@pytest.mark.parametrize("own", families(), ids=["cut by time", "ending"])
def test_collection(tmp_path: Path, own: TaskFamily) -> None:
    tasks = own.tasks(2, 0)[0]

    def work(context: Context) -> Any:
        found = train_behavior(own, critic(), tasks, SETTINGS, context)
        return found.policies, torch.tensor(found.steps), found.returns

    check_resumes(tmp_path, work, [3, 8, 9, 17, 24])


def test_environments_that_do_not_repeat_are_noticed(tmp_path: Path) -> None:
    kind, name, base, fields = SMALL["tasks"]
    winds = iter(range(100))

    def drifting(inner: Any, task: Any) -> Any:
        return inner({**task, "wind": [0.001 * next(winds), 0.0]})

    own: Any = delegate(kind, name, base, fields, make=drifting)()
    tasks = own.tasks(2, 0)[0]
    with pytest.raises(CutError):
        train_behavior(own, critic(), tasks, SETTINGS, interrupted(tmp_path, Context(), 3))
    again = keeper(tmp_path)
    with pytest.raises(PluginError, match="collect, step 0: the environment of task 0 is not deterministic"):
        train_behavior(own, critic(), tasks, SETTINGS, Context(resume=again.resume, save_state=again.save_state))


def test_two_loops_of_one_label_are_refused(tmp_path: Path) -> None:
    own = keeper(tmp_path)
    start = {"noise": streams(2)}
    own.resume("mine", start)
    with pytest.raises(PluginError, match="'mine' is already in use"):
        own.resume("mine", start)
    with pytest.raises(PluginError, match=r"label is '\.\./mine'"):
        own.resume("../mine", start)
    with pytest.raises(PluginError, match="unknown label 'other', expected a call of resume"):
        own.save_state("other", 1, lambda: start)
