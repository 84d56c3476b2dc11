"""Policies as they are measured: by their modes or by draws, repeatable, with one call per step for all families."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from finished import finished_run
from small import make
from tiny import tables, tiny_recipe

from merpo.components.interfaces import Method
from merpo.errors import RecipeError
from merpo.evaluation.evaluate import actor, evaluate
from merpo.nn.policy import init_policy
from merpo.recipe.recipe import from_tables
from merpo.report.report import load_report
from merpo.run.evaluate import evaluate_saved

DRAWN = {"evaluate": {"policy": "stochastic", "episodes": 3, "during_training": 1}}
FAMILIES = ("ant-fwd-back", "half-cheetah-fwd-back", "point-robot-wind", "sparse-point-robot", "walker-2d-params")


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(store, tmp_path_factory.mktemp("runs") / "drawn", DRAWN)


def test_a_run_that_draws_is_repeated_by_evaluate(run: Path) -> None:
    measured = evaluate_saved(run)
    assert measured.stochastic
    for task, told in zip(measured.tasks, load_report(run / "report.json").tasks, strict=True):
        assert len(set(task.returns)) == 3, "every episode has actions of its own"
        assert task.mean == pytest.approx(told.returns["adapted"], abs=1e-5)
    modes = evaluate_saved(run, stochastic=False)
    assert not modes.stochastic
    assert all(len(set(task.returns)) == 1 for task in modes.tasks), "Point-Robot-Wind itself draws nothing"


def test_evaluations_during_training_draw_too(run: Path, store: Path, tmp_path: Path) -> None:
    modes = finished_run(store, tmp_path / "modes", {"evaluate": {**DRAWN["evaluate"], "policy": "deterministic"}})
    curves = [json.loads((path / "training_curve.json").read_text("utf-8")) for path in (run, modes)]
    assert curves[0].keys() == curves[1].keys()
    assert curves[0] != curves[1]


def test_the_same_run_draws_the_same(run: Path, store: Path, tmp_path: Path) -> None:
    again = finished_run(store, tmp_path / "again", DRAWN)
    first, second = (load_report(path / "report.json") for path in (run, again))
    assert first.tasks == second.tasks
    assert first.training_curve == second.training_curve


def test_evaluate_takes_either_kind(run: Path, merpo_cli: Callable[..., Answer]) -> None:
    for option, kind in ((), "stochastic"), (("--deterministic",), "deterministic"), (("--stochastic",), "stochastic"):
        answer = merpo_cli("evaluate", str(run), *option)
        assert answer.code == 0, answer.err
        assert f"{kind} policies, 3 episodes per task" in answer.out


def test_a_deterministic_method_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(tiny_recipe().method), "sample", Method.sample)
    expected = r"evaluate\.policy: got 'stochastic', but method 'merpo' has deterministic policies only"
    with pytest.raises(RecipeError, match=expected):
        from_tables(tables(DRAWN))
    assert from_tables(tables()).evaluate.policy == "deterministic"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["deterministic", "stochastic"])
def test_one_call_of_the_policy_per_step_for_every_family(name: str, kind: Any) -> None:
    family, method = make("tasks", name, horizon=7), tiny_recipe().method
    tasks, spec = family.tasks(2, 0)[0], family.spec()
    policy = init_policy(spec, [8], torch.Generator().manual_seed(0), (2,))
    act, seen = actor(method, policy, kind, spec.action_dim, 5, (0, 1), "cpu"), []

    def counted(observations: torch.Tensor) -> torch.Tensor:
        seen.append(observations.shape)
        return act(observations)

    found = evaluate(family, tasks, counted, 3, 5)
    assert seen == [(2, 3, spec.observation_dim)] * int(found.lengths.max())


def test_a_tasks_draws_do_not_depend_on_its_neighbours() -> None:
    family, method = make("tasks", "point-robot-wind", horizon=6), tiny_recipe().method
    tasks, spec = family.tasks(3, 0)[0], family.spec()
    policy = init_policy(spec, [8], torch.Generator().manual_seed(0), (3,))

    def returns(chosen: list[int]) -> torch.Tensor:
        own = {key: value[chosen] for key, value in policy.items()}
        act = actor(method, own, "stochastic", spec.action_dim, 1, chosen, "cpu")
        return evaluate(family, [tasks[i] for i in chosen], act, 2, 1).returns

    assert torch.allclose(returns([2]), returns([0, 1, 2])[2:], atol=1e-5)
