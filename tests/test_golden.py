"""Golden files: every recipe's numbers on a small fixed dataset, in float64.

`nox -s golden` (or MERPO_GOLDEN=write pytest tests/test_golden.py) writes them anew; a changed number is a decision.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from merpo.components.context import Context
from merpo.data.dataset import TaskDataset, stack_tasks
from merpo.data.normalize import fit_normalization, normalize_tasks
from merpo.recipe.extends import merge, read_tables
from merpo.recipe.recipe import Recipe, from_tables, resolved
from merpo.types import Metrics, Params, Spec

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).resolve().parent / "golden"
RECIPES = {
    path.relative_to(ROOT / "recipes").with_suffix("").as_posix(): path for path in ROOT.glob("recipes/**/*.toml")
}
WRITE = os.environ.get("MERPO_GOLDEN", "") == "write"
ROWS = 12  # logged rows of fit and of adapt that a file keeps, each
RTOL, ATOL = 1e-6, 1e-9

UNREACHED = {"ablations/lambda_bounded"}  # the bound of λ binds after hundreds of steps only

WIDTH = [8, 8]
SMALL: dict[str, Any] = {
    "dynamics": {"members": 3, "elites": 2, "hidden": WIDTH},
    "critic": {"hidden": WIDTH},
    "meta_model": {"iterations": 2, "task_batch": 2, "inner_steps": 2, "batch_size": 16, "adaptation_steps": 5},
    "behavior": {"hidden": WIDTH, "steps": 5, "batch_size": 16},
    "rac": {"policy_hidden": WIDTH, "batch_size": 16, "rollout_batch": 8, "model_buffer": 64},
    "meta_policy": {"iterations": 3, "task_batch": 2, "inner_steps": 3},
    "adaptation": {"steps": 5},
}

SMALL_SINGLE: dict[str, Any] = {
    **{section: SMALL[section] for section in ("dynamics", "critic", "behavior", "rac")},
    "model": {"steps": 5, "batch_size": 16},
    "steps": 5,
}
NO_STORE = {"meta_policy": {"source": "random", "path": ""}}  # in place of a policy that collected a dataset


def name_of(recipe: str) -> str:
    """The golden file of a recipe."""
    return recipe.replace("/", "-") + ".json"


def small_recipe(path: Path) -> Recipe:
    """A recipe with networks of eight units and a handful of steps; what it sets to zero stays zero."""
    tables = read_tables(path)
    method = tables["method"]
    if method["component"] == "single":
        given = method.get("meta_policy", {}).get("source") == "checkpoint"
        return from_tables(merge(tables, {"method": SMALL_SINGLE | (NO_STORE if given else {})}), str(path))
    sizes = {section: dict(values) for section, values in SMALL.items()}
    for section, values in sizes.items():
        for key in ("iterations", "steps"):
            if key in values and method.get(section, {}).get(key) == 0:
                values[key] = 0
    lead = method.get("adaptation", {}).get("critic_lead", 0)
    sizes["adaptation"]["critic_lead"] = min(lead, 2)
    return from_tables(merge(tables, {"method": sizes}), str(path))


def wave(rows: int, width: int, task: int, phase: float) -> torch.Tensor:
    """Numbers in (-1, 1) that no library's generator has a say in: [rows, width]."""
    i = torch.arange(rows, dtype=torch.float64)[:, None]
    j = torch.arange(width, dtype=torch.float64)[None]
    return torch.sin(12.9898 * i + 78.233 * j + 3.7 * task + phase + 0.5 * torch.sin(1.7 * i * (j + 1)))


def dataset(task: int, spec: Spec, episodes: int = 12, length: int = 5) -> TaskDataset:
    """One task's transitions: a point that drifts with a wind of its own; dims without an action drift alone."""
    rows, width = episodes * length, spec.observation_dim
    observations, actions = wave(rows, width, task, 0.0), 0.9 * wave(rows, spec.action_dim, task, 1.0)
    pushed = torch.nn.functional.pad(actions, (0, width - spec.action_dim))
    wind = 0.05 * wave(1, width, task, 2.0)
    following = observations + 0.1 * pushed + wind + 0.01 * wave(rows, width, task, 3.0)
    rewards = -(following[:, :2] - torch.tensor([1.0, 0.0])).square().sum(-1).sqrt()
    ends = torch.zeros(rows)
    cuts = torch.zeros(rows)
    cuts[length - 1 :: length] = 1.0
    offsets = torch.arange(0, rows + 1, length)
    return TaskDataset(observations, actions, rewards, following, ends, cuts, offsets, {"task": task}, f"golden-{task}")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """Everything in float64, in which machines differ by far less than the tolerance."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def numbers(recipe: Recipe) -> dict[str, Any]:
    """What the method logs and what it makes of the unseen tasks."""
    rows: list[dict[str, Any]] = []

    def log(stage: str, step: int, total: int, metrics: Metrics) -> None:
        means = {key: float(torch.as_tensor(value).double().mean()) for key, value in metrics.items()}
        rows.append({"stage": stage, "step": step, "total": total, **means})

    method, spec = recipe.method, recipe.tasks.spec()
    context = Context(seed=recipe.seed, log=log, log_every=1, snapshots=(0, 2))
    train, unseen = ([dataset(t, spec) for t in tasks] for tasks in (range(3), (3, 4)))
    seen = torch.stack([data.observations[:4] for data in unseen])
    known, new = stack_tasks(train, spec), stack_tasks(unseen, spec)
    if recipe.data.normalize_observations:
        normalization = fit_normalization(train)
        known, new = (normalize_tasks(normalization, data) for data in (known, new))
        seen = normalization.apply(seen)
    meta = method.fit(known, context)
    fitted = len(rows)
    adapted = method.adapt(meta, new, context)
    return {
        "fit": rows[:fitted][:ROWS],
        "adapt": rows[fitted:][:ROWS],
        "meta": {group: sums(params) for group, params in sorted(meta.items()) if params},
        "policy": sums(adapted.policy),
        "snapshots": {str(step): sums(policy) for step, policy in sorted(adapted.snapshots.items())},
        "actions": method.act(adapted.policy, seen).flatten().tolist(),
        "scores": {name: score.tolist() for name, score in sorted(adapted.scores.items())},
    }


def sums(params: Params) -> list[float]:
    """The sum of all numbers and the sum of their sizes."""
    flat = torch.cat([value.double().flatten() for _, value in sorted(params.items())])
    assert flat.dtype == torch.float64
    return [float(flat.sum()), float(flat.abs().sum())]


def rounded(value: Any) -> Any:
    """Ten digits of every number, so that files written on two machines are the same."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


