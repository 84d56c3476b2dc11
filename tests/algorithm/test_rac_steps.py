"""merpo.algorithm.rac_steps: the same bits as the step itself, for whichever tasks; on a GPU, as a recorded graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rac_inputs import anchors, models, start
from small import critic, rac, streams, task_data
from strategies import SEEDS
from torch.utils._python_dispatch import TorchDispatchMode

from merpo.algorithm.rac import RAC, Anchors, rac_step
from merpo.algorithm.rac_steps import DrawBuffers, FixedStep, rac_steps
from merpo.nn.noise import Streams
from merpo.nn.params import gather, to_device, tree_map
from merpo.nn.workers import worker_pool
from merpo.testing.laws import named_leaves

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and PyTorch finds none")


def turn(algorithm: RAC, index: list[int], seed: int) -> tuple[Any, ...]:
    """State, data, models, anchors and noise of some of four tasks."""
    where = torch.tensor(index)
    state = gather(tree_map(torch.clone, start(algorithm, 4, seed)), where)
    fixed, picked = anchors(4), models(algorithm, 4) if algorithm.dynamics else None
    near = Anchors(gather(fixed.behavior, where), fixed.meta)
    noise = Streams.seeded(seed + t for t in index)
    return state, task_data(4).select(index), None if picked is None else gather(picked, where), near, noise


def plain(algorithm: RAC, given: tuple[Any, ...], steps: int, improve: bool) -> tuple[Any, ...]:
    state, data, picked, near, noise = given
    for _ in range(steps):
        state, states, metrics = rac_step(algorithm, state, data, picked, near, noise, improve)
    return state, states, metrics


@settings(max_examples=15)
@given(
    seed=SEEDS, use_model=st.booleans(), regularizer=st.sampled_from(["kl", "tv"]), improve=st.booleans(),
    penalty=st.sampled_from(["rho", "logsumexp"]), turns=st.lists(st.permutations(range(4)), min_size=1, max_size=3),
)  # fmt: skip
def test_a_fixed_step_is_the_step(
    seed: int, use_model: bool, regularizer: str, improve: bool, penalty: str, turns: list[list[int]]
) -> None:
    """One room for several turns of two tasks each, bit by bit."""
    algorithm = rac(use_model, regularizer)._replace(critic=critic(penalty=penalty, proposals=2))
    fixed = FixedStep(algorithm, *turn(algorithm, [0, 1], seed), improve)
    for k, order in enumerate(turns):
        index = list(order[:2])
        found = fixed.run(*turn(algorithm, index, seed + k), 2)
        expected = plain(algorithm, turn(algorithm, index, seed + k), 2, improve)
        for (path, one), (_, two) in zip(named_leaves(found), named_leaves(expected), strict=True):
            assert torch.equal(one, two), path


def test_a_run_goes_on_from_where_it_is() -> None:
    """The state that a run gave may be changed in part and given back."""
    algorithm = rac()
    fixed, first = FixedStep(algorithm, *turn(algorithm, [0, 1], 5)), turn(algorithm, [0, 1], 5)
    state, _, _ = fixed.run(*first, 1)
    state = state._replace(duals=state.duals._replace(alpha=torch.tensor([0.1, 0.9])))
    found, _, _ = fixed.run(state, *first[1:], 1)
    again = turn(algorithm, [0, 1], 5)
    expected, _, _ = plain(algorithm, again, 1, True)
    expected = expected._replace(duals=expected.duals._replace(alpha=torch.tensor([0.1, 0.9])))
    expected, _, _ = plain(algorithm, (expected, *again[1:]), 1, True)
    for (path, one), (_, two) in zip(named_leaves(found), named_leaves(expected), strict=True):
        assert torch.equal(one, two), path


def test_draws_ahead_are_the_draws_in_tensors_that_stay() -> None:
    sizes, buffers = [3, 9], DrawBuffers("cpu")
    noise = Streams([torch.Generator(), torch.Generator()], source=buffers.next)

    def draws(source: Streams) -> list[torch.Tensor]:
        return [
            source.normal(2),
            source.integers(sizes, 40, offset=[100, 200]),
            source.permutation(5),
            source.uniform(1),
        ]

    buffers.record(noise.generators)
    held = draws(noise)
    sizes[0] = 30  # other tasks, other bounds
    for _ in range(2):
        own = streams(2, "ahead")
        buffers.fill(own.generators)
        assert [x.data_ptr() for x in draws(noise)] == [x.data_ptr() for x in held]
        for one, two in zip(held, draws(streams(2, "ahead")), strict=True):
            assert torch.equal(one, two)
        with pytest.raises(IndexError):
            noise.normal(2)


class NoNumbers(TorchDispatchMode):
    """Refuses what makes the CPU wait for a GPU's answer."""

    ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.__name__.partition(".")[0] not in self.ASKING, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("regularizer", ["kl", "tv"])
@pytest.mark.parametrize("use_model", [True, False])
def test_a_step_asks_for_no_number(use_model: bool, regularizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm = rac(use_model, regularizer)
    given = turn(algorithm, [0, 1], 3)
    with NoNumbers(), pytest.raises(AssertionError):
        plain(algorithm, given, 1, True)  # on a CPU, Adam asks for the steps of its slices
    monkeypatch.setattr("merpo.nn.optim._same_steps", lambda t: False)  # as on a GPU
    given = turn(algorithm, [0, 1], 3)
    with NoNumbers():
        plain(algorithm, given, 1, True)


@needs_gpu
@pytest.mark.parametrize("improve", [True, False])
def test_a_recorded_step_is_the_step_on_a_gpu(improve: bool) -> None:
    algorithm = rac()
    with worker_pool(1) as share:
        for seed, index in ((1, [0, 1]), (2, [3, 2])):
            state, data, picked, near, noise = turn(algorithm, index, seed)
            moved = to_device((state, picked, near), "cuda")
            data = data._replace(rows=data.rows.cuda())
            noise.device = torch.device("cuda")
            fixed = rac_steps(algorithm, moved[0], data, *moved[1:], noise, 2, share, improve)
            expected = plain(algorithm, turn(algorithm, index, seed), 2, improve)
            for (path, one), (_, two) in zip(
                named_leaves(to_device(fixed, "cpu")), named_leaves(expected), strict=True
            ):
                torch.testing.assert_close(
                    one, two, rtol=1e-3, atol=1e-4, msg=lambda text, path=path: f"{path}: {text}"
                )
        kept = share.once(("rac step", improve), lambda: None)
    assert kept._graph is not None
