"""merpo.nn.noise: one generator per task, and nothing from global state."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.nn.noise import Streams, derive_seed

DRAWS = {
    "normal": lambda s: s.normal(2, 3),
    "uniform": lambda s: s.uniform(4),
    "integers": lambda s: s.integers(7, 5),
}


def seeded(seeds: list[int]) -> Streams:
    return Streams.seeded(seeds)


@pytest.mark.parametrize("kind", DRAWS)
@settings(max_examples=20)
@given(seeds=st.lists(st.integers(0, 2**62), min_size=1, max_size=4))
def test_a_task_draws_the_same_alone(kind: str, seeds: list[int]) -> None:
    together = DRAWS[kind](seeded(seeds))
    assert together.shape[0] == len(seeds)
    for row, seed in zip(together, seeds, strict=True):
        assert torch.equal(row, DRAWS[kind](seeded([seed]))[0])


def test_selected_streams_go_on_where_they_were() -> None:
    streams, same = seeded([1, 2, 3]), seeded([1, 2, 3])
    streams.normal(2)
    part = streams.select(torch.tensor([2, 0]))
    assert len(part) == 2
    same.normal(2)
    expected = same.normal(4)
    assert torch.equal(part.normal(4), expected[[2, 0]])


def test_integers_respect_each_tasks_size() -> None:
    draws = seeded([1, 2]).integers((3, 1000), 500)
    assert set(draws[0].tolist()) == {0, 1, 2}
    assert draws[1].max() > 100
    assert int(draws.min()) >= 0


def test_a_saved_state_gives_the_same_numbers_again() -> None:
    streams = seeded([1, 2])
    streams.uniform(3)
    state = streams.state()
    first = streams.normal(3)
    streams.restore(state)
    assert torch.equal(streams.normal(3), first)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    streams = seeded([5])
    streams.normal(3), streams.uniform(3), streams.integers(9, 3)
    assert torch.equal(before, torch.get_rng_state())


@settings(max_examples=50)
@given(one=st.tuples(st.integers(), st.text()), two=st.tuples(st.integers(), st.text()))
def test_seeds_of_different_labels_differ(one: tuple[int, str], two: tuple[int, str]) -> None:
    assert (derive_seed(*one) == derive_seed(*two)) == (one == two)
    assert 0 <= derive_seed(*one) < 2**63


def test_seeds_are_the_same_on_every_machine() -> None:
    assert derive_seed(0, "meta-policy", 3) == 7877728020756859995
