"""merpo.testing.check: broken task families, methods and models are caught."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from broken import SMALL, delegate
from pydantic import ConfigDict, Field, PrivateAttr

from merpo.components.component import Component
from merpo.components.context import Adapted
from merpo.components.interfaces import AlphaScheduler
from merpo.testing import check_component


class _Shared:
    position = 0.0


class _Wrapped(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment spoilt in one way."""

    def __init__(self, env: Any, fault: str) -> None:
        super().__init__(env)
        self.fault = fault

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        if self.fault == "shared":
            _Shared.position += float(action[0])
            reward += 1e-3 * _Shared.position
        if self.fault == "noise":
            reward += float(np.random.default_rng().normal())
        if self.fault == "nan":
            reward = math.nan
        return observation, reward, terminated, truncated, info

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self.fault == "shared":
            _Shared.position = 0.0
        return super().reset(seed=seed, options=options)


def endless(inner: Any, task: Any) -> Any:
    return inner(task).env


@pytest.mark.parametrize(
    ("method", "broken", "law"),
    [
        ("tasks", lambda inner, train, test: inner(train, test + 1), "tasks, expected"),
        ("tasks", lambda inner, *n: tuple([{**t, "x": np.random.default_rng().random()} for t in p] for p in inner(*n)),
         "not deterministic"),
        ("tasks", lambda inner, *n: tuple([{**t, "x": (1, 2)} for t in p] for p in inner(*n)), "JSON"),
        ("tasks", lambda inner, *n: tuple([{**t, "x": {1}} for t in p] for p in inner(*n)), "JSON"),
        ("make", lambda inner, task: inner(task).env.env, "action space"),
        ("make", endless, "horizon"),
        ("make", lambda inner, task: _Wrapped(inner(task), "shared"), "depends on other environments"),
        ("make", lambda inner, task: _Wrapped(inner(task), "noise"), "not deterministic"),
        ("make", lambda inner, task: _Wrapped(inner(task), "nan"), "not finite"),
        ("oracle", lambda inner, task: lambda s: 2.0 + inner(task)(s), "expected an action"),
    ],
)  # fmt: skip
def test_a_broken_task_family_is_caught(method: str, broken: Any, law: str) -> None:
    with pytest.raises(AssertionError, match=rf"Broken\.{method}") as caught:
        check_component(delegate(*SMALL["tasks"], **{method: broken}))
    assert law in str(caught.value)


def adapt_leaking(inner: Any, meta: Any, tasks: Any, context: Any) -> Adapted:
    adapted = inner(meta, tasks, context)
    return adapted._replace(policy={key: value + value.mean(0) for key, value in adapted.policy.items()})


def adapt_cut_to_the_shortest(inner: Any, meta: Any, tasks: Any, context: Any) -> Adapted:
    """All tasks with as many rows as the smallest has: alone, a larger task has more."""
    return inner(meta, tasks._replace(sizes=(min(tasks.sizes),) * tasks.n_tasks, episodes=None), context)


def adapt_scored_on_the_shortest(inner: Any, meta: Any, tasks: Any, context: Any) -> Adapted:
    """Scores on as many rows of each task as the smallest has; the policies are right."""
    rewards = tasks.first(max(tasks.sizes)).rewards
    return inner(meta, tasks, context)._replace(scores={"reward": rewards.mean(-1)})


def adapt_nothing(inner: Any, *args: Any) -> Any:
    return inner(*args).policy


def fit_with_global_noise(inner: Any, *args: Any) -> Any:
    torch.rand(1)
    return inner(*args)


def fit_spoiling_data(inner: Any, tasks: Any, context: Any) -> Any:
    tasks.rows.mul_(2.0)
    return inner(tasks, context)


def fit_bare(inner: Any, *args: Any) -> Any:
    return inner(*args)["meta_policy"]


@pytest.mark.parametrize(
    ("method", "broken", "law"),
    [
        ("adapt", adapt_leaking, "depends on the other task"),
        ("adapt", adapt_cut_to_the_shortest, "depends on the other task"),
        ("adapt", adapt_scored_on_the_shortest, "depends on the other task"),
        ("adapt", adapt_nothing, "expected Adapted"),
        ("adapt", lambda inner, *args: inner(*args)._replace(references={"a/b": {}}), "a name without '/'"),
        ("fit", fit_with_global_noise, "global random state"),
        ("fit", fit_spoiling_data, "in place"),
        ("fit", fit_bare, "not a dict of tensors"),
        ("act", lambda inner, *args: 3.0 + inner(*args), "outside of [-1, 1]"),
        ("act", lambda inner, *args: inner(*args)[..., :1], "shape"),
    ],
)
def test_a_broken_method_is_caught(method: str, broken: Any, law: str) -> None:
    with pytest.raises(AssertionError, match=rf"Broken\.{method}") as caught:
        check_component(delegate(*SMALL["method"], **{method: broken}))
    assert law in str(caught.value)


class Loose(AlphaScheduler):
    """Takes numbers as text."""

    name = "loose"
    model_config = ConfigDict(strict=False)
    initial: float = Field(0.4, ge=0, le=1, description="First α.")

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """α as it is."""
        return alpha


class Open(Loose):
    """Takes unknown keys."""

    name = "open"
    model_config = ConfigDict(extra="ignore", strict=True)


class Infinite(Loose):
    """Takes infinity."""

    name = "infinite"
    model_config = ConfigDict(strict=True, allow_inf_nan=True)
    scale: float = Field(1.0, description="Any number.")


class Thawed(Loose):
    """Can be changed."""

    name = "thawed"
    model_config = ConfigDict(frozen=False, strict=True)


class Remembering(Loose):
    """Counts its calls."""

    name = "remembering"
    model_config = ConfigDict(strict=True)
    _calls: int = PrivateAttr(0)

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """A little more each time."""
        self._calls += 1
        return (alpha + 0.01 * self._calls).clamp(0, 1)


class Shrinking(Loose):
    """Reads its own fields back as other values."""

    name = "shrinking"
    model_config = ConfigDict(strict=True)

    def model_post_init(self, _: object) -> None:
        """Halve α behind pydantic's back."""
        self.__dict__["initial"] = self.initial / 2


class Unbuildable(Loose):
    """Its default is out of bounds."""

    name = "unbuildable"
    initial: float = Field(2.0, ge=0, le=1, description="First α.")


class Nameless(AlphaScheduler):
    """Lacks a name and a method."""

    initial: float = Field(0.4, description="First α.")


@pytest.mark.parametrize(
    ("cls", "law"),
    [
        (Loose, "initial = True is accepted"), (Open, "no_such_field"), (Infinite, "scale = nan is accepted"),
        (Thawed, "frozen"), (Remembering, "not deterministic"), (Shrinking, "read from"),
        (Unbuildable, "cannot be built"), (Nameless, "name"),
    ],
)  # fmt: skip
def test_a_broken_model_is_caught(cls: type[Component], law: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_component(cls)
    assert law in str(caught.value)
    assert cls.__name__ in str(caught.value)
