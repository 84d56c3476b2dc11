"""Environments of old Gym are named as such, wherever a family's environments are reset or stepped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from broken import SMALL, delegate

from merpo.components.grid import EnvGrid
from merpo.data.named import check_environment
from merpo.errors import DatasetError, PluginError
from merpo.evaluation.film import film
from merpo.testing import check_component

BOX = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)


class Modern:
    """What Gymnasium expects, as far as merpo uses it."""

    observation_space = action_space = BOX
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}
    unwrapped: Any = property(lambda self: self)

    def reset(self, *, seed: int | None = None) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), 0.0, True, False, {}

    def render(self) -> Any:
        return np.zeros((32, 32, 3), np.uint8)

    def close(self) -> None:
        """Nothing to close."""


class OldReset(Modern):
    def reset(self, *, seed: int | None = None) -> Any:
        return np.zeros(2, np.float32)


class OldSeed(Modern):
    def reset(self) -> Any:  # type: ignore[override]
        return np.zeros(2, np.float32)


class OldStep(Modern):
    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), 0.0, True, {}


class Wrapped(Modern):
    """As a wrapper of Gymnasium's around an old environment does it."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = (np.zeros(2), 0.0, True, {})  # type: ignore[misc]
        return observation, reward, terminated, truncated, info


def refused() -> Any:
    return gymnasium.wrappers.TimeLimit(OldStep(), 5)  # type: ignore[arg-type]


OLD: list[tuple[Callable[[], Any], str]] = [
    (OldReset, "its reset returns an observation alone"),
    (OldSeed, "its reset takes no seed"),
    (OldStep, "its step returns 4 values"),
    (Wrapped, "its step returns 4 values"),
    (refused, "has the API of old Gym"),
]


def family(made: Callable[[], Any]) -> Any:
    kind, name, base, fields = SMALL["tasks"]
    return delegate(kind, name, base, fields, make=lambda inner, task: made())()


@pytest.mark.parametrize(("made", "why"), OLD)
def test_an_old_environment_is_named_before_training(made: Callable[[], Any], why: str) -> None:
    with pytest.raises(PluginError, match=f"{why}.*expected Gymnasium's API"):
        check_environment(family(made), "data", {"wind": [0.0, 0.0]})


@pytest.mark.parametrize(("made", "why"), OLD[:-1])
def test_and_where_it_is_played(made: Callable[[], Any], why: str) -> None:
    import torch

    def play() -> None:
        grid = EnvGrid(lambda task: made(), [{}], 1, 0, False)
        grid.step(grid.observations(), torch.zeros(1, 1, 2))

    def shoot() -> None:
        film(family(made), {"wind": [0.0, 0.0]}, lambda rows: torch.zeros(1, 1, 2), 0)

    for use in (play, shoot):
        with pytest.raises(PluginError, match=f"{why}.*expected Gymnasium's API"):
            use()


def test_a_modern_one_is_taken_and_other_errors_stay_what_they_are() -> None:
    check_environment(family(Modern), "data", {"wind": [0.0, 0.0]})

    class Faulty(Modern):
        def reset(self, *, seed: int | None = None) -> Any:
            raise TypeError("no such task")

    with pytest.raises(DatasetError, match="no such task"):
        check_environment(family(Faulty), "data", {})


def test_the_check_of_components_names_it_too() -> None:
    with pytest.raises((AssertionError, PluginError), match="API of old Gym"):
        check_component(type(family(OldReset)))
