"""Recipes: strict, bounded, overridable, printable; what is wrong with one is a RecipeError that names the place."""

from __future__ import annotations

import string
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wheels import TOYS

from merpo.errors import RecipeError
from merpo.recipe.recipe import Recipe, from_tables, load_recipe, recipe_schema, resolved, to_toml
from merpo.recipe.text import MAX_BYTES, MAX_DEPTH, MAX_DOTS

Load = Callable[..., Recipe]

GOOD = """
title = "A toy"
seed = 3
[tasks]
component = "line"
[data]
quality = "expert"
[method]
component = "toy"
hidden = [4, 5]
"""
QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def load(install: Callable[..., Path], tmp_path: Path) -> Load:
    """`load(text or bytes, *overrides)` with the toy plugin installed."""
    install("merpo-toys", {"toys_recipe": TOYS}, version="0.3")
    path = tmp_path / "x.toml"

    def load(text: str | bytes = GOOD, *overrides: str) -> Recipe:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_recipe(path, overrides)

    return load


def refused(load: Load, text: str | bytes, *overrides: str) -> str:
    """The message of the error, without the folder."""
    with pytest.raises(RecipeError) as caught:
        load(text, *overrides)
    lines = [line.rpartition("/x.toml: ")[2] for line in str(caught.value).splitlines()]
    return "\n".join(lines)


def dumped(recipe: Recipe) -> dict[str, Any]:
    return resolved(recipe)


def test_a_recipe_and_its_defaults(load: Load) -> None:
    recipe = load()
    assert (recipe.title, recipe.seed, recipe.data.quality, recipe.data.train_tasks) == ("A toy", 3, "expert", 40)
    assert recipe.tasks.name == "line"
    assert dumped(recipe)["method"] == {
        "component": "toy",
        "alpha": {"component": "even", "initial": 0.3, "pace": "slow"},
        "hidden": [4, 5],
        "steps": 10,
        "rate": 0.5,
        "tune": True,
        "pace": {"tempo": 3},
    }


def test_resolved_toml_loads_to_an_equal_recipe(load: Load) -> None:
    recipe = load(
        GOOD, "method.second=odd", "collect.learning_rate=1e-5", "run.device=cpu", 'description="α\\n\\"x\\""'
    )
    text = to_toml(recipe)
    assert load(text) == recipe
    assert to_toml(load(text)) == text
    assert tomllib.loads(text)["collect"]["learning_rate"] == 1e-5
    for section in ("data", "collect", "evaluate", "run"):
        absent = {"test_quality", "store", "train", "test", "threads"}  # None, for which TOML has no word
        assert set(tomllib.loads(text)[section]) == set(type(getattr(recipe, section)).model_fields) - absent


@pytest.mark.parametrize(
    ("override", "place", "value"),
    [
        ("seed=7", ("seed",), 7),
        ("method.rate=0.25", ("method", "rate"), 0.25),
        ("method.tune=false", ("method", "tune"), False),
        ("method.hidden=[9]", ("method", "hidden"), [9]),
        ("method.alpha=odd", ("method", "alpha"), {"component": "odd", "initial": 0.1, "period": 3}),
        ("method.alpha.pace=fast", ("method", "alpha"), {"component": "even", "initial": 0.3, "pace": "fast"}),
        ("method.alpha.component=odd", ("method", "alpha"), {"component": "odd", "initial": 0.1, "period": 3}),
        ('method.alpha={component="odd", period=5}', ("method", "alpha", "period"), 5),
        ("title=Two words", ("title",), "Two words"),
        ("data.quality=mixed", ("data", "quality"), "mixed"),
        (" data.quality = 'random' ", ("data", "quality"), "random"),
        ("tasks=line", ("tasks", "horizon"), 20),
        ("method.rate=1e-3", ("method", "rate"), 0.001),
    ],
)
def test_overrides(load: Load, override: str, place: tuple[str, ...], value: object) -> None:
    found: Any = dumped(load(GOOD, override))
    for key in place:
        found = found[key]
    assert found == value
    assert type(found) is type(value)


