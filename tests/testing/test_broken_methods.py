"""merpo.testing.check: components of which one method breaks a law are caught."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from broken import SMALL, delegate
from pydantic import Field

from merpo.components.interfaces import MetaLearner
from merpo.nn.params import weights
from merpo.testing import check_component
from merpo.types import Params


@pytest.mark.parametrize("kind", SMALL)
def test_an_unbroken_delegate_passes(kind: str) -> None:
    check_component(delegate(*SMALL[kind]))


def mutating(inner: Any, first: Any, *rest: Any) -> Any:
    result = inner(first, *rest)
    next(iter(weights(first).values())).add_(1.0)
    return result


def global_noise(inner: Any, *args: Any) -> Any:
    result = inner(*args)
    return result + 0.0 * torch.randn(1)


def seeding(inner: Any, *args: Any) -> Any:
    torch.manual_seed(0)
    return inner(*args)


def numpy_noise(inner: Any, *args: Any) -> Any:
    np.random.uniform()
    return inner(*args)


def leaking(inner: Any, *args: Any) -> Any:
    result = inner(*args)
    return result - 0.1 * result.mean(0, keepdim=True)


def mean_of_tasks(inner: Any, *args: Any) -> Any:
    result = inner(*args)
    return result.mean(0, keepdim=True).expand_as(result)


def one_number(inner: Any, *args: Any) -> Any:
    return inner(*args).mean()


def nan(inner: Any, *args: Any) -> Any:
    return inner(*args) * math.nan


def detached(inner: Any, *args: Any) -> Any:
    return inner(*args).detach()


def raising(inner: Any, *args: Any) -> Any:
    raise KeyError("w7")


class _Counter:
    calls = 0


def counting(inner: Any, *args: Any) -> Any:
    _Counter.calls += 1
    return inner(*args) + 0.01 * _Counter.calls


def mixing_members(inner: Any, params: Any, batch: Any) -> Any:
    losses = inner(params, batch)
    return losses + 0.1 * losses.mean(-1, keepdim=True)


def keep_worst(inner: Any, params: Any, scores: Any) -> Any:
    return inner(params, -scores)


def equal_members(inner: Any, *args: Any) -> Any:
    return {k: v if k.startswith("stat.") else v[:1].expand_as(v).clone() for k, v in inner(*args).items()}


def half_ended(inner: Any, *args: Any) -> Any:
    following, rewards, ended = inner(*args)
    return following, rewards, ended + 0.5


def cut_value(inner: Any, target: Any, batch: Any, *rest: Any) -> Any:
    return inner(target, batch._replace(terminations=torch.ones_like(batch.terminations)), *rest)


def never_ending(inner: Any, target: Any, batch: Any, *rest: Any) -> Any:
    return inner(target, batch._replace(terminations=torch.zeros_like(batch.terminations)), *rest)


def offset(inner: Any, *args: Any) -> Any:
    return inner(*args) + 0.5


def out_of_bounds(inner: Any, alpha: Any, to_behavior: Any, to_meta: Any) -> Any:
    return alpha + 0.1 * (to_behavior - to_meta)


def uphill(inner: Any, *args: Any) -> Any:
    return {key: -value for key, value in inner(*args).items()}


def first_task_only(inner: Any, phi: Any, adapt: Any, query: Any) -> Any:
    theta = adapt(phi, False)
    return {key: value - theta[key][0] for key, value in weights(phi).items()}


def more_keys(inner: Any, *args: Any) -> Any:
    return {**inner(*args), "stat.x": torch.ones(1, 1, 3)}


def fewer_densities(inner: Any, *args: Any) -> Any:
    probes = inner(*args)
    return probes._replace(log_densities=probes.log_densities[:, 1:])


def shifted_by_the_others(inner: Any, *args: Any) -> Any:
    probes = inner(*args)
    return probes._replace(actions=probes.actions - 0.1 * probes.actions.mean(0, keepdim=True))


BROKEN = [
    ("critic", "value", mutating, "in place"),
    ("critic", "value", global_noise, "global random state"),
    ("critic", "value", seeding, "global random state"),
    ("regularizer", "to_meta", numpy_noise, "global random state"),
    ("critic", "bellman_error", leaking, "depends on the other tasks"),
    ("critic", "probes", fewer_densities, "densities"),
    ("critic", "probes", shifted_by_the_others, "depends on the other tasks"),
    ("critic", "gap", mean_of_tasks, "depends on the other tasks"),
    ("critic", "gap", one_number, "shape"),
    ("critic", "value", nan, "not finite"),
    ("critic", "value", detached, "cannot be differentiated"),
    ("critic", "gap", detached, "cannot be differentiated"),
    ("critic", "value", raising, "raised KeyError"),
    ("critic", "value", counting, "not deterministic"),
    ("critic", "init", equal_members, "is initialised equal"),
    ("critic", "backup", cut_value, "does not bootstrap"),
    ("critic", "backup", never_ending, "terminated"),
    ("critic", "bellman_error", offset, "is not zero"),
    ("dynamics", "loss", mutating, "in place"),
    ("dynamics", "loss", global_noise, "global random state"),
    ("dynamics", "loss", leaking, "depends on the other tasks"),
    ("dynamics", "loss", mixing_members, "depends on the others"),
    ("dynamics", "score", one_number, "shape"),
    ("dynamics", "loss", detached, "cannot be differentiated"),
    ("dynamics", "keep_best", keep_worst, "member"),
    ("dynamics", "init", equal_members, "is initialised equal"),
    ("dynamics", "step", half_ended, "other than 0 and 1"),
    ("meta_learner", "penalty", mutating, "in place"),
    ("meta_learner", "penalty", mean_of_tasks, "depends on the other tasks"),
    ("meta_learner", "direction", mutating, "in place"),
    ("meta_learner", "direction", uphill, "not an ascent direction"),
    ("meta_learner", "direction", first_task_only, "order of the tasks"),
    ("meta_learner", "direction", more_keys, "trainable part"),
    ("regularizer", "to_behavior", leaking, "depends on the other tasks"),
    ("regularizer", "to_behavior", offset, "is not zero"),
    ("regularizer", "to_meta", detached, "cannot be differentiated"),
    ("alpha", "update", leaking, "depends on the other tasks"),
    ("alpha", "update", out_of_bounds, "expected numbers in [0, 1]"),
    ("alpha", "update", one_number, "shape"),
]


@pytest.mark.parametrize(
    ("kind", "method", "broken", "law"), BROKEN, ids=[f"{k}-{m}-{b.__name__}" for k, m, b, _ in BROKEN]
)
def test_a_broken_component_is_caught(kind: str, method: str, broken: Any, law: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()
    with pytest.raises(AssertionError, match=rf"Broken\.{method}") as caught:
        check_component(delegate(*SMALL[kind], **{method: broken}))
    assert law in str(caught.value)
    torch.set_rng_state(before[0])
    np.random.set_state(before[1])


class TwoPenalties(MetaLearner):
    """A penalty of its own beside a proximal weight, so that one of them would have no effect."""

    name = "two-penalties"

    inner_lr: float = Field(0.1, description="Inner rate.")
    outer_lr: float = Field(0.1, description="Outer rate.")

    @property
    def proximal_weight(self) -> float:
        return 0.5

    def penalty(self, theta: Params, phi: Params) -> torch.Tensor:
        return 2.0 * super().penalty(theta, phi)

    def direction(self, phi: Params, adapt: Any, query: Any) -> Params:
        theta = adapt(phi, False)
        return {key: value - theta[key].mean(0) for key, value in weights(phi).items()}


def test_a_penalty_beside_a_proximal_weight_is_caught() -> None:
    with pytest.raises(AssertionError, match="penalty is overridden, expected one of the two"):
        check_component(TwoPenalties)
