"""Laws of dynamics learners and meta-learners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from merpo.components.interfaces import DynamicsLearner, MetaLearner
from merpo.lazy import torch
from merpo.nn.optim import gradient
from merpo.nn.params import tree_map, weights
from merpo.testing.inputs import ROWS, TASKS, batch, draw, spec, stacked, streams
from merpo.testing.laws import Laws, require, require_gradient, require_slices
from merpo.types import Batch, Params

__all__ = ["check_dynamics", "check_meta_learner"]


def check_dynamics(dynamics: DynamicsLearner) -> None:
    """Check the laws of a dynamics learner; in particular members are independent and the best are kept."""
    laws, one = Laws(dynamics), spec()
    rows = tree_map(lambda leaf: leaf[0], batch("init", (0,), 40))
    phi = laws.call("init", lambda: (one, rows, torch.Generator().manual_seed(0)))
    members = require_slices(phi, f"{laws.name}.init", "member")

    def models(tasks: Sequence[int]) -> Params:
        return stacked("models", tasks, lambda generator: dynamics.init(one, rows, generator))

    def likelihood(width: int, tasks: Sequence[int]) -> tuple[Params, Batch]:
        return models(tasks), batch("loss", tasks, width, ROWS)

    for method in ("loss", "nll", "score"):
        for width in (members, 1):  # rows per member, or the same held-out rows for all
            losses = laws.per_task(method, partial(likelihood, width), (members,))
        theta, shared = models(TASKS), batch("loss", TASKS, 1, ROWS)
        for m in range(members):
            alone = getattr(dynamics, method)(_members(theta, [m], members), shared)
            law = f"member {m} depends on the others: alone it has other losses"
            require(torch.allclose(alone, losses[:, [m]], rtol=1e-4, atol=1e-5), f"{laws.name}.{method}", law)
    rows_of_all = batch("loss", TASKS, members, ROWS)
    require_gradient(f"{laws.name}.loss", lambda p: dynamics.loss(p, rows_of_all), models(TASKS))
    scores = draw("scores", TASKS, members)
    kept = laws.per_task("keep_best", lambda tasks: (models(tasks), draw("scores", tasks, members)), None)
    _require_best(f"{laws.name}.keep_best", models(TASKS), kept, scores)
    o, a = one.observation_dim, one.action_dim

    def step(tasks: Sequence[int]) -> tuple[Any, ...]:
        elites = dynamics.keep_best(models(tasks), draw("scores", tasks, members))
        return elites, one, draw("s", tasks, ROWS, o), draw("a", tasks, ROWS, a).tanh(), streams("step", tasks)

    _, _, ended = laws.per_task("step", step, [(ROWS, o), (ROWS,), (ROWS,)])
    require(bool(((ended == 0) | (ended == 1)).all()), f"{laws.name}.step", "returns terminations other than 0 and 1")


def check_meta_learner(learner: MetaLearner) -> None:
    """Check the laws of a meta-learner; in particular `direction` is an ascent direction, independent of task order."""
    laws, members = Laws(learner), 2
    for key in ("inner_optimizer", "outer_optimizer"):
        choice = getattr(learner, key)
        require(choice in ("adam", "sgd"), f"{laws.name}.{key}", f"is {choice!r:.60}, expected adam or sgd")
    phi = {"w0": draw("w", TASKS[:members], 3, 2), "b0": draw("b", TASKS[:members], 2), "stat.x": torch.ones(1, 1, 3)}

    def theta(tasks: Sequence[int]) -> Params:
        near = {key: value + 0.1 * draw(key, tasks, *value.shape) for key, value in weights(phi).items()}
        return {**near, "stat.x": phi["stat.x"].expand(len(tasks), 1, 1, 3)}

    laws.per_task("penalty", lambda tasks: (theta(tasks), phi), (members,))
    weight = learner.proximal_weight
    require(weight >= 0, f"{laws.name}.proximal_weight", f"is {weight!r:.60}, expected a number of at least 0")
    overridden = type(learner).penalty is not MetaLearner.penalty
    law = f"is {weight!r:.60} and penalty is overridden, expected one of the two"
    require(weight == 0 or not overridden, f"{laws.name}.proximal_weight", law)
    direction = laws.call("direction", lambda: (phi, *_quadratic(TASKS, slice(None))))
    place, shapes = f"{laws.name}.direction", {key: value.shape for key, value in weights(phi).items()}
    found = {key: value.shape for key, value in direction.items()}
    require(found == shapes, place, f"returns {found}, expected the trainable part of φ, {shapes}")
    reversed_ = learner.direction(phi, *_quadratic(TASKS[::-1], slice(None)))
    _require_equal(place, direction, reversed_, "depends on the order of the tasks")
    for m in range(members):
        part = {key: value if key.startswith("stat.") else value[[m]] for key, value in phi.items()}
        alone = learner.direction(part, *_quadratic(TASKS, slice(m, m + 1)))
        own = {key: leaf[[m]] for key, leaf in direction.items()}
        _require_equal(place, own, alone, f"member {m} depends on the others")
    adapt, query = _quadratic(TASKS, slice(None))
    _, grads = gradient(lambda p: query(adapt(p, True)).mean(0), phi)
    slope = sum(float((direction[key] * grads[key]).sum()) for key in grads)
    require(
        slope > 0,
        place,
        "is not an ascent direction on a quadratic: a step against it raises the loss after adaptation",
    )


def _members(params: Params, index: list[int], members: int) -> Params:
    """Select members of parameters [T, member, ...]; statistics may be shared by all members."""
    return {key: leaf[:, index] if leaf.shape[1] == members else leaf for key, leaf in params.items()}


def _require_best(place: str, params: Params, kept: Params, scores: torch.Tensor) -> None:
    """Require that `kept` holds the members of `params` with the lowest scores [T, member]."""
    whole, part = weights(params), weights(kept)
    require(whole.keys() == part.keys(), place, f"returns keys {sorted(part)}, expected {sorted(whole)}")
    elites = next(iter(part.values())).shape[1]
    require(elites >= 1, place, "keeps no member")
    for t, row in enumerate(scores):
        best = row.topk(elites, largest=False).indices.tolist()
        for m in range(len(row)):
            found = any(all(torch.equal(part[key][t, e], whole[key][t, m]) for key in part) for e in range(elites))
            law = f"{'keeps' if found else 'drops'} member {m} of scores {row.tolist()}"
            require(found == (m in best), place, law)


def _quadratic(
    tasks: Sequence[int], members: slice
) -> tuple[Callable[[Params, bool], Params], Callable[[Params], torch.Tensor]]:
    """`adapt` and `query` for `MetaLearner.direction`, of tasks whose loss is a squared distance."""
    centers = {"w0": draw("center-w", tasks, 2, 3, 2)[:, members], "b0": draw("center-b", tasks, 2, 2)[:, members]}

    def adapt(phi: Params, differentiable: bool) -> Params:
        theta = {key: phi[key] + 0.3 * (center - phi[key]) for key, center in centers.items()}
        theta = theta if differentiable else {key: value.detach().clone() for key, value in theta.items()}
        return {**theta, "stat.x": phi["stat.x"].expand(len(tasks), 1, 1, 3)}

    def query(theta: Params) -> torch.Tensor:
        parts = [(theta[key] - center).square().flatten(2).sum(-1) for key, center in centers.items()]
        return torch.stack(parts).sum(0)

    return adapt, query


def _require_equal(place: str, one: Params, two: Params, law: str) -> None:
    same = one.keys() == two.keys() and all(torch.allclose(one[key], two[key], rtol=1e-4, atol=1e-5) for key in one)
    require(same, place, law)