def differences(found: Any, expected: Any, place: str = "") -> list[str]:
    """Where two trees of numbers differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [f"{place}: has {sorted(found)}, expected {sorted(expected)}"] if set(found) != set(expected) else []
        return keys + [d for k in expected if k in found for d in differences(found[k], expected[k], f"{place}.{k}")]
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return [f"{place}: has {len(found)} entries, expected {len(expected)}"]
        pairs = enumerate(zip(found, expected, strict=True))
        return [d for i, (one, two) in pairs for d in differences(one, two, f"{place}[{i}]")]
    if isinstance(expected, float) and isinstance(found, float):
        same = math.isclose(found, expected, rel_tol=RTOL, abs_tol=ATOL)
    else:
        same = found == expected and type(found) is type(expected)
    return [] if same else [f"{place}: {found!r}, expected {expected!r}"]


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_numbers_are_as_they_were(recipe: str) -> None:
    path, place = GOLDEN / name_of(recipe), f"recipes/{recipe}.toml"
    found = rounded({"recipe": place, **numbers(small_recipe(RECIPES[recipe]))})
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", "utf-8")
    expected = json.loads(path.read_text("utf-8"))
    different = differences(found, expected)
    assert not different, f"{place}: {len(different)} numbers differ (nox -s golden writes them anew):\n" + "\n".join(
        different[:10]
    )


def test_every_recipe_has_a_golden_file_and_every_file_a_recipe() -> None:
    if WRITE:
        for path in set(GOLDEN.glob("*")) - {GOLDEN / name_of(recipe) for recipe in RECIPES}:
            path.unlink()
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(name_of(recipe) for recipe in RECIPES)
    assert len({name_of(recipe) for recipe in RECIPES}) == len(RECIPES)


def test_recipes_give_other_numbers_exactly_if_their_method_differs() -> None:
    """A choice that a recipe makes is never without effect; other data make none here, unless their spec differs."""
    groups: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    for name in sorted(set(RECIPES) - UNREACHED):
        found = json.loads((GOLDEN / name_of(name)).read_text("utf-8"))
        assert found.pop("recipe") == f"recipes/{name}.toml"
        recipe = small_recipe(RECIPES[name])
        spec = recipe.tasks.spec()
        shape = [spec.observation_dim, spec.action_dim, spec.terminated is None, recipe.data.normalize_observations]
        method = [resolved(recipe)["method"], *shape]
        for group, content in zip(groups, (found, method), strict=True):
            group.setdefault(json.dumps(content, sort_keys=True), []).append(name)
    by_numbers, by_method = (sorted(group.values()) for group in groups)
    assert by_numbers == by_method


def test_what_differs_is_found() -> None:
    one = {"a": [1.0, 2.0], "b": {"c": "x", "d": 3}}
    assert differences(one, one) == []
    assert differences({"a": [1.0, 2.0 + 1e-7], "b": {"c": "x", "d": 3}}, one) == []
    assert differences({"a": [1.0, 2.00001], "b": {"c": "x", "d": 3}}, one) == [".a[1]: 2.00001, expected 2.0"]
    assert differences({"a": [1.0], "b": {"c": "y"}}, one) == [
        ".a: has 1 entries, expected 2", ".b: has ['c'], expected ['c', 'd']", ".b.c: 'y', expected 'x'",
    ]  # fmt: skip


def test_runs_are_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[torch.dtype] = []

    def keep(params: Params) -> list[float]:
        kept.extend(value.dtype for value in params.values())
        return []

    monkeypatch.setitem(globals(), "sums", keep)
    numbers(small_recipe(RECIPES["merpo_adp"]))
    assert set(kept) == {torch.float64}
