"""merpo.algorithm.meta_model: Eq. (3) as Algorithm 2 runs it, and tasks' models adapted from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small import dynamics, generator, make, task_data

from merpo.algorithm.meta_model import fit_meta_model, init_meta_model
from merpo.algorithm.settings import MetaModelSettings
from merpo.algorithm.task_model import adapt_models, inner_steps
from merpo.components.context import Context
from merpo.components.interfaces import MetaLearner
from merpo.nn.packed import pack
from merpo.nn.params import expand, mean, weights
from merpo.types import Batch, Params

LEARNERS = [("proximal", {}), ("reptile", {}), ("maml", {}), ("maml", {"order": "second"})]


def settings(**knobs: Any) -> MetaModelSettings:
    small = {"iterations": 3, "task_batch": 2, "inner_steps": 2, "batch_size": 8, "adaptation_steps": 5}
    small |= {"patience": 0, "meta_patience": 0}
    return MetaModelSettings(**{**small, **knobs})


def start(data: Any, context: Context) -> Params:
    return init_meta_model(dynamics(), data.split(settings().holdout)[0], context.generator("meta-model"))


@pytest.mark.parametrize(("name", "fields"), LEARNERS)
def test_every_parameter_of_the_meta_model_moves(name: str, fields: dict[str, str]) -> None:
    data, context = task_data(3), Context(seed=1)
    phi = fit_meta_model(dynamics(), make("meta_learner", name, **fields), data, settings(), context)
    before = start(data, context)
    assert phi.keys() == before.keys()
    for key, value in phi.items():
        assert value.shape == before[key].shape
        assert bool(value.isfinite().all())
        assert not value.requires_grad
        if key.startswith("stat."):
            assert torch.equal(value, before[key])
        else:
            assert all(not torch.equal(value[m], before[key][m]) for m in range(3))


def test_one_iteration_is_line_6_of_algorithm_2() -> None:
    """φ − ξ₁ (φ − mean θ_n) with the θ_n of the same rows, run by hand."""
    data, context, learner = task_data(2), Context(seed=3), make("meta_learner", "proximal", outer_lr=0.25)
    phi = fit_meta_model(dynamics(), learner, data, settings(iterations=1), context)
    chooser, noise = context.generator("meta-model"), context.streams("meta-model", 2)
    train, _ = data.split(settings().holdout)
    before = init_meta_model(dynamics(), train, chooser)
    index = torch.randperm(2, generator=chooser)
    picked, streams = train.select(index.tolist()), noise.select(index)
    theta = inner_steps(
        dynamics(), learner, before, 2, 2, learner.inner_lr, lambda: picked.sample(streams, 3, 8)
    )  # fmt: skip
    for key, value in weights(before).items():
        torch.testing.assert_close(phi[key], value - 0.25 * (value - mean(theta)[key]))


def test_no_iteration_leaves_the_meta_model_untrained() -> None:
    data, context = task_data(2), Context()
    phi = fit_meta_model(dynamics(), make("meta_learner", "proximal"), data, settings(iterations=0), context)
    assert all(torch.equal(value, start(data, context)[key]) for key, value in phi.items())


def learnable(tasks: int) -> Any:
    """Task t moves every state by 2 t − 2 and pays t, so that its held-out rows follow from the others."""
    data = task_data(tasks)
    rows = data.rows.clone()
    for t, (begin, size) in enumerate(zip(data.starts, data.sizes, strict=True)):
        own = rows[begin : begin + size]
        own[:, 5], own[:, 6:9] = float(t), own[:, :3] + 2.0 * t - 2.0
    return data._replace(rows=rows)


def test_adaptation_fits_each_tasks_rows_and_keeps_the_best() -> None:
    data, context = learnable(3), Context(seed=2)
    phi = init_meta_model(dynamics(), data, generator(0))
    learner = make("meta_learner", "reptile", inner_lr=0.01)
    fitted = adapt_models(dynamics(), learner, phi, data, settings(adaptation_steps=60), context, "models")
    assert bool((fitted.nll_after < fitted.nll_before).all())
    assert fitted.scores.shape == (3, 3)
    for key, value in fitted.models.items():
        assert value.shape[1] == (1 if key.startswith("stat.") else 2)
    for t, row in enumerate(fitted.scores.tolist()):
        best = sorted(range(3), key=row.__getitem__)[:2]
        whole = adapt_models(
            dynamics(elites=3), learner, phi, data, settings(adaptation_steps=60), context, "models"
        ).models["w0"][t]
        order = sorted(range(3), key=row.__getitem__)
        for e, m in enumerate(best):
            assert torch.equal(fitted.models["w0"][t, e], whole[order.index(m)])


@pytest.mark.parametrize(("workers", "expected"), [(1, [1, 3, 5]), (2, [5])])
def test_adaptation_tells_how_many_tasks_are_done(
    workers: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group by group, where one thread does them one after the other."""
    monkeypatch.setattr("merpo.algorithm.task_model.tasks_per_cache", lambda *_: 2)
    told: list[tuple[int, int]] = []
    context = Context(workers=workers, log=lambda stage, step, total, metrics: told.append((step, total)))
    data = task_data(5)
    adapt_models(
        dynamics(), make("meta_learner", "proximal"), start(data, context), data, settings(), context, "models"
    )
    assert told == [(step, 5) for step in expected]


