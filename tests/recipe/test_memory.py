"""Every size of a recipe has bounds, and what needs more memory than there is ends before anything is allocated."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
import torch
from command import Answer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from small import make
from tiny import TINY, tables, tiny_recipe, write_tiny

from merpo.components.component import DEEPEST, WIDEST
from merpo.components.interfaces import KINDS
from merpo.components.registry import components
from merpo.errors import MerpoError, RecipeError
from merpo.nn.policy import init_policy
from merpo.recipe.memory import Needed, check_memory, needed_memory
from merpo.recipe.recipe import Recipe, from_tables
from merpo.run.run import run_recipe
from merpo.support import machine

Merpo = Callable[..., Answer]


def bounded(annotation: Any, metadata: tuple[Any, ...]) -> bool:
    """Whether every integer and every list that a type allows is bounded on both sides."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return bounded(arguments[0], (*metadata, *arguments[1:]))
    if origin in (Union, types.UnionType):
        return all(bounded(part, metadata) for part in arguments)
    flat = [one for item in metadata for one in (item.metadata if isinstance(item, FieldInfo) else [item])]
    if annotation is int:
        lower = any(getattr(item, key, None) is not None for item in flat for key in ("ge", "gt"))
        return lower and any(getattr(item, key, None) is not None for item in flat for key in ("le", "lt"))
    if origin is tuple and Ellipsis in arguments:
        longest = any(getattr(item, "max_length", None) is not None for item in flat)
        return longest and all(bounded(part, ()) for part in arguments if part is not Ellipsis)
    return True


def fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", field
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel) and section not in KINDS.values():
            yield from fields(section)


def test_every_size_of_a_recipe_is_bounded() -> None:
    models = [Recipe, *(entry.cls for entry in components() if entry.cls is not None and entry.distribution == "merpo")]
    every = dict(pair for model in models for pair in fields(model))
    assert len(every) > 100
    assert [name for name, field in every.items() if not bounded(field.annotation, tuple(field.metadata))] == []


WIDTHS = [
    ("collect", "hidden"),
    ("method.rac", "policy_hidden"),
    ("method.behavior", "hidden"),
    ("method.dynamics", "hidden"),
    ("method.critic", "hidden"),
    ("method.meta_policy", "hidden"),
]


@pytest.mark.parametrize(("section", "key"), WIDTHS)
@pytest.mark.parametrize(
    "widths", [[], [0], [-1], [10**9], [WIDEST + 1], [8] * (DEEPEST + 1), [8.0], ["8"], [True], [8, 0]], ids=str
)
def test_hidden_widths_have_bounds(section: str, key: str, widths: list[Any]) -> None:
    changes: dict[str, Any] = {key: widths}
    for part in reversed(section.split(".")):
        changes = {part: changes}
    if section == "method.meta_policy":
        changes["method"] |= {"component": "single"}
    with pytest.raises(RecipeError, match=rf"{section}\.{key}"):
        from_tables(tables(changes))


def test_check_refuses_them(merpo_cli: Merpo) -> None:
    for widths in ("[0]", "[-1]", "[1000000000]"):
        answer = merpo_cli("check", "tiny.toml", "--set", f"method.rac.policy_hidden={widths}")
        assert answer.code == 2
        assert f"method.rac.policy_hidden[0]: got {widths[1:-1]}, expected an integer " in answer.err


@given(widths=st.lists(st.integers(1, 40), min_size=1, max_size=4), networks=st.integers(1, 4))
def test_the_estimate_of_networks_is_no_more_than_they_take(widths: list[int], networks: int) -> None:
    method = {
        "critic": {"hidden": widths, "critics": networks},
        "rac": {"policy_hidden": widths, "model_buffer": 1, "rollout_batch": 1, "batch_size": 2},
        "dynamics": {"hidden": widths, "members": networks, "elites": 1},
    }
    recipe = tiny_recipe({"method": method})
    parts = needed_memory(recipe, 2, 2).parts
    spec, generator = recipe.tasks.spec(), torch.Generator()
    critic = make("critic", "conservative", hidden=tuple(widths), critics=networks).init(spec, generator)
    policy = init_policy(spec, widths, generator)
    for name, actual, rows in (("method.critic", critic, 2), ("method.rac.policy_hidden", policy, 2)):
        size = sum(leaf.numel() * leaf.element_size() for leaf in actual.values())
        outputs = rows * sum(widths) * 4 * (networks if name == "method.critic" else 1)
        assert 0.3 * 2 * 3 * size <= parts[name] <= 2 * (3 * size + outputs)


SIZES = [
    {"method": {"dynamics": {"members": 64, "hidden": [WIDEST] * DEEPEST}}},
    {"method": {"critic": {"critics": 16, "hidden": [WIDEST] * DEEPEST}}},
    {"method": {"rac": {"policy_hidden": [WIDEST] * DEEPEST}}, "data": {"train_tasks": 200}},
    {"method": {"rac": {"model_buffer": 10_000_000}}, "data": {"train_tasks": 10_000}},
    {"method": {"rac": {"batch_size": 1_000_000, "policy_hidden": [4096] * 4}}, "data": {"test_tasks": 100}},
    {"method": {"behavior": {"batch_size": 1_000_000, "hidden": [4096] * 4}}, "data": {"test_tasks": 100}},
    {"evaluate": {"episodes": 100_000}, "data": {"test_tasks": 100_000}},
    {"collect": {"steps": 100_000_000, "checkpoint_every": 100_000_000}, "data": {"train_tasks": 1000}},
    {"collect": {"steps": 1_000_000, "checkpoint_every": 1, "hidden": [1024] * 3}},
    {"data": {"episodes": 1_000_000, "train_tasks": 100_000}},
]


@pytest.mark.parametrize("changes", SIZES, ids=lambda changes: str(changes)[:60])
def test_what_needs_more_than_any_machine_has_is_refused_first(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merpo.collect.collect.ensure_policies", lambda *_: pytest.fail("collected"))
    monkeypatch.setattr("merpo.collect.collect.announce_plan", lambda *_: pytest.fail("planned"))
    monkeypatch.setattr("merpo.run.run.load_data", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr(machine, "_meminfo", lambda: 100 * 10**9)
    monkeypatch.setattr("merpo.data.needed.needed", lambda recipe: ([], []))
    with pytest.raises(MerpoError, match=r"the recipe needs at least .*B of memory \(.* are available; reduce"):
        run_recipe(from_tables(tables(changes)), tmp_path / "run", [0], "cpu")
    assert not (tmp_path / "run").exists()


def test_check_notes_it(merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_meminfo", lambda: 10**9)
    write_tiny(Path("tiny.toml"), SIZES[0])
    answer = merpo_cli("check", "tiny.toml")
    assert answer.code == 0
    assert "note: the recipe needs at least" in answer.out
    assert "method.dynamics" in answer.out
    assert "note" not in merpo_cli("check", "tiny.toml", "--set", "method.dynamics.hidden=[8]").out


def test_a_shipped_recipe_fits_into_a_small_machine() -> None:
    needed = needed_memory(tiny_recipe(), 2, 2, rows=80, collects=True)
    assert needed.total < 10**6
    check_memory(needed, 10**6)
    check_memory(Needed({"a": 10**30}), None)  # where nothing is known of the machine


def test_memory_is_known_here() -> None:
    found = machine.available_memory()
    assert found is None or 10**7 < found < 10**14
    assert TINY
