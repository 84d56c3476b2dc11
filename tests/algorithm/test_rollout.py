"""merpo.algorithm.rollout: D_model against a Python list, and rollouts that stay with their own task."""

from __future__ import annotations

from collections import deque

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import SPEC, dynamics, generator, streams, task_data

from merpo.algorithm.rollout import append, drawn_rows, empty_buffer, roll_out, sample_buffer
from merpo.components.task_data import TaskData, from_rows
from merpo.nn.params import expand
from merpo.nn.policy import init_policy
from merpo.types import Params, Spec

NARROW = Spec(1, 1)  # rows of five numbers


@settings(max_examples=40)
@given(capacity=st.integers(1, 6), writes=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_buffer_is_the_last_rows_written(capacity: int, writes: list[int]) -> None:
    buffer, oracle, number = empty_buffer(NARROW, 2, capacity, "cpu"), [deque(maxlen=capacity) for _ in range(2)], 0
    for count in writes:
        rows = torch.zeros(2, count, 5)
        for i in range(count):
            for t in range(2):
                number += 1
                rows[t, i] = number
                oracle[t].append(number)
        buffer = append(buffer, rows)
    assert buffer.written.tolist() == [sum(writes)] * 2
    for t in range(2):
        held = buffer.rows[t, : min(sum(writes), capacity), 0].tolist()
        assert sorted(held) == sorted(oracle[t])


@settings(max_examples=20)
@given(capacity=st.integers(1, 6), count=st.integers(1, 9))
def test_samples_are_written_rows_of_the_same_task(capacity: int, count: int) -> None:
    rows = torch.arange(2 * count, dtype=torch.float32).view(2, count, 1).expand(2, count, 5) + 1.0
    buffer = append(empty_buffer(NARROW, 2, capacity, "cpu"), rows)
    sampled = sample_buffer(buffer, streams(2), 200, NARROW).rewards
    for t in range(2):
        assert set(sampled[t].tolist()) == set(rows[t, -capacity:, 0].tolist())


def test_no_uniform_number_times_the_rows_written_rounds_up_to_their_count() -> None:
    """The largest float32 below 1, which is the largest that is drawn, times any count that a buffer can have."""
    counts = torch.arange(1, 2**24 + 1, dtype=torch.int64)
    largest = torch.full((len(counts), 1), 1 - 2**-24)
    assert bool((drawn_rows(largest, counts)[:, 0] < counts).all())


def test_tasks_that_wrote_different_numbers_of_rows() -> None:
    """As after `gather` and `scatter` of a task batch: each ring turns at its own place."""
    buffer = empty_buffer(NARROW, 2, 4, "cpu")
    buffer = buffer._replace(written=torch.tensor([0, 3]))
    buffer = append(buffer, torch.arange(1.0, 3.0)[None, :, None].expand(2, 2, 5))
    assert buffer.rows[..., 0].tolist() == [[1, 2, 0, 0], [2, 0, 0, 1]]
    assert buffer.written.tolist() == [2, 5]


def constant_models(tasks: int) -> Params:
    """Models that move every state by 10 t + 1 and pay 10 t + 1, almost without noise."""
    learner = dynamics()
    data = task_data(tasks)
    params = expand(learner.init(SPEC, from_rows(data.rows, SPEC), generator(0)), tasks)
    params = {key: torch.zeros_like(value) for key, value in params.items()}
    for key in ("stat.input_std", "stat.target_std"):
        params[key] = torch.ones_like(params[key])
    params["b1"][..., 4:] = -100.0
    params["b1"][..., :4] = torch.arange(tasks)[:, None, None] * 10.0 + 1.0
    return params


def policies(tasks: int) -> Params:
    return expand(init_policy(SPEC, (4,), generator(1)), tasks)


def states(data: TaskData, t: int) -> set[tuple[float, ...]]:
    return {tuple(row[:3].tolist()) for row in data.rows[data.starts[t] : data.starts[t] + data.sizes[t]]}


def test_rollouts_start_in_the_tasks_own_states_and_follow_its_own_model() -> None:
    data, tasks, count, length = task_data(3), 3, 5, 3
    rows = roll_out(dynamics(), constant_models(tasks), policies(tasks), data, streams(tasks), count, length)
    assert rows.shape == (tasks, count * length, 10)
    batch = from_rows(rows, SPEC)
    for t in range(tasks):
        assert batch.rewards[t].round().tolist() == [10.0 * t + 1.0] * (count * length)
        assert all(tuple(row.tolist()) in states(data, t) for row in batch.observations[t, :count])
        for step in range(length - 1):
            now, later = slice(step * count, (step + 1) * count), slice((step + 1) * count, (step + 2) * count)
            assert torch.equal(batch.next_observations[t, now], batch.observations[t, later])
    assert not batch.terminations.any()
    assert bool((batch.actions.abs() <= 1).all())


def test_a_rollout_that_ended_starts_anew_in_the_data() -> None:
    spec = SPEC._replace(terminated=lambda s, a, s2: torch.ones_like(s2[..., 0]))
    data = task_data(2)._replace(spec=spec)
    batch = from_rows(roll_out(dynamics(), constant_models(2), policies(2), data, streams(2), 6, 3), spec)
    assert bool((batch.terminations == 1).all())
    for t in range(2):
        assert all(tuple(row.tolist()) in states(data, t) for row in batch.observations[t])
