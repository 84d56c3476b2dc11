"""The recipes of Section 5.1: one dataset for all of them, and what the arms differ in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merpo.data.needed import collection_folder
from merpo.recipe.recipe import Recipe, load_recipe, resolved

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "section_5_1"
COMPARED = ["combo", "combo_3_good", "combo_3_poor", "rac_good", "rac_poor"]  # on each body
EXPERT = ["combo_expert", "rac_expert"]
BODIES = {"": "half-cheetah-fwd-back", "walker2d/": "locomotion"}
ARMS = [f"{body}{name}" for body in BODIES for name in COMPARED] + EXPERT
GIVEN = {"rac_good": "expert", "combo_3_good": "expert", "rac_expert": "medium"}  # whose policy the meta-policy is


def arm(name: str) -> Recipe:
    return load_recipe(RECIPES / f"{name}.toml")


def method_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = resolved(arm(name))["method"]
    return found


def test_every_recipe_is_an_arm_or_data() -> None:
    found = {path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.toml")}
    assert found == {*ARMS, *(f"{body}data" for body in BODIES), "expert_data"}


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_reads_what_the_data_recipe_collects(name: str) -> None:
    """The name of a collection follows from its settings, so one that changes is another name."""
    body, _, last = name.rpartition("/")
    data = load_recipe(RECIPES / body / ("expert_data.toml" if name in EXPERT else "data.toml"))
    collection = collection_folder(data).name
    tables = resolved(arm(name))
    quality = "expert" if name in EXPERT else "medium"
    assert tables["data"]["test"] == [f"store:{collection}/task-000.{quality}"]
    assert tables["tasks"] == resolved(data)["tasks"]
    path = f"{collection}/task-000.{GIVEN[last]}" if last in GIVEN else ""
    assert tables["method"]["meta_policy"]["path"] == path


def test_the_bodies_run_forward() -> None:
    cheetah, walker = (load_recipe(RECIPES / f"{body}data.toml").tasks for body in BODIES)
    assert (cheetah.name, walker.name) == tuple(BODIES.values())
    assert [task["direction"] for part in cheetah.tasks(1, 1) for task in part] == [1, 1]
    assert walker.model_dump()["body"] == "walker2d"  # whose one task is to run forward


@pytest.mark.parametrize("body", BODIES)
def test_arms_differ_in_what_section_5_1_says(body: str) -> None:
    rac, good = method_of(f"{body}rac_poor"), method_of(f"{body}rac_good")
    eq_6 = {"alpha": {"component": "fixed", "initial": 0.0}}
    assert rac["alpha"] == {"component": "fixed", "initial": 0.4}
    assert rac["meta_policy"]["source"] == "random"
    assert good["meta_policy"]["source"] == "checkpoint"
    assert good == {**rac, "meta_policy": good["meta_policy"]}
    assert method_of(f"{body}combo_3_poor") == {**rac, **eq_6}
    assert method_of(f"{body}combo_3_good") == {**good, **eq_6}
    nothing = {"meta_policy": {**rac["meta_policy"], "source": "none"}, "rac": {**rac["rac"], "lambda_initial": 0.0}}
    assert method_of(f"{body}combo") == {**rac, **nothing}


def test_the_arms_on_expert_data_differ_in_the_data_the_meta_policy_and_lambda() -> None:
    rac, poor = method_of("rac_expert"), method_of("rac_poor")
    lower = {**poor["rac"], "lambda_initial": 0.5}
    assert rac == {**poor, "meta_policy": rac["meta_policy"], "rac": lower}
    assert method_of("combo_expert") == method_of("combo")


def test_data_differs_in_what_a_medium_policy_is() -> None:
    data, expert = (resolved(load_recipe(RECIPES / f"{name}.toml")) for name in ("data", "expert_data"))
    assert expert["collect"] == {**data["collect"], "medium_fraction": 0.5}
