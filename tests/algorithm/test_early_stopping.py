"""merpo.algorithm.early_stopping: every slice keeps its best parameters, whatever the others do."""

from __future__ import annotations

import torch
from small import dynamics, make, task_data

from merpo.algorithm.behavior import fit_behavior
from merpo.algorithm.early_stopping import first_best, keep_best_
from merpo.algorithm.meta_model import fit_meta_model, init_meta_model
from merpo.algorithm.settings import BehaviorSettings, MetaModelSettings, ModelSettings
from merpo.algorithm.task_model import adapt_models, fit_models
from merpo.components.context import Context
from merpo.types import Params

SETTINGS = BehaviorSettings(hidden=(8,), steps=200, batch_size=16, learning_rate=0.02, patience=2, evaluate_every=5)


def at(step: int) -> Params:
    return {"w0": torch.full((2, 1, 1), float(step)), "b0": torch.zeros(2, 1), "stat.x": torch.zeros(1)}


def test_the_best_is_kept_and_a_stopped_slice_stays() -> None:
    losses = [[1.0, 1.0], [0.5, 0.9], [0.6, 0.8], [0.6, 0.7], [0.1, 0.6]]  # the first stops after two without a gain
    best = first_best(at(0), torch.tensor(losses[0]))
    for step, loss in enumerate(losses[1:], 1):
        best = keep_best_(best, at(step), torch.tensor(loss), step, patience=2)
    assert best.params["w0"].flatten().tolist() == [1.0, 4.0]
    assert best.step.tolist() == [1, 4]
    torch.testing.assert_close(best.loss, torch.tensor([0.5, 0.6]))
    assert best.running(2).tolist() == [False, True]
    assert best.ended(2).improving.tolist() == [0.0, 1.0]


def test_less_than_a_hundredth_is_no_improvement() -> None:
    best = first_best(at(0), torch.tensor([1.0, 1.0]))
    best = keep_best_(best, at(1), torch.tensor([0.995, 0.98]), 1, patience=3)
    assert best.step.tolist() == [0, 1]


def test_a_clone_stops_where_its_held_out_likelihood_is_greatest() -> None:
    """Random actions: more steps only overfit the few rows."""
    data = task_data(2)
    told: list[tuple[int, int]] = []
    context = Context(log=lambda stage, step, total, metrics: told.append((step, total)))
    found = fit_behavior(data, SETTINGS, context, "behavior")
    assert found.ended is not None
    assert bool((found.ended.step < 200).all())
    assert told[-1] == (int(found.ended.step.max()) + 10, int(found.ended.step.max()) + 10)  # two evaluations more
    assert found.ended.improving.tolist() == [0.0, 0.0]
    last = fit_behavior(data, SETTINGS.model_copy(update={"patience": 1000}), Context(), "behavior")
    assert last.ended is not None
    assert last.ended.improving.tolist() == [1.0, 1.0]
    assert set(found.groups()["clone"]) == {"clone_steps", "clone_nll", "clone_improving"}


def test_a_clone_is_stopped_by_its_own_rows_alone() -> None:
    data = task_data(2)
    together = fit_behavior(data, SETTINGS, Context(labels=("a", "b")), "behavior")
    alone = fit_behavior(data.select([1]), SETTINGS, Context(labels=("b",)), "behavior")
    assert together.ended is not None
    assert alone.ended is not None
    assert together.ended.step[1] == alone.ended.step[0]
    for key, value in together.policy.items():
        torch.testing.assert_close(value[1:], alone.policy[key], rtol=1e-3, atol=1e-4)


def test_held_out_rows_are_not_cloned() -> None:
    data = task_data(1)
    _, held = data.split(SETTINGS.holdout)
    rows = data.rows.clone()
    rows[held.starts[0] :, 3:5] = 0.9
    short = SETTINGS.model_copy(update={"steps": 5, "patience": 1000})
    one, two = (fit_behavior(d, short, Context(), "behavior") for d in (data, data._replace(rows=rows)))
    assert one.ended is not None
    assert two.ended is not None
    assert not torch.equal(one.ended.loss, two.ended.loss)


def test_models_stop_member_by_member() -> None:
    data, learner = task_data(2), make("meta_learner", "proximal", inner_lr=0.01)
    knobs = MetaModelSettings(
        iterations=400, task_batch=2, inner_steps=2, batch_size=8, adaptation_steps=300, patience=1, evaluate_every=5,
        meta_patience=1, meta_evaluate_every=2,
    )  # fmt: skip
    steps: list[int] = []
    phi = fit_meta_model(
        dynamics(), learner, data, knobs, Context(log=lambda *line: steps.append(line[1]), log_every=1)
    )
    assert steps[-1] < 400  # random rows cannot be predicted
    fitted = adapt_models(dynamics(), learner, phi, data, knobs, Context(), "models")
    assert fitted.ended is not None
    assert fitted.ended.step.shape == (2, 3)
    assert bool((fitted.ended.step < 300).all())
    assert set(fitted.measures()) >= {"model_steps", "model_improving"}


def test_a_model_from_scratch_keeps_its_best() -> None:
    knobs = ModelSettings(steps=60, batch_size=8, learning_rate=0.02, patience=2, evaluate_every=5)
    fitted = fit_models(dynamics(), task_data(2), knobs, Context(), "models")
    assert fitted.ended is not None
    assert bool((fitted.ended.loss.mean(-1) <= fitted.nll_before + 1e-6).all())


def test_without_an_improvement_the_first_parameters_are_kept() -> None:
    data, context = task_data(2), Context()
    phi = init_meta_model(dynamics(), data, context.generator("meta-model"))
    knobs = MetaModelSettings(adaptation_steps=10, batch_size=8, patience=1, evaluate_every=1)
    still = adapt_models(
        dynamics(), make("meta_learner", "proximal", inner_lr=1e-9), phi, data, knobs, context, "models"
    )
    assert still.ended is not None
    assert still.ended.step.tolist() == [[0.0] * 3] * 2