def test_overrides_apply_in_order_and_go_into_names(load: Load) -> None:
    recipe = load(GOOD, "method.second=odd", "method.second.period=8", "seed=1", "seed=2")
    assert dumped(recipe)["method"]["second"]["period"] == 8
    assert recipe.seed == 2


@pytest.mark.parametrize(
    "override",
    [
        "seed",
        "=3",
        "a..b=1",
        "a b=1",
        "seed=",
        "seed=[1",
        "seed=1\nx=2",
        "seed.x=1",
        "seed={",
        ".".join("a" * 40) + "=1",
        "seed=\x001",
        "a.'b'=1",
        "seed=" + "[" * 5000,
    ],
)
def test_overrides_that_are_refused(load: Load, override: str) -> None:
    assert "--set" in refused(load, GOOD, override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method.alpha.initial=7", "method.alpha.initial: got 7, expected a number <= 1"),
        ("method.alpha.initial=-0.5", "method.alpha.initial: got -0.5, expected a number >= 0"),
        ("method.rate=1.0", "method.rate: got 1.0, expected a number < 1"),
        ("method.steps=-1", "method.steps: got -1, expected an integer >= 0"),
        ("method.steps=true", "method.steps: got true, expected an integer"),
        ('method.steps="10"', "method.steps: got '10', expected an integer"),
        ("method.steps=10.0", "method.steps: got 10.0, expected an integer"),
        ("method.rate=true", "method.rate: got true, expected a number"),
        ("method.rate=nan", "method.rate: got nan, expected a finite number"),
        ("method.rate=inf", "method.rate: got inf, expected a finite number"),
        ("method.rate='0.5'", "method.rate: got '0.5', expected a number"),
        ("method.tune=1", "method.tune: got 1, expected true or false"),
        ("method.tune='true'", "method.tune: got 'true', expected true or false"),
        ("title=3", "title: got 3, expected text in quotes"),
        ("title=''", "title: got '', expected text of at least 1 characters"),
        ('title="a\\nb: valid"', "title: got 'a\\nb: valid', expected one line"),
        ('title="a\\u2028"', "title: got 'a\\u2028', expected one line"),
        ("method.hidden=[0]", "method.hidden[0]: got 0, expected an integer >= 1"),
        ("method.hidden=4", "method.hidden: got 4, expected a list"),
        ("method.hidden=[4, 0]", "method.hidden[1]: got 0, expected an integer >= 1"),
        ("method.hidden=[4, true]", "method.hidden[1]: got true, expected an integer"),
        ("method.hidden=[1, 1, 1, 1, 1]", "method.hidden: got [1, 1, 1, 1, 1], expected a list of at most 4"),
        (
            "data.quality=medum",
            "data.quality: got 'medum', expected 'random', 'medium', 'expert' or 'mixed' (did you mean 'medium'?)",
        ),
        ("data=3", "data: got 3, expected a section"),
        (
            "data.qualty=expert",
            "data.qualty: unknown key (did you mean 'quality'?); keys here: quality, test_quality, train_tasks",
        ),
        (
            "method.alpha.inital=0.3",
            "method.alpha.inital: unknown key (did you mean 'initial'?); keys here: component, initial, pace",
        ),
        ("method.second.period=3", 'method.second: expected a section with component = "name"; installed: even, odd'),
        ("method.alpha=3", 'method.alpha: expected a section with component = "name"; installed: even, odd'),
        ("method.alpha=evn", "method.alpha: unknown alpha 'evn' (did you mean 'even'?); installed: even, odd"),
        ("method=tuy", "method: unknown method 'tuy' (did you mean 'toy'?); installed: toy"),
        ("method.alpha='os:system'", "method.alpha: unknown alpha 'os:system'; installed: even, odd"),
        ("metod.x=1", "metod: unknown key (did you mean 'method'?); keys here: title,"),
        ("method.pace.tempi=1", "method.pace.tempi: unknown key (did you mean 'tempo'?); keys here: tempo"),
        ("method.pace.tempo=0", "method.pace.tempo: got 0, expected an integer >= 1"),
        ("seed=-1", "seed: got -1, expected an integer >= 0"),
        ("seed=4294967296", "seed: got 4294967296, expected an integer < 4294967296"),
        ("evaluate.snapshots=[5, 3]", "evaluate.snapshots: got [5, 3], expected rising integers >= 0"),
        ("data.store='../up'", "data.store: got '../up', expected text like ^[a-z0-9]"),
        ("method.rate=1979-05-27", "method.rate: got 1979-05-27, expected a number"),
    ],
)
def test_what_is_wrong_is_named(load: Load, override: str, message: str) -> None:
    said = refused(load, GOOD, override)
    assert said.splitlines()[0].split("; plugins not loaded")[0].startswith(message)
    assert len(said.splitlines()) == 1


