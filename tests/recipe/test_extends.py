"""merpo.recipe.extends: merging with base recipes, and every invalid `extends`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merpo.errors import RecipeError
from merpo.recipe.extends import MAX_CHAIN, merge, read_tables
from merpo.recipe.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, **recipes: str) -> None:
    for name, text in recipes.items():
        path = folder / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def refused(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        read_tables(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"s": {"a": 1, "b": 2}}, {"s": {"b": 3}}, {"s": {"a": 1, "b": 3}}),
        ({"s": {"t": {"a": 1, "b": 2}}}, {"s": {"t": {"a": 3}}}, {"s": {"t": {"a": 3, "b": 2}}}),
        ({"s": [1, 2]}, {"s": [3]}, {"s": [3]}),  # a list is a value
        ({"s": {"component": "x", "a": 1}}, {"s": {"b": 2}}, {"s": {"component": "x", "a": 1, "b": 2}}),
        ({"s": {"component": "x", "a": 1}}, {"s": {"component": "x"}}, {"s": {"component": "x", "a": 1}}),
        ({"s": {"component": "x", "a": 1}}, {"s": {"component": "y", "b": 2}}, {"s": {"component": "y", "b": 2}}),
        ({"s": {"a": 1}}, {"s": {"component": "y"}}, {"s": {"component": "y"}}),  # the default may be another one
        ({"s": {"component": "x", "a": 1}}, {"s": "y"}, {"s": "y"}),
        ({"s": {"component": "x", "a": 1}}, {"s": "x"}, {"s": {"component": "x", "a": 1}}),
        ({"s": "x"}, {"s": {"a": 1}}, {"s": {"component": "x", "a": 1}}),  # else the default one would get a = 1
        ({"s": "x"}, {"s": {"component": "y", "a": 1}}, {"s": {"component": "y", "a": 1}}),
        ({"s": "text"}, {"s": "other"}, {"s": "other"}),
        ({"s": {"a": 1}}, {"s": 5}, {"s": 5}),
        ({"s": 5}, {"s": {"a": 1}}, {"s": {"a": 1}}),
    ],
)
def test_merging(base: dict[str, Any], own: dict[str, Any], expected: dict[str, Any]) -> None:
    before = repr((base, own))
    assert merge(base, own) == expected
    assert repr((base, own)) == before


def test_a_chain_of_recipes_is_read_from_the_bottom(tmp_path: Path) -> None:
    write(tmp_path / "low", base='title = "base"\nseed = 1\n[data]\nepisodes = 5\ntrain_tasks = 3\n')
    write(tmp_path, middle='extends = "low/base.toml"\nseed = 2\n[data]\nepisodes = 6\n')
    write(tmp_path / "high", top='extends = "../middle.toml"\ntitle = "top"\n')
    found = read_tables(tmp_path / "high" / "top.toml")
    assert found == {"title": "top", "seed": 2, "data": {"episodes": 6, "train_tasks": 3}}


def test_a_recipe_that_extends_and_its_overrides(tmp_path: Path) -> None:
    main = (ROOT / "recipes" / "merpo_adp.toml").as_posix()
    write(tmp_path, base=Path(main).read_text("utf-8"))
    write(tmp_path, own='extends = "base.toml"\n[method.alpha]\ncomponent = "fixed"\ninitial = 0.0\n')
    loaded: Any = load_recipe(tmp_path / "own.toml", ["method.alpha.initial=0.25"])
    assert (loaded.method.alpha.name, loaded.method.alpha.initial) == ("fixed", 0.25)
    assert loaded.method.rac == load_recipe(main).method.rac  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match="extends"):
        load_recipe(main, ["extends=base.toml"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", "got 5, expected the relative path"),
        ("[]", "expected the relative path"),
        ("{ a = 1 }", "expected the relative path"),
        ('""', "expected the relative path"),
        ('"base"', "expected the relative path"),
        ('"base.TOML"', "expected the relative path"),
        ('"/etc/base.toml"', "expected the relative path"),
        (r'"C:\\base.toml"', "expected the relative path"),
        (r'"\\\\host\\share\\base.toml"', "expected the relative path"),
        ('"nowhere/base.toml"', "no such file"),
        ('"bose.toml"', "did you mean 'base.toml'?"),
        ('"folder.toml"', "not a file"),
        (r'"\u0000.toml"', "cannot be read"),
        (f'"{"x" * 5000}.toml"', "cannot be read"),
        (f'"{"x/" * 3000}base.toml"', "own.toml: extends: "),
        ('"own.toml"', "makes the chain circular"),
        ('"./folder.toml/../own.toml"', "makes the chain circular"),
        ('"link.toml"', "own.toml: extends: "),
        ('"broken.toml"', "not valid TOML"),
        ('"latin.toml"', "not UTF-8"),
    ],
)
def test_wrong_words_are_refused_by_the_recipe_that_says_them(tmp_path: Path, value: str, expected: str) -> None:
    write(tmp_path, base='title = "base"\n', own=f"extends = {value}\n", broken="= 3\n")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"\n')
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "link.toml").symlink_to(tmp_path / "link.toml")
    message = refused(tmp_path / "own.toml")
    assert message.startswith(f"{tmp_path / 'own.toml'}: extends: ")
    assert expected in message
    assert len(message) < 12_000


def test_the_message_names_the_recipe_in_the_middle(tmp_path: Path) -> None:
    write(tmp_path, top='extends = "middle.toml"\n', middle="extends = 7\n")
    assert refused(tmp_path / "top.toml").startswith(f"{tmp_path / 'middle.toml'}: extends: got 7")
    write(tmp_path, middle='extends = "gone.toml"\n')
    assert refused(tmp_path / "top.toml").startswith(f"{tmp_path / 'middle.toml'}: extends: ")


def test_circles_of_two_and_three(tmp_path: Path) -> None:
    write(tmp_path, a='extends = "b.toml"\n', b='extends = "a.toml"\n')
    assert "b.toml: extends: " in (message := refused(tmp_path / "a.toml"))
    assert "circle" in message
    write(tmp_path, b='extends = "c.toml"\n', c='extends = "b.toml"\n')
    assert "circle" in refused(tmp_path / "a.toml")


def test_a_chain_has_a_longest_length(tmp_path: Path) -> None:
    steps = {f"r{i}": f'extends = "r{i + 1}.toml"\nseed = {i}\n' for i in range(MAX_CHAIN + 2)}
    write(tmp_path, **steps, **{f"r{MAX_CHAIN + 2}": 'title = "end"\n'})
    assert read_tables(tmp_path / "r2.toml") == {"title": "end", "seed": 2}
    assert f"has more than {MAX_CHAIN} base recipes" in refused(tmp_path / "r1.toml")


VALUES = st.one_of(st.integers(), st.booleans(), st.text(max_size=6), st.lists(st.integers(), max_size=2))
TREES = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b", "component", "extends"]), VALUES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c"]), st.one_of(VALUES, inner), max_size=3),
    max_leaves=8,
)


@given(TREES, TREES)
def test_merging_anything(base: dict[str, Any], own: dict[str, Any]) -> None:
    found = merge(base, own)
    assert set(found) == set(base) | set(own)
    assert all(found[key] == base[key] for key in set(base) - set(own))
    assert all(found[key] == own[key] for key in set(own) - set(base))
    assert merge(base, {}) == base
    assert merge({}, own) == own
    assert merge(found, own) == found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.one_of(st.text(max_size=30), st.text(alphabet="./\\:~%\x00ab\n", max_size=12)), st.booleans())
def test_any_text_after_extends_is_read_or_refused(tmp_path: Path, word: str, ending: bool) -> None:
    word = word + ".toml" if ending else word
    quoted = '"' + "".join(f"\\U{ord(c):08x}" for c in word if not 0xD800 <= ord(c) < 0xE000) + '"'
    write(tmp_path, base='title = "base"\n', own=f"extends = {quoted}\n")
    try:
        found = read_tables(tmp_path / "own.toml")
    except RecipeError as error:
        assert str(error).startswith(f"{tmp_path / 'own.toml'}: ")
    else:
        assert found == {"title": "base"}
