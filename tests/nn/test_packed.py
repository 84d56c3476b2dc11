"""merpo.nn.packed: blocks hold what the ordinary weights hold, whatever is done to them; their padding stays zero."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import generator, normal
from strategies import SEEDS

from merpo.artifacts.artifact import load_artifact, save_artifact
from merpo.nn import params as P
from merpo.nn.nets import init_mlp, mlp
from merpo.nn.optim import adam_, adam_init, gradient, sgd
from merpo.nn.packed import LANE, Packed, leaves, like, pack, rebuild
from merpo.types import Params

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=4)


def network(sizes: list[int], *lead: int, seed: int = 0, prefix: str = "") -> Params:
    return init_mlp(sizes, generator(seed), lead, prefix)


def padding(packed: Params) -> torch.Tensor:
    """The sum of |x| over everything in the blocks that no ordinary tensor shows."""
    whole = sum(leaf.abs().double().sum() for leaf in leaves(packed).values())
    return whole - sum(value.abs().double().sum() for value in packed.values())


def equal(one: Params, two: Params) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@settings(max_examples=30)
@given(sizes=SIZES, lead=st.lists(st.integers(1, 3), max_size=2), seed=SEEDS)
def test_packing_changes_nothing_that_can_be_read(sizes: list[int], lead: list[int], seed: int) -> None:
    plain = {**network(sizes, *lead, seed=seed), "stat.mean": normal(3)}
    packed = pack(plain)
    assert isinstance(packed, Packed)
    assert equal(packed, plain)
    assert equal({**packed}, plain)
    assert equal(dict(packed), plain)
    assert (len(packed), "w0" in packed, "w9" in packed, repr(packed)) == (len(plain), True, False, repr(dict(packed)))
    assert float(padding(packed)) == pytest.approx(0, abs=1e-5)
    found = packed.stack("")
    assert found is not None
    chain, there, weights, biases = found
    assert there == tuple(lead)
    assert {leaf.shape[0] for leaf in weights + biases} == {math.prod(lead)}
    assert packed.stack("other.") is None
    assert chain.sizes == tuple(sizes)
    assert all(weight.shape[-1] % LANE == 0 for weight in weights[:-1])
    assert all(weight.shape[-2] % LANE == 0 for weight in weights[1:])
    assert chain.folded == (len(sizes) > 2 and all(size % LANE for size in sizes[1:-1]))
    assert [leaf.shape[-1] for leaf in biases] == ([] if chain.folded else [leaf.shape[-1] for leaf in weights])
    assert pack(packed) is packed


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_what_kernels_take_follows_steps_in_place_and_never_an_expanded_leaf(lead: tuple[int, ...]) -> None:
    packed = pack(network([2, 8, 1], *lead))
    assert isinstance(packed, Packed)
    first = packed.stack("")
    assert first is packed.stack("")
    assert first is not None
    packed.leaves["w0"].mul_(2.0)
    packed.leaves["b0"].add_(1.0)
    for key, leaf in (("w0", first.weights[0]), ("b0", first.biases[0])):
        assert torch.equal(leaf, packed.leaves[key].reshape(leaf.shape))
    wide = P.tree_map(lambda leaf: leaf.expand(4, *leaf.shape), packed)
    assert wide.stack("") is not wide.stack("")  # type: ignore[attr-defined]


def test_only_networks_are_packed() -> None:
    nets = {**network([2, 3, 1], prefix="a."), **network([4, 2], prefix="b.")}
    assert {key for key, leaf in leaves(pack(nets)).items()} == {"a.w0", "a.w1", "b.w0", "b.b0"}
    for other in (
        {"w0": normal(2, 3)},  # no bias
        {"w0": normal(2, 3), "b0": normal(2)},  # a bias of another size
        {"w0": normal(2, 3), "b0": normal(3), "w1": normal(4, 1), "b1": normal(1)},  # layers that do not fit
        {"w1": normal(2, 3), "b1": normal(3)},  # a first layer that is missing
        {"w0": normal(3), "b0": normal(3)}, {"x": normal(1)}, {},
    ):  # fmt: skip
        assert pack(other) is other


@settings(max_examples=20)
@given(seed=SEEDS, sizes=SIZES)
def test_arithmetic_on_blocks_is_arithmetic_on_the_ordinary_tensors(seed: int, sizes: list[int]) -> None:
    one, two = network(sizes, 4, 2, seed=seed), network(sizes, 4, 2, seed=seed + 1)
    where = torch.tensor([2, 0])
    for function in (
        lambda a, b: P.gather(a, where), lambda a, b: P.expand(a, 3), lambda a, b: P.clone(a), lambda a, b: P.mean(a),
        lambda a, b: P.stack([a, b]), lambda a, b: P.to_device(a, "cpu"), lambda a, b: P.weights(a),
        lambda a, b: sgd(a, b, 0.1), lambda a, b: changed(P.lerp_, a, b, 0.3),
        lambda a, b: changed(P.scatter_, a, where, P.gather(b, where)),
    ):  # fmt: skip
        expected, found = function(one, two), function(pack(one), pack(two))
        assert isinstance(found, Packed)
        assert equal(found, expected)
        assert equal(function(pack(one), two), expected)  # what is not packed is packed as its partner is
        assert float(padding(found)) == pytest.approx(0, abs=1e-5)
    for dims in (1, 2):
        expected = P.squared_distance(one, two, dims)
        torch.testing.assert_close(P.squared_distance(pack(one), pack(two), dims), expected)
        torch.testing.assert_close(P.squared_distance(pack(one), two, dims), expected)


def changed(function: object, tree: Params, *arguments: object) -> Params:
    """A copy of `tree` after a function that works in place."""
    copy = P.clone(tree)
    function(copy, *arguments)  # type: ignore[operator]
    return copy


@settings(max_examples=10)
@given(seed=SEEDS, steps=st.integers(1, 4), hidden=st.sampled_from([[5, 7], [8, 7], [8, 16], [9]]))
def test_training_leaves_the_padding_at_zero(seed: int, steps: int, hidden: list[int]) -> None:
    packed = pack(network([3, *hidden, 2], 2, seed=seed))
    state = adam_init(packed, dims=1)
    for i in range(steps):
        inputs = normal(2, 6, 3, label=(seed, i), dtype=torch.float32)
        _, grads = gradient(lambda p: mlp(p, inputs).square().sum((-2, -1)), packed)  # noqa: B023
        assert isinstance(grads, Packed)
        assert float(padding(grads)) == pytest.approx(0, abs=1e-3)
        assert all(bool((grad != 0).any()) for grad in grads.values())
        adam_(packed, grads, state, 0.05)
    for value in packed.values():
        value.zero_()  # a view: what is left is padding
    assert all(float(leaf.abs().max()) == 0.0 for leaf in leaves(packed).values())


def test_an_artifact_holds_ordinary_weights(tmp_path: Path) -> None:
    plain = {**network([3, 5, 2], 2), "stat.mean": normal(3)}
    digest = save_artifact(tmp_path / "a.safetensors", {"policy": pack(plain)}, {})
    assert digest == save_artifact(tmp_path / "b.safetensors", {"policy": plain}, {})
    assert equal(load_artifact(tmp_path / "a.safetensors")[0]["policy"], plain)


def test_like_and_rebuild_keep_what_is_no_block() -> None:
    plain = network([2, 2])
    assert like(plain, plain) is plain
    assert isinstance(like(pack(plain), plain), Packed)
    assert rebuild(plain, {"x": normal(1)}).keys() == {"x"}