def test_the_path_begins_every_line_and_all_problems_are_listed(load: Load, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load('title = 3\nsed = 1\n[tasks]\ncomponent = "line"\nhorizon = 0\n[method]\ncomponent = "toy"\nrate = true')
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{tmp_path / 'x.toml'}: ") for line in lines)
    keys = [line.split(": ")[1] for line in lines]
    assert sorted(keys) == ["method.rate", "sed", "tasks.horizon", "title"]


def test_missing_sections(load: Load) -> None:
    said = refused(load, "seed = 1")
    assert [line.split(":")[0] for line in said.splitlines()] == ["title", "tasks", "method"]
    assert "missing, expected a method component" in said


def test_integers_are_fine_where_numbers_are_expected(load: Load) -> None:
    recipe = load(GOOD, "method.alpha.initial=1")
    assert dumped(recipe)["method"]["alpha"]["initial"] == 1.0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfet\x00", "encoded as UTF-16"),
        (b"\xef\xbb\xbftitle = 'x'", "byte-order mark"),
        (b"seed = 1\ntitle = '\xe9'", "not UTF-8 at line 2 (byte 18)"),
        (b"a" * (MAX_BYTES + 1), "larger than 262144 bytes"),
        (b"title = ", "not valid TOML"),
        (b"title = 1\ntitle = 2", "not valid TOML"),
        (b"a = 1\n[a.b]\n", "not valid TOML"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"\x00", "not valid TOML"),
        (b"a." * 120_000 + b"b = 1", "dots in a key"),
        (b"[" * 100_000, "not valid TOML"),
        (b"a = " + b"[" * 100_000, "nested too deep"),
        (b"a = " + b"{a = " * 20_000, "nested too deep"),
        (b"a." * 20 + b"b = 1", "nested deeper"),
        (b"a = " + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
        (b"[a" + b'."b"' * 30_000 + b"]", "dots in a key"),
        (b"a = {" + b"b . " * 30_000 + b"c = 1}", "dots in a key"),
        (b"\n".join(b"[c%d%s]\na%s = 1" % (i, b".a" * MAX_DOTS, b".a" * MAX_DOTS) for i in range(600)), "nested"),
        (b'a = """' + b'\\"""' * 60_000, "not valid TOML"),
        (b"", "missing"),
        (b"x = 1\n" + b"\n".join(b"k%d = 1" % i for i in range(20_000)), "and "),
    ],
    ids=lambda value: str(value)[:20],
)
def test_files_that_are_no_recipes_are_refused_quickly(load: Load, data: bytes, message: str) -> None:
    start = time.perf_counter()
    assert message in refused(load, data)
    assert time.perf_counter() - start < 3


def test_long_comments_and_texts_are_not_nesting(load: Load) -> None:
    text = GOOD.replace("seed = 3", f"description = '''{'[.' * 100}'''  # {'[[..' * 50}")
    assert load(text).description == "[." * 100


@pytest.mark.parametrize("name", ["no-such.toml", "", "folder", "a/b/c.toml", "x\0y", "n" * 5000])
def test_paths_that_are_no_recipes(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecipeError):
        load_recipe(f"{tmp_path}/{name}")


