"""merpo.artifacts.trees: what a checkpoint holds comes back in the form in which it went."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import SPEC, generator, rac, streams

from merpo.algorithm.duals import init_duals
from merpo.algorithm.rac import fresh_state
from merpo.algorithm.rollout import empty_buffer
from merpo.artifacts.trees import flatten, restored
from merpo.components.context import Constant
from merpo.errors import ArtifactError, PluginError
from merpo.nn.packed import Packed
from merpo.nn.params import expand
from merpo.nn.policy import init_policy

KEYS = st.text("ab/~.", min_size=1, max_size=4)
TREES = st.recursive(
    st.integers(0, 9).map(lambda n: torch.tensor([float(n)])),
    lambda below: st.dictionaries(KEYS, below, max_size=3),
    max_leaves=6,
)


class Pair(NamedTuple):
    one: Any
    other: Any


@given(TREES.filter(lambda tree: isinstance(tree, dict)))
def test_trees_come_back_with_or_without_a_form(tree: Any) -> None:
    flat = flatten(tree)
    assert flatten(restored(tree, flat)) == flat
    loose = restored({"x": None}, flatten({"x": tree}))["x"]
    assert flatten(loose) == flat


def test_a_task_state_comes_back_packed() -> None:
    algorithm = rac()
    duals = init_duals(algorithm.settings, 0.4, 2, "cpu")
    policy = expand(init_policy(SPEC, (12,), generator("a")), 2)
    critic = expand(algorithm.critic.init(SPEC, generator("b")), 2)
    state = fresh_state(policy, critic, duals, empty_buffer(SPEC, 2, 4, "cpu"))
    blank = fresh_state(expand(init_policy(SPEC, (12,), generator("c")), 2), critic, duals, state.buffer)
    found = restored(blank, flatten(state))
    assert type(found) is type(state)
    assert isinstance(found.policy, Packed)
    assert all(torch.equal(found.policy[key], value) for key, value in state.policy.items())
    assert not torch.equal(blank.policy["w0"], state.policy["w0"])


def test_generators_go_on_where_they_were() -> None:
    noise, one = streams(2), generator("x")
    noise.normal(3)
    flat = flatten(Pair({"noise": noise}, one))
    expected = noise.normal(2), torch.rand(2, generator=one)
    again, other = streams(2, "other"), generator("y")
    found = restored(Pair({"noise": again}, other), flat)
    assert found.one["noise"] is again
    assert found.other is other
    assert torch.equal(again.normal(2), expected[0])
    assert torch.equal(torch.rand(2, generator=other), expected[1])


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ({"a": torch.zeros(2), "b": torch.zeros(1)}, "'b' is missing"),
        ({}, "'a' is not expected"),
        ({"a": torch.zeros(3)}, r"'a' is \(\(2,\), torch.float32\), expected \(\(3,\)"),
        ({"a": torch.zeros(2).double()}, "expected .*float64"),
        ({"a": {"a": torch.zeros(2)}}, "is missing|is not expected"),
    ],
)
def test_another_form_is_refused(start: Any, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        restored(start, {"a": torch.zeros(2)})


@pytest.mark.parametrize("leaf", [1, "x", [torch.zeros(1)], object()])
def test_what_no_checkpoint_can_hold_is_refused(leaf: Any) -> None:
    with pytest.raises(PluginError, match=r"'a/b' is .*, which cannot be saved"):
        flatten({"a": {"b": leaf}})


def test_a_constant_that_differs_is_refused() -> None:
    start = {"x": torch.zeros(2), "steps": Constant(torch.tensor([0, 3]))}
    found = flatten({"x": torch.ones(2), "steps": Constant(torch.tensor([0, 3]))})
    assert restored(start, found)["x"].tolist() == [1.0, 1.0]
    with pytest.raises(ArtifactError, match=r"'steps/value' is \[0, 4\], expected \[0, 3\]"):
        restored(start, {**found, "steps/value": torch.tensor([0, 4])})
