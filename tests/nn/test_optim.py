"""merpo.nn.optim: gradients and Adam slice by slice, against torch's own and a loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import adam as slow_adam
from small import generator, normal
from strategies import SEEDS

from merpo.nn.nets import init_mlp
from merpo.nn.optim import AdamState, adam, adam_, adam_init, gradient, sgd
from merpo.nn.packed import pack
from merpo.nn.params import clone
from merpo.types import Params


@settings(max_examples=25)
@given(seed=SEEDS, steps=st.integers(1, 6), slices=st.integers(1, 3), lr=st.floats(1e-5, 0.5))
def test_adam_is_torchs_on_every_slice_alone(seed: int, steps: int, slices: int, lr: float) -> None:
    params = {"w0": normal(slices, 2, 3, label=seed), "b0": normal(slices, 3, label=seed + 1)}
    torches = [{key: value[i].clone().requires_grad_(True) for key, value in params.items()} for i in range(slices)]
    theirs = [torch.optim.Adam(one.values(), lr=lr) for one in torches]
    state = adam_init(params, dims=1)
    for step in range(steps):
        grads = {key: normal(*value.shape, label=(seed, step, key)) for key, value in params.items()}
        params, state = adam(params, grads, state, lr)
        for i, (one, optimizer) in enumerate(zip(torches, theirs, strict=True)):
            for key, leaf in one.items():
                leaf.grad = grads[key][i].clone()
            optimizer.step()
    for i, one in enumerate(torches):
        for key, leaf in one.items():
            torch.testing.assert_close(params[key][i], leaf.detach(), rtol=1e-9, atol=1e-12)
    assert state.t.tolist() == [steps] * slices


@settings(max_examples=25)
@given(grads=st.lists(st.floats(-10, 10), min_size=1, max_size=5), start=st.floats(-3, 3), lr=st.floats(1e-4, 0.1))
def test_adam_is_the_published_algorithm(grads: list[float], start: float, lr: float) -> None:
    params = {"x": torch.tensor([start], dtype=torch.float64)}
    state = adam_init(params, dims=1)
    for grad in grads:
        params, state = adam(params, {"x": torch.tensor([grad], dtype=torch.float64)}, state, lr)
    assert float(params["x"]) == pytest.approx(slow_adam(start, grads, lr), rel=1e-9, abs=1e-9)


def test_slices_may_have_taken_different_numbers_of_steps() -> None:
    """A task that was away keeps its own bias correction."""
    old, young = {"x": torch.zeros(1).double()}, {"x": torch.zeros(1).double()}
    state = adam_init(old, 1)
    for g in (1.0, -2.0):
        old, state = adam(old, {"x": torch.tensor([g]).double()}, state, 0.1)
    fresh = adam_init(young, 1)
    both = {"x": torch.cat([old["x"], young["x"]])}
    joined = type(state)(
        {"x": torch.cat([state.m["x"], fresh.m["x"]])}, {"x": torch.cat([state.v["x"], fresh.v["x"]])},
        torch.cat([state.t, fresh.t]),
    )  # fmt: skip
    moved, _ = adam(both, {"x": torch.tensor([3.0, 3.0]).double()}, joined, 0.1)
    assert float(moved["x"][0]) == pytest.approx(slow_adam(0.0, [1.0, -2.0, 3.0], 0.1), rel=1e-9)
    assert float(moved["x"][1]) == pytest.approx(slow_adam(0.0, [3.0], 0.1), rel=1e-9)


@settings(max_examples=25)
@given(seed=SEEDS, steps=st.integers(1, 4), lr=st.floats(1e-5, 0.5), decay=st.floats(0, 2), packed=st.booleans())
@pytest.mark.parametrize("apart", [False, True])  # slices that took other numbers of steps before
def test_adam_in_place_is_adam(apart: bool, seed: int, steps: int, lr: float, decay: float, packed: bool) -> None:
    params = {key: leaf.double() for key, leaf in init_mlp([2, 5, 1], generator(seed), (3,)).items()}
    state = adam_init(params, dims=1)
    if apart:
        state = AdamState(state.m, state.v, torch.tensor([0.0, 4.0, 1.0]).double())
    ours = clone(pack(params) if packed else params)
    held = AdamState(*(pack(tree) if packed else clone(tree) for tree in state[:2]), state.t.clone())
    for step in range(steps):
        grads = {key: normal(*value.shape, label=(seed, step, key)) for key, value in params.items()}
        decayed = {key: grad + decay * params[key] for key, grad in grads.items()}
        params, state = adam(params, decayed, state, lr)
        adam_(ours, pack(grads) if packed else grads, held, lr, decay)
    for key, leaf in params.items():
        torch.testing.assert_close(ours[key], leaf, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(held.m[key], state.m[key], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(held.v[key], state.v[key], rtol=1e-9, atol=1e-12)
    assert torch.equal(held.t, state.t)


def test_a_gradient_is_of_the_sum_and_leaves_statistics_out() -> None:
    params = {"w0": normal(3, 2, label=1), "stat.mean": normal(3, 2, label=2)}

    def loss(p: Params) -> torch.Tensor:
        return ((p["w0"] - p["stat.mean"]) ** 2).sum(-1)

    losses, grads = gradient(loss, params)
    assert list(grads) == ["w0"]
    assert not losses.requires_grad
    torch.testing.assert_close(losses, loss(params))
    torch.testing.assert_close(grads["w0"], 2 * (params["w0"] - params["stat.mean"]))
    assert not params["w0"].requires_grad


def test_inputs_are_left_as_they_are() -> None:
    params, grads = {"w0": torch.ones(2, 2)}, {"w0": torch.ones(2, 2)}
    state = adam_init(params, 1)
    adam(params, grads, state, 0.1)
    sgd(params, grads, 0.1)
    assert all(torch.equal(x, torch.ones(2, 2)) for x in (params["w0"], grads["w0"]))
    assert torch.equal(state.m["w0"], torch.zeros(2, 2))
    assert torch.equal(state.t, torch.zeros(2))


def test_second_derivatives_pass_through_sgd() -> None:
    """d/dφ of (φ − lr f'(φ))², with f(φ) = φ³: by hand."""
    phi = {"x": torch.tensor([0.7], dtype=torch.float64, requires_grad=True)}
    _, grads = gradient(lambda p: p["x"] ** 3, phi, create_graph=True)
    after = sgd(phi, grads, 0.1)
    (slope,) = torch.autograd.grad((after["x"] ** 2).sum(), phi["x"])
    x = 0.7
    inner = x - 0.1 * 3 * x * x
    assert float(slope) == pytest.approx(2 * inner * (1 - 0.1 * 6 * x))