def test_a_missing_file_gets_the_nearest(load: Load, tmp_path: Path) -> None:
    load()
    with pytest.raises(RecipeError, match=r"y\.toml: no such file \(did you mean 'x\.toml'\?\)"):
        load_recipe(tmp_path / "y.toml")


@pytest.mark.parametrize(
    ("requires", "message"),
    [
        (["merpo-toys>=0.2"], None),
        (["merpo-toys", "pydantic>=2,<99"], None),
        (["merpo_Toys==0.3"], None),
        (["no-such-thing; python_version < '3'"], None),
        (["merpo-toys>=0.4"], "merpo-toys 0.3 is installed, expected 'merpo-toys>=0.4'"),
        (
            ["merpo-foo>=0.2", "merpo-toys<0.1"],
            "merpo-foo is not installed, expected 'merpo-foo>=0.2'; merpo-toys 0.3 is",
        ),
        (["merpo-toys @ https://example.org/x.whl"], "has a URL"),
        (["not a requirement!"], "is not a requirement"),
        ([""], "is not a requirement"),
    ],
)
def test_requires(load: Load, requires: list[str], message: str | None) -> None:
    override = "requires=" + tomli_w.dumps({"v": requires}).partition("=")[2].replace("\n", "").strip()
    if message is None:
        assert list(load(GOOD, override).requires) == requires
    else:
        assert message in refused(load, GOOD, override)


def test_schema_accepts_names_bounds_and_sections(load: Load) -> None:
    load()
    schema = recipe_schema()
    assert schema["anyOf"] == [{"required": ["title", "tasks", "method"]}, {"required": ["extends"]}]
    (toy,) = [item for item in schema["properties"]["method"]["oneOf"] if item.get("type") == "object"]
    assert toy["additionalProperties"] is False
    assert toy["properties"]["rate"]["exclusiveMaximum"] == 1
    assert [
        item.get("properties", {}).get("component", {}).get("const") for item in toy["properties"]["alpha"]["oneOf"]
    ] == [
        None,
        "even",
        "odd",
    ]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["component", "alpha", "initial", "rate", "hidden", "x"]) | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
places = st.sampled_from(
    [
        "title",
        "seed",
        "requires",
        "tasks",
        "tasks.horizon",
        "data",
        "data.quality",
        "collect.hidden",
        "method",
        "method.alpha",
        "method.alpha.initial",
        "method.second",
        "method.hidden",
        "method.component",
        "evaluate.snapshots",
        "run.device",
        "zzz",
    ]
)


@QUICK
@given(st.lists(st.tuples(places, values), min_size=1, max_size=4))
def test_any_values_give_a_recipe_or_a_recipe_error(load: Load, changes: list[tuple[str, Any]]) -> None:
    load()
    tables: dict[str, Any] = tomllib.loads(GOOD)
    for place, value in changes:
        *parents, last = place.split(".")
        table: Any = tables
        for parent in parents:
            table = table.setdefault(parent, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict):
            table[last] = value
    try:
        recipe = from_tables(tables)
    except RecipeError as error:
        assert all(line.startswith("recipe: ") for line in str(error).split("\n"))
    else:
        assert from_tables(tomllib.loads(to_toml(recipe))) == recipe


@QUICK
@given(st.data())
def test_mutated_text_gives_a_recipe_or_a_recipe_error(load: Load, data: st.DataObject) -> None:
    raw = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"[", b'"', b".", b"="])
        )
    try:
        recipe = load(bytes(raw))
    except RecipeError as error:
        assert "x.toml: " in str(error)
    else:
        assert load(to_toml(recipe)) == recipe


@QUICK
@given(places | st.text(string.printable, max_size=12), st.text(max_size=20))
def test_any_override_gives_a_recipe_or_a_recipe_error(load: Load, key: str, value: str) -> None:
    try:
        recipe = load(GOOD, f"{key}={value}")
    except RecipeError:
        return
    assert load(to_toml(recipe)) == recipe
