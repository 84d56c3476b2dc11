"""merpo.nn.kernels: the stacked network against plain autograd, differentiated once and twice, and in chunks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import mlp as slow_mlp
from small import double, generator, normal
from strategies import SEEDS

from merpo.nn import kernels
from merpo.nn.nets import init_mlp, mlp
from merpo.nn.packed import leaves, pack, rebuild
from merpo.types import Params

# lead dims of the parameters, and of the inputs: alike, one input for all critics, one network for all
LEADS = st.sampled_from([((), ()), ((), (3, 2)), ((3,), (3,)), ((3, 2), (3, 1)), ((3, 2), (3, 2)), ((1, 2), (1, 2))])
ACTIVATIONS = st.sampled_from(["relu", "silu"])


def both(sizes: list[int], lead: tuple[int, ...], seed: int) -> tuple[Params, Params]:
    plain = double(init_mlp(sizes, generator(seed), lead))
    return plain, pack(plain)


def differentiable(params: Params) -> tuple[Params, list[torch.Tensor]]:
    held = {key: leaf.clone().requires_grad_() for key, leaf in leaves(params).items()}
    return rebuild(params, held), list(held.values())


@settings(max_examples=40)
@given(seed=SEEDS, sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4), leads=LEADS, activation=ACTIVATIONS)
def test_outputs_and_gradients_are_those_of_plain_autograd(
    seed: int, sizes: list[int], leads: tuple[tuple[int, ...], ...], activation: str
) -> None:
    plain, packed = both(sizes, leads[0], seed)
    inputs = [normal(*leads[1], 4, sizes[0], label=seed).requires_grad_() for _ in range(2)]
    with torch.no_grad():
        torch.testing.assert_close(mlp(packed, inputs[0], activation), mlp(plain, inputs[0], activation))
    grads = []
    for params, rows in zip((plain, packed), inputs, strict=True):
        own, held = differentiable(params)
        outputs = mlp(own, rows, activation)
        found = torch.autograd.grad((outputs.sin()).sum(), [*held, rows])
        grads.append((rebuild(params, dict(zip(leaves(params), found, strict=False))), found[-1]))
    (expected, of_inputs), (found_, of_inputs_) = grads
    torch.testing.assert_close(of_inputs_, of_inputs)
    for key, value in expected.items():
        torch.testing.assert_close(found_[key], value)


@settings(max_examples=10)
@given(seed=SEEDS, activation=ACTIVATIONS)
def test_one_row_of_one_network_is_the_loop(seed: int, activation: str) -> None:
    plain, packed = both([3, 4, 2], (2,), seed)
    inputs = normal(2, 5, 3, label=seed)
    outputs = mlp(packed, inputs, activation)
    for n in range(2):
        weights, biases = ([plain[f"{x}{i}"][n].tolist() for i in range(2)] for x in "wb")
        for b in range(5):
            expected = slow_mlp(weights, biases, inputs[n, b].tolist(), activation)
            assert outputs[n, b].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=10)
@given(seed=SEEDS, activation=ACTIVATIONS)
def test_second_derivatives_are_those_of_plain_autograd(seed: int, activation: str) -> None:
    """What second-order MAML needs: a gradient of a function of a gradient."""
    plain, packed = both([3, 4, 2], (2,), seed)
    inputs, found = normal(2, 5, 3, label=seed), []
    for params in (plain, packed):
        own, held = differentiable(params)
        first = torch.autograd.grad(mlp(own, inputs, activation).sin().sum(), held, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), held)
        found.append(rebuild(params, dict(zip(leaves(params), second, strict=True))))
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value)


def test_a_graph_that_is_kept_can_be_walked_again() -> None:
    _, packed = both([3, 4, 2], (2,), 0)
    own, held = differentiable(packed)
    loss = mlp(own, normal(2, 5, 3)).sum()
    one, two = (torch.autograd.grad(loss, held, retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_only_what_is_asked_for_is_differentiated() -> None:
    _, packed = both([3, 4, 2], (2,), 0)
    rows = normal(2, 5, 3).requires_grad_()
    mlp(packed, rows).sum().backward()  # the actor's step: through the critic, not into it
    assert rows.grad is not None
    assert all(leaf.grad is None for leaf in leaves(packed).values())


@settings(max_examples=10)
@given(seed=SEEDS, rows=st.integers(1, 400), leads=LEADS)
def test_chunks_are_the_whole(seed: int, rows: int, leads: tuple[tuple[int, ...], ...]) -> None:
    _, packed = both([3, 4, 2], leads[0], seed)
    inputs = normal(*leads[1], rows, 3, label=seed).requires_grad_()
    own, held = differentiable(packed)
    results = []
    for chunk in (1 << 30, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "CHUNK", chunk)
            patch.setattr(kernels, "CHUNK_TRAINING", chunk)
            patch.setattr(kernels, "MIN_ROWS_TRAINING", 50)
            outputs = mlp(own, inputs)
            with torch.no_grad():
                inference = mlp(packed, inputs)
            results.append((outputs, inference, *torch.autograd.grad(outputs.sin().sum(), [inputs, *held])))
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_dims_that_do_not_line_up_take_the_plain_path() -> None:
    plain, packed = both([3, 4, 2], (2,), 0)
    wide = normal(5, 2, 4, 3)  # a dim more than the parameters have
    torch.testing.assert_close(mlp(packed, wide), mlp(plain, wide))
