"""merpo.artifacts.differences: the keys in which two recipes differ, with both values."""

from __future__ import annotations

from pathlib import Path

from merpo.artifacts.differences import differences, recipe_there

OLD = {"seed": 0, "method": {"rac": {"discount": 0.9, "hidden": [8, 8]}, "name": "a"}, "run": {"threads": 1}}


def test_every_key_that_differs_is_named_with_both_values() -> None:
    new = {"seed": 1, "method": {"rac": {"discount": 0.99, "hidden": (8, 8), "more": True}}, "run": {"threads": 2}}
    assert differences(OLD, OLD) == ""
    assert differences(OLD, new, ("run",)) == (
        'seed (0 there, 1 here), method.rac.discount (0.9 there, 0.99 here), method.name ("a" there, absent here), '
        "method.rac.more (absent there, true here)"
    )
    assert differences(OLD, new).endswith("run.threads (1 there, 2 here), method.rac.more (absent there, true here)")


def test_many_are_counted_and_long_values_are_cut() -> None:
    old, new = ({f"key-{i}": value for i in range(9)} for value in (1, "x" * 100))
    found = differences(old, new)
    assert found.count("there") == 6
    assert found.endswith(" and 3 more")
    assert f'"{"x" * 58}…' in found


def test_a_recipe_that_cannot_be_read_has_no_keys(tmp_path: Path) -> None:
    assert recipe_there(tmp_path / "recipe.toml") == {}
    (tmp_path / "recipe.toml").write_text("a = [", "utf-8")
    assert recipe_there(tmp_path / "recipe.toml") == {}
    (tmp_path / "recipe.toml").write_text("a = 1", "utf-8")
    assert recipe_there(tmp_path / "recipe.toml") == {"a": 1}
