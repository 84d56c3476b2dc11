"""merpo.nn.params: trees of tensors against plain loops."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import outer_step, squared_distance
from small import normal
from strategies import SEEDS

from merpo.nn import params as P
from merpo.types import Params


class Pair(NamedTuple):
    first: Params
    second: tuple[torch.Tensor, torch.Tensor]


def tree(n: int, seed: int = 0) -> Pair:
    return Pair(
        {"w0": normal(n, 2, 3, label=seed), "stat.x": normal(n, 1, label=seed + 1)},
        (normal(n, label=seed + 2), normal(n, 4, label=seed + 3)),
    )


def leaves(tree: Pair) -> list[torch.Tensor]:
    return [*tree.first.values(), *tree.second]


def test_a_tree_keeps_its_types() -> None:
    doubled = P.tree_map(lambda x: 2 * x, tree(2))
    assert isinstance(doubled, Pair)
    assert isinstance(doubled.second, tuple)
    assert list(doubled.first) == ["w0", "stat.x"]
    for one, two in zip(leaves(tree(2)), leaves(doubled), strict=True):
        assert torch.equal(2 * one, two)


def test_trees_of_different_length_do_not_pair() -> None:
    with pytest.raises(ValueError):
        P.tree_map(torch.add, (torch.ones(1),), (torch.ones(1), torch.ones(1)))


@settings(max_examples=25)
@given(seed=SEEDS, index=st.permutations(range(5)), count=st.integers(1, 5))
def test_gather_takes_and_scatter_puts_back(seed: int, index: list[int], count: int) -> None:
    whole, where = tree(5, seed), torch.tensor(index[:count])
    part = P.gather(whole, where)
    changed = P.clone(whole)
    P.scatter_(changed, where, P.tree_map(lambda x: x + 1, part))
    for old, got, new in zip(leaves(whole), leaves(part), leaves(changed), strict=True):
        for i, t in enumerate(index[:count]):
            assert torch.equal(got[i], old[t])
        for t in range(5):
            assert torch.equal(new[t], old[t] + (t in index[:count]))


@given(seed=SEEDS, tasks=st.integers(1, 3), rows=st.integers(1, 4), index=st.lists(st.integers(0, 3), max_size=5))
def test_take_copies_each_tasks_own_rows(seed: int, tasks: int, rows: int, index: list[int]) -> None:
    held = normal(tasks, rows, 2, label=seed)
    chosen = torch.tensor([[(i + t) % rows for i in index] for t in range(tasks)], dtype=torch.int64)
    found = P.take(held, chosen)
    assert found.shape == (tasks, len(index), 2)
    for t in range(tasks):
        for k, i in enumerate(chosen[t].tolist()):
            assert torch.equal(found[t, k], held[t, i])


def test_copies_share_nothing() -> None:
    one = {"w0": torch.ones(2, 2, requires_grad=True)}
    for copy in (P.clone(one), P.expand(one), P.expand(one, 3), P.gather(one, torch.tensor([0]))):
        copy["w0"].detach().zero_()
    assert torch.equal(one["w0"], torch.ones(2, 2))
    assert not P.clone(one)["w0"].requires_grad
    assert P.expand(one, 3, 1)["w0"].shape == (3, 1, 2, 2)


def test_stack_is_the_inverse_of_taking_slices() -> None:
    whole = tree(3)
    again = P.stack([P.tree_map(lambda x, i=i: x[i], whole) for i in range(3)])
    assert all(torch.equal(a, b) for a, b in zip(leaves(whole), leaves(again), strict=True))


@settings(max_examples=25)
@given(seed=SEEDS, rate=st.floats(0, 1), n=st.integers(1, 4))
def test_lerp_and_mean_are_the_outer_step(seed: int, rate: float, n: int) -> None:
    """Line 6 of Algorithm 2 and the meta-Q step are a lerp towards the mean."""
    tasks, meta = {"w0": normal(n, 2, label=seed)}, {"w0": normal(2, label=seed + 1)}
    moved = P.clone(meta)
    P.lerp_(moved, P.mean(tasks), rate)
    for i in range(2):
        expected = outer_step(float(meta["w0"][i]), tasks["w0"][:, i].tolist(), rate)
        assert float(moved["w0"][i]) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25)
@given(seed=SEEDS, tasks=st.integers(1, 3), members=st.integers(1, 3))
def test_squared_distance_is_per_slice_and_without_statistics(seed: int, tasks: int, members: int) -> None:
    theta = {
        "w0": normal(tasks, members, 2, 3, label=seed), "b0": normal(tasks, members, 3, label=seed + 1),
        "stat.mean": normal(tasks, 1, 1, 4, label=seed + 2),
    }  # fmt: skip
    phi = {
        "w0": normal(members, 2, 3, label=seed + 3), "b0": normal(members, 3, label=seed + 4),
        "stat.mean": normal(1, 1, 4, label=seed + 5),
    }  # fmt: skip
    found = P.squared_distance(theta, phi, dims=2)
    assert found.shape == (tasks, members)
    for t in range(tasks):
        for m in range(members):
            own = theta["w0"][t, m].flatten().tolist() + theta["b0"][t, m].tolist()
            center = phi["w0"][m].flatten().tolist() + phi["b0"][m].tolist()
            assert float(found[t, m]) == pytest.approx(squared_distance(own, center), rel=1e-12)


def test_weights_leave_statistics_out() -> None:
    assert list(P.weights(tree(1).first)) == ["w0"]
