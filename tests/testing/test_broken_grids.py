"""merpo.testing.check: a family's own grid that differs from its environments is caught."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from broken import SMALL, delegate

from merpo.components.conformance import interface_problem
from merpo.testing import check_component

HORIZON = 12  # more than the steps of which the numbers are compared


class _Grid:
    """A grid spoilt in one way."""

    def __init__(self, grid: Any, fault: str) -> None:
        self.grid, self.fault, self.steps = grid, fault, 0

    @property
    def running(self) -> Any:
        return self.grid.running | (self.fault == "late")

    def observations(self) -> torch.Tensor:
        return self.grid.observations()

    def step(self, observations: torch.Tensor, actions: torch.Tensor) -> Any:
        batch, cuts = self.grid.step(observations, actions)
        self.steps += 1
        if self.fault == "pays" and self.steps > HORIZON:
            batch = batch._replace(rewards=batch.rewards + 1.0)
        if self.fault == "company":
            batch = batch._replace(rewards=batch.rewards + 1e-3 * (len(observations) - 3))
        return batch._replace(rewards=2.0 * batch.rewards) if self.fault == "double" else batch, cuts

    def close(self) -> None:
        self.grid.close()


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("double", "differs from the environments of make"),
        ("company", "steps of a task depend on the other tasks"),
        ("late", f"runs on after {HORIZON} steps"),
        ("pays", "have ended"),
        ("stops", "do not restart"),
    ],
)
def test_a_broken_grid_is_caught(fault: str, law: str) -> None:
    def grid(inner: Any, tasks: Any, episodes: int, seed: int, restart: bool) -> Any:
        return _Grid(inner(tasks, episodes, seed, restart and fault != "stops"), fault)

    kind, name, base, fields = SMALL["tasks"]
    with pytest.raises(AssertionError, match=r"Broken\.grid") as caught:
        check_component(delegate(kind, name, base, {**fields, "horizon": HORIZON}, grid=grid))
    assert law in str(caught.value)


def test_a_grid_of_ones_own_keeps_the_laws() -> None:
    check_component(delegate(*SMALL["tasks"], grid=lambda inner, *args: inner(*args)))


def test_a_family_that_says_it_has_no_environment_has_none() -> None:
    cls: Any = delegate(*SMALL["tasks"])
    cls.has_environment = False
    with pytest.raises(AssertionError, match=r"Broken\.make: returns an environment although has_environment is false"):
        check_component(cls)


def test_a_grid_must_take_the_arguments_of_the_interface() -> None:
    cls: Any = delegate(*SMALL["tasks"])
    cls.grid = lambda self, tasks: None
    assert interface_problem(cls) == "Broken.grid cannot be called as grid(self, tasks, episodes, seed, restart)"
