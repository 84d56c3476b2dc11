"""What an outsider's method can use: an encoder, twin critics and a policy on [s, z], by public names alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import context_method
import pytest
import torch
from boundary import trespasses
from context_method import ContextTD3BC
from small import SPEC, generator, streams, task_data

import merpo
from merpo import TaskData
from merpo.testing import check_component


def test_it_keeps_every_law() -> None:
    check_component(ContextTD3BC)


def test_it_uses_public_names_alone() -> None:
    assert trespasses(Path(context_method.__file__).read_text("utf-8"), "context_method") == []


def test_training_resumes_to_the_same_bits() -> None:
    """States are updated in place, so that a checkpoint is a copy."""
    data, kept = task_data(2), []

    def save(label: str, step: int, state: Callable[[], Any]) -> None:
        if step == 3:
            learnt, noise = state()
            kept.append((merpo.clone(learnt), noise.state()))

    def resume(label: str, start: Any) -> tuple[int, Any]:
        learnt, noise = kept[0]
        start[1].restore(noise)
        return 3, (learnt, start[1])

    whole = ContextTD3BC(iterations=6).fit(data, merpo.Context(seed=1, save_state=save))
    half = ContextTD3BC(iterations=6).fit(data, merpo.Context(seed=1, resume=resume))
    untrained = ContextTD3BC(iterations=3).fit(data, merpo.Context(seed=1))
    for group, params in whole.items():
        for key, leaf in params.items():
            assert torch.equal(leaf, half[group][key])
            assert not torch.equal(leaf, untrained[group][key])


def unequal(sizes: tuple[int, ...]) -> TaskData:
    data = task_data(len(sizes))
    return data._replace(sizes=sizes)


def test_all_rows_are_there_with_their_mask() -> None:
    data = unequal((5, 3))
    batch, mask = data.all_rows()
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    for task, size in enumerate((5, 3)):
        alone = data.select([task]).first(size)
        for field, own in zip(batch, alone, strict=True):
            assert torch.equal(field[task, :size], own[0])
            assert not field[task, size:].any()


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_context_does_not_depend_on_the_sizes_of_other_tasks(count: int) -> None:
    data = unequal((5, 3))
    together = data.context(streams(2, "context"), count)
    assert together.observations.shape[:2] == (2, count)
    alone = data.select([0]).context(streams(2, "context").select(torch.tensor([0])), count)
    for field, own in zip(together, alone, strict=True):
        assert torch.equal(field[:1], own)


def test_a_context_repeats_no_row_before_each_was_drawn() -> None:
    rows = unequal((5, 3)).context(streams(2, 9), 6)
    for task, size in enumerate((5, 3)):
        seen = [tuple(row) for row in rows.observations[task].tolist()]
        assert len(set(seen[:size])) == min(size, 6)
        assert len(set(seen)) == size


def test_policy_and_critics_on_a_context_against_loops() -> None:
    """[s, z] through the stacked networks, and through each critic's own layers row by row."""
    z, batch = torch.randn(2, 3, generator=generator("z")), task_data(2).first(4)
    policy = merpo.init_policy(SPEC, (5,), generator("pi"), context_dim=3)
    critics = merpo.init_critics(SPEC, (5,), generator("q"), context_dim=3)
    found = merpo.distribution(policy, batch.observations, z)
    values = merpo.critic_values(critics, batch.observations, batch.actions, z)
    assert values.shape == (2, 2, 4)
    for t in range(2):
        for b in range(4):
            mean, _ = _slow(policy, [batch.observations[t, b], z[t]]).chunk(2)
            torch.testing.assert_close(found.mean[t, b], mean)
            for c in range(2):
                own = {key: leaf[c] for key, leaf in critics.items()}
                expected = _slow(own, [batch.observations[t, b], batch.actions[t, b], z[t]])
                torch.testing.assert_close(values[t, c, b], expected[0])


def _slow(params: merpo.Params, parts: list[torch.Tensor]) -> torch.Tensor:
    hidden = torch.cat(parts)
    for i in range(2):
        hidden = hidden @ params[f"w{i}"] + params[f"b{i}"]
        hidden = hidden.relu() if i == 0 else hidden
    return hidden


def test_a_context_of_each_row_is_that_rows_own() -> None:
    rows = torch.zeros(2, 3, 1)
    assert merpo.with_context(rows, torch.ones(2, 3, 2)).shape == (2, 3, 3)
    assert merpo.with_context(rows, torch.tensor([[1.0], [2.0]]))[:, :, 1].tolist() == [[1.0] * 3, [2.0] * 3]
    assert merpo.with_context(rows, None) is rows
