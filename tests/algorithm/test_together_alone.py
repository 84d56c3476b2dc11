"""T tasks trained together are T tasks trained alone, from the clones to the adapted policy; members likewise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rac_inputs import anchors, models, start
from small import METHOD, make, task_data
from small import rac as small_rac
from strategies import SEEDS

from merpo.algorithm.rac import Anchors, TaskState, rac_step
from merpo.components.context import Context
from merpo.nn.noise import Streams
from merpo.nn.params import gather, tree_map
from merpo.testing.laws import named_leaves

NAMES = ("a", "b", "c")


def close(one: Any, two: Any, tolerance: float = 1e-4) -> None:
    for (path, x), (_, y) in zip(named_leaves(one), named_leaves(two), strict=True):
        torch.testing.assert_close(
            x, y, rtol=10 * tolerance, atol=tolerance, msg=lambda text, path=path: f"{path}: {text}"
        )


def steps(algorithm: Any, state: TaskState, index: list[int], seed: int, count: int) -> tuple[TaskState, Any]:
    """A few steps of some of three tasks, each with noise of its own."""
    where = torch.tensor(index)
    data, fixed = task_data(3).select(index), anchors(3)
    picked = gather(models(algorithm, 3), where) if algorithm.dynamics else None
    noise = Streams.seeded(seed + t for t in index)
    state = gather(tree_map(torch.clone, state), where)
    for _ in range(count):
        state, states, metrics = rac_step(
            algorithm, state, data, picked, Anchors(gather(fixed.behavior, where), fixed.meta), noise
        )  # fmt: skip
    return state, (states, metrics)


@settings(max_examples=12)
@given(
    seed=SEEDS, use_model=st.booleans(), regularizer=st.sampled_from(["kl", "tv"]), count=st.integers(1, 3),
    index=st.sampled_from([[0], [1], [2], [0, 2], [2, 1]]),
)  # fmt: skip
def test_rac_together_is_rac_alone(seed: int, use_model: bool, regularizer: str, count: int, index: list[int]) -> None:
    algorithm = small_rac(use_model, regularizer)
    first = start(algorithm, 3, seed)
    whole, more = steps(algorithm, first, [0, 1, 2], seed, count)
    part, other = steps(algorithm, first, index, seed, count)
    close(gather(whole, torch.tensor(index)), part)
    close(gather(more, torch.tensor(index)), other, 1e-3)


def test_a_task_with_wild_data_spoils_no_other() -> None:
    """Not even by gradients or Adam's state: the others are bit-equal."""
    algorithm = small_rac()
    noise = lambda: Streams.seeded([1, 2, 3])  # noqa: E731
    data, first = task_data(3), start(algorithm, 3)
    rows = data.rows.clone()
    rows[data.starts[1] : data.starts[1] + data.sizes[1], 5] *= 1e6
    results = []
    for some in (data, data._replace(rows=rows)):
        state = tree_map(torch.clone, first)
        streams = noise()
        for _ in range(3):
            state, _, _ = rac_step(algorithm, state, some, models(algorithm, 3), anchors(3), streams)
        results.append(state)
    calm, wild = results
    others = torch.tensor([0, 2])
    for (path, one), (_, two) in zip(
        named_leaves(gather(calm, others)), named_leaves(gather(wild, others)), strict=True
    ):
        assert torch.equal(one, two), path
    assert not torch.equal(calm.critic["w0"][1], wild.critic["w0"][1])


@pytest.mark.parametrize(
    "change",
    [
        {}, {"alpha": "fixed"}, {"regularizer": "tv"}, {"rac": {**METHOD["rac"], "use_model": False}},
        {"adaptation": {"steps": 3, "init_policy": False, "init_critic": False}},
        {"critic": {"component": "conservative", "hidden": (8,), "penalty": "logsumexp", "proposals": 2}},
    ],
)  # fmt: skip
def test_an_unseen_task_is_adapted_to_the_same_alone(change: dict[str, Any]) -> None:
    method, data = make("method", "merpo", **{**METHOD, **change}), task_data(3)
    meta = method.fit(data, Context(labels=NAMES))
    together = method.adapt(meta, data, Context(labels=NAMES))
    for t, name in enumerate(NAMES):
        alone = method.adapt(meta, data.select([t]), Context(labels=(name,)))
        close(gather(together.policy, torch.tensor([t])), alone.policy)
        close({key: value[:, [t]] for key, value in together.curves.items()}, alone.curves, 1e-3)


def test_the_order_of_unseen_tasks_does_not_matter() -> None:
    method, data = make("method", "merpo", **METHOD), task_data(3)
    meta = method.fit(data, Context(labels=NAMES))
    one = method.adapt(meta, data, Context(labels=NAMES)).policy
    two = method.adapt(meta, data.select([2, 0, 1]), Context(labels=("c", "a", "b"))).policy
    close(gather(one, torch.tensor([2, 0, 1])), two)


def test_the_same_seed_gives_the_same_bits() -> None:
    method, data = make("method", "merpo", **METHOD), task_data(3)
    one, two = (method.adapt(method.fit(data, Context(seed=3)), data, Context(seed=3)) for _ in range(2))
    for (path, x), (_, y) in zip(named_leaves(one), named_leaves(two), strict=True):
        assert torch.equal(x, y), path
    other = method.fit(data, Context(seed=4))
    assert not torch.equal(other["meta_policy"]["w0"], method.fit(data, Context(seed=3))["meta_policy"]["w0"])
