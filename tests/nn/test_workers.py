"""merpo.nn.workers: tasks in groups and threads give what they give in one go."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import METHOD, make, task_data

from merpo.components.context import Context
from merpo.nn.nets import init_mlp
from merpo.nn.packed import pack
from merpo.nn.workers import CACHE, groups, tasks_per_cache, worker_pool
from merpo.testing.laws import named_leaves


@given(tasks=st.integers(1, 40), size=st.integers(0, 50), count=st.integers(1, 5))
def test_groups_are_every_task_once_in_order_and_about_equal(tasks: int, size: int, count: int) -> None:
    found = groups(tasks, size, count)
    assert [task for group in found for task in group] == list(range(tasks))
    lengths = [len(group) for group in found]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= max(1, size)
    assert min(lengths) >= 1
    assert len(found) % count == 0 or len(found) == tasks  # no worker waits for another's group
    assert len(found) < max(1, -(-tasks // max(1, size))) + count  # and no more than that takes


@pytest.mark.parametrize("count", [1, 2, 3])
def test_work_is_shared_out_and_comes_back_in_order(count: int) -> None:
    barrier = threading.Barrier(count, timeout=20)  # passes only if so many threads are there at once

    def work(n: int) -> int:
        barrier.wait()
        return 2 * n

    with worker_pool(count) as share:
        assert share.map(work, range(count)) == [2 * n for n in range(count)]
        assert share.map(lambda n: n, []) == []


def test_an_error_in_a_thread_is_raised_outside() -> None:
    with worker_pool(2) as share, pytest.raises(ZeroDivisionError):
        share.map(lambda n: 1 // n, [1, 0])


@pytest.mark.parametrize("hidden", [256, 300])
def test_what_fits_grows_smaller_with_width_members_and_rows(hidden: int) -> None:
    params = init_mlp([4, hidden, 2], torch.Generator(), (7,))
    for held in (params, pack(params)):
        assert tasks_per_cache({**held, "stat.x": torch.ones(1, 1, 10**6)}, 1, 256) == max(
            1, CACHE // (7 * hidden * 256)
        )
        assert tasks_per_cache(held, 1, 10**9) == 1


@pytest.mark.parametrize("change", [{}, {"rac": {**METHOD["rac"], "use_model": False}}])
@pytest.mark.parametrize("count", [2, 3])
def test_results_do_not_depend_on_the_grouping_beyond_rounding(count: int, change: dict[str, Any]) -> None:
    method, data = make("method", "merpo", **{**METHOD, **change}), task_data(5)
    names = tuple("abcde")
    data = data._replace(rows=data.rows.double())
    results = []
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for n in (1, count):
            meta = method.fit(data, Context(seed=1, labels=names, workers=n))
            adapted = method.adapt(meta, data, Context(seed=1, labels=names, workers=n))
            results.append((meta, adapted.policy, adapted.curves))
    finally:
        torch.set_default_dtype(before)
    for (path, one), (_, two) in zip(named_leaves(results[0]), named_leaves(results[1]), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11, msg=lambda text, path=path: f"{path}: {text}")


def test_the_same_grouping_gives_the_same_bits() -> None:
    method, data = make("method", "merpo", **METHOD), task_data(5)
    one, two = (method.fit(data, Context(seed=1, workers=2)) for _ in range(2))
    for (path, x), (_, y) in zip(named_leaves(one), named_leaves(two), strict=True):
        assert torch.equal(x, y), path