def test_a_tasks_model_depends_on_its_own_rows_alone() -> None:
    data, learner = task_data(3), make("meta_learner", "proximal", inner_lr=0.01)
    phi = init_meta_model(dynamics(), data, generator(0))
    context = Context(labels=("a", "b", "c"))
    together = adapt_models(dynamics(), learner, phi, data, settings(), context, "models")
    rows = data.rows.clone()
    rows[data.starts[1] : data.starts[1] + data.sizes[1]] *= 3.0
    spoilt = adapt_models(dynamics(), learner, phi, data._replace(rows=rows), settings(), context, "models")
    alone = adapt_models(dynamics(), learner, phi, data.select([2]), settings(), Context(labels=("c",)), "models")
    for key, value in together.models.items():
        assert torch.equal(value[[0, 2]], spoilt.models[key][[0, 2]])
        torch.testing.assert_close(value[2:], alone.models[key], rtol=1e-4, atol=1e-5)
    assert not torch.equal(together.models["w0"][1], spoilt.models["w0"][1])


def test_a_strong_proximal_term_holds_the_tasks_at_the_meta_model() -> None:
    data = task_data(2)
    phi = init_meta_model(dynamics(), data, generator(0))

    def distance(eta: float) -> float:
        learner = make("meta_learner", "proximal", eta=eta, inner_lr=0.005)
        rows = [data.sample(Context().streams("x", 2), 3, 16)]
        theta = inner_steps(dynamics(), learner, phi, 2, 60, learner.inner_lr, lambda: rows[0])
        return float(sum((theta[k] - expand(phi, 2)[k]).square().sum() for k in weights(phi)))

    assert distance(100.0) < 0.2 * distance(0.0)


@pytest.mark.parametrize("packed", [False, True])
def test_the_fused_penalty_gives_the_steps_of_equation_4(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The penalty's gradient in closed form, and the one that autograd finds in `task_objective`."""
    data, learner = task_data(2), make("meta_learner", "proximal", eta=0.7, inner_lr=0.01)
    phi = {key: leaf.double() for key, leaf in init_meta_model(dynamics(), data, generator(0)).items()}
    rows = Batch(*(leaf.double() for leaf in data.sample(Context().streams("x", 2), 3, 16)))

    def steps() -> Params:
        return inner_steps(dynamics(), learner, pack(phi) if packed else phi, 2, 4, 0.01, lambda: rows)

    closed = steps()
    monkeypatch.setattr(type(learner), "penalty", lambda self, *pair: MetaLearner.penalty(self, *pair))
    plain = steps()
    for key, leaf in plain.items():
        torch.testing.assert_close(closed[key], leaf, rtol=1e-9, atol=1e-12)
    assert not torch.equal(closed["w0"], expand(phi, 2)["w0"])


def test_held_out_rows_are_not_trained_on() -> None:
    data = task_data(2)
    train, held = data.split(0.25)
    assert all(a + b == c for a, b, c in zip(train.sizes, held.sizes, data.sizes, strict=True))
    phi = init_meta_model(dynamics(), data, generator(0))
    rows = data.rows.clone()
    for begin, size in zip(held.starts, held.sizes, strict=True):
        rows[begin : begin + size] += 1.0
    learner, knobs = make("meta_learner", "proximal"), settings(holdout=0.25)
    whole = dynamics(elites=3)
    one, two = (
        adapt_models(whole, learner, phi, d, knobs, Context(), "models") for d in (data, data._replace(rows=rows))
    )
    assert torch.equal(one.models["w0"].sort(1).values, two.models["w0"].sort(1).values)
    assert not torch.equal(one.scores, two.scores)


def test_held_out_rows_do_not_depend_on_the_sizes_of_other_tasks() -> None:
    data, learner = task_data(3), make("meta_learner", "proximal", inner_lr=0.01)
    data = data._replace(sizes=(data.sizes[0], data.sizes[1] // 3, data.sizes[2]))
    phi, knobs, names = init_meta_model(dynamics(), data, generator(0)), settings(holdout=0.3), ("a", "b", "c")
    together = adapt_models(dynamics(), learner, phi, data, knobs, Context(labels=names), "models")
    for t, name in enumerate(names):
        alone = adapt_models(dynamics(), learner, phi, data.select([t]), knobs, Context(labels=(name,)), "models")
        torch.testing.assert_close(together.scores[t], alone.scores[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.nll_before[t], alone.nll_before[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("patience", [0, 2])
def test_the_meta_model_never_sees_the_rows_on_which_best_members_are_chosen(patience: int) -> None:
    data, learner = task_data(3), make("meta_learner", "proximal")
    knobs = settings(meta_patience=patience, meta_evaluate_every=100)
    _, held = data.split(knobs.holdout)
    rows = data.rows.clone()
    for first, size in zip(held.starts, held.sizes, strict=True):
        rows[first : first + size] += 1e3
    found = [fit_meta_model(dynamics(), learner, d, knobs, Context(seed=3)) for d in (data, data._replace(rows=rows))]
    for key, value in found[0].items():
        assert torch.equal(value, found[1][key]), key
