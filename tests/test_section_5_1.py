"""The recipes of Section 5.1: one dataset for all of them, and what the arms differ in."""

from __future__ import annotations

from pathlib import Path

import pytest

from merpo.data import collection_folder
from merpo.recipe import Recipe, load_recipe, resolved

RECIPES = Path(__file__).resolve().parent.parent / "recipes" / "section_5_1"
ARMS = sorted(path.stem for path in RECIPES.glob("*.toml") if path.stem != "data")


def arm(name: str) -> Recipe:
    return load_recipe(RECIPES / f"{name}.toml")


def method_of(name: str) -> dict[str, object]:
    found: dict[str, object] = resolved(arm(name))["method"]
    return found


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_reads_what_the_data_recipe_collects(name: str) -> None:
    """The name of a collection follows from its settings, so one that changes is another name."""
    data = load_recipe(RECIPES / "data.toml")
    collection = collection_folder(data).name
    tables = resolved(arm(name))
    quality = "expert" if name.endswith("expert") else "medium"
    assert tables["data"]["test"] == [f"store:{collection}/task-000.{quality}"]
    assert tables["tasks"] == resolved(data)["tasks"]
    given = {"rac_good": "expert", "combo_3_good": "expert", "rac_expert": "medium"}.get(name)
    assert tables["method"]["meta_policy"]["path"] == (f"{collection}/task-000.{given}" if given else "")
    assert [task["direction"] for part in data.tasks.tasks(1, 1) for task in part] == [1, 1]


def test_arms_differ_in_what_section_5_1_says() -> None:
    assert ARMS == ["combo", "combo_3_good", "combo_3_poor", "combo_expert", "rac_expert", "rac_good", "rac_poor"]
    rac = method_of("rac_poor")
    for name, changes in {
        "combo_3_poor": {"alpha": {"component": "fixed", "initial": 0.0}},
        "rac_good": {"meta_policy": method_of("rac_good")["meta_policy"]},
        "combo_3_good": {
            "meta_policy": method_of("rac_good")["meta_policy"], "alpha": {"component": "fixed", "initial": 0.0}
        },
        "combo": {
            "meta_policy": {"source": "none", "path": ""},
            "rac": {**rac["rac"], "lambda_initial": 0.0},  # type: ignore[dict-item]
        },
        "rac_expert": {"meta_policy": method_of("rac_expert")["meta_policy"]},
        "combo_expert": method_of("combo"),
    }.items():  # fmt: skip
        assert method_of(name) == {**rac, **changes}, name
    assert rac["alpha"] == {"component": "fixed", "initial": 0.4}
    assert method_of("rac_good")["meta_policy"]["source"] == "checkpoint"  # type: ignore[index]
