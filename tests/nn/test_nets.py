"""merpo.nn.nets: stacked networks against one network and one row at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import mlp as slow_mlp
from small import double, generator, normal
from strategies import SEEDS

from merpo.nn.nets import init_mlp, layers, mlp
from merpo.nn.optim import gradient
from merpo.types import Params


@settings(max_examples=25)
@given(
    seed=SEEDS, sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4), lead=st.lists(st.integers(1, 3), max_size=2),
    activation=st.sampled_from(["relu", "silu"]),
)  # fmt: skip
def test_the_forward_pass_is_the_paper_networks(seed: int, sizes: list[int], lead: list[int], activation: str) -> None:
    params = double(init_mlp(sizes, generator(seed), lead))
    inputs = normal(*lead, 3, sizes[0], label=seed)
    outputs = mlp(params, inputs, activation)
    assert outputs.shape == (*lead, 3, sizes[-1])
    assert layers(params) == len(sizes) - 1
    flat = {key: value.reshape(-1, *value.shape[len(lead) :]) for key, value in params.items()}
    for n in range(len(flat["w0"])):
        weights = [flat[f"w{i}"][n].tolist() for i in range(len(sizes) - 1)]
        biases = [flat[f"b{i}"][n].tolist() for i in range(len(sizes) - 1)]
        for b in range(3):
            expected = slow_mlp(weights, biases, inputs.reshape(-1, 3, sizes[0])[n, b].tolist(), activation)
            assert outputs.reshape(-1, 3, sizes[-1])[n, b].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_shared_parameters_broadcast() -> None:
    shared, inputs = init_mlp([2, 3, 1], generator(0)), normal(4, 5, 2, dtype=torch.float32)
    expanded = {key: value.expand(4, *value.shape) for key, value in shared.items()}
    torch.testing.assert_close(mlp(shared, inputs), mlp(expanded, inputs))


def test_every_slice_begins_on_its_own_and_within_bounds() -> None:
    params = init_mlp([4, 9, 2], generator(0), lead=(3,), prefix="q.", head_scale=0.01)
    assert sorted(params) == ["q.b0", "q.b1", "q.w0", "q.w1"]
    for key, bound in (("q.w0", 0.5), ("q.b0", 0.5), ("q.w1", 0.01 / 3), ("q.b1", 0.01 / 3)):
        assert float(params[key].abs().max()) <= bound
        assert float(params[key].abs().max()) > 0.4 * bound
        assert not torch.equal(params[key][0], params[key][1])
    torch.testing.assert_close(mlp(params, torch.ones(3, 1, 4), prefix="q.").shape, torch.Size([3, 1, 2]))


@settings(max_examples=10)
@given(seed=SEEDS)
def test_gradients_agree_with_finite_differences(seed: int) -> None:
    params = double(init_mlp([2, 3, 1], generator(seed), lead=(2,)))
    inputs = normal(2, 4, 2, label=seed)

    def loss(p: Params) -> torch.Tensor:
        return mlp(p, inputs, "silu").square().mean((-2, -1))

    _, grads = gradient(loss, params)
    for key, value in params.items():
        for i in range(value.numel()):
            bump = torch.zeros_like(value).view(-1)
            bump[i] = 1e-6
            up, down = ({**params, key: value + s * bump.view_as(value)} for s in (1, -1))
            slope = float((loss(up) - loss(down)).sum()) / 2e-6
            assert float(grads[key].reshape(-1)[i]) == pytest.approx(slope, rel=1e-4, abs=1e-8)
