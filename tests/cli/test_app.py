"""The commands that answer without torch: what they print, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Answer, call_merpo
from pydantic import Field
from wheels import TOYS

import merpo
from merpo.cli import components as listing
from merpo.recipe.recipe import load_recipe

GOOD = 'title = "A toy"\nseed = 3\ntasks = "line"\n[method]\ncomponent = "toy"\n'


Merpo = Callable[..., Answer]


@pytest.fixture
def merpo_cli(
    install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Merpo:
    """`merpo_cli(*arguments)` in a folder with x.toml, with the toy plugin installed."""
    install("merpo-toys", {"toys_cli": TOYS}, version="0.3")
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_text(GOOD)

    return lambda *arguments: call_merpo(monkeypatch, capsys, *arguments)


def test_version_and_help(merpo_cli: Merpo) -> None:
    assert merpo_cli("--version").out == f"merpo {merpo.__version__}\n"
    answer = merpo_cli("--help")
    assert answer.code == 0
    for command in ("run", "collect", "check", "list-components", "show", "schema"):
        assert command in answer.out


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "merpo", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, f"merpo {merpo.__version__}\n")


def test_list_components_as_json(merpo_cli: Merpo, install: Callable[..., Path]) -> None:
    install("merpo-bad", {"bad_cli": "raise ImportError('gone')"})
    answer = merpo_cli("list-components", "--json")
    assert answer.code == 0
    rows = json.loads(answer.out)
    assert all(set(r) == {"kind", "name", "summary", "distribution", "version", "status", "reason"} for r in rows)
    assert {
        "kind": "alpha",
        "name": "even",
        "summary": "Alpha that stays.",
        "distribution": "merpo-toys",
        "version": "0.3",
        "status": "ok",
        "reason": "",
    } in rows
    (bad,) = [r for r in rows if r["distribution"] == "merpo-bad"]
    assert (bad["kind"], bad["name"], bad["status"]) == ("plugin", "bad_cli", "broken")
    assert "gone" in bad["reason"]


def test_list_components_as_a_table(merpo_cli: Merpo) -> None:
    lines = merpo_cli("list-components", "--kind", "alpha").out.splitlines()
    assert [line.split()[:5] for line in lines[1:]] == [
        ["alpha", "even", "merpo-toys", "0.3", "ok"],
        ["alpha", "odd", "merpo-toys", "0.3", "ok"],
    ]
    answer = merpo_cli("list-components", "--kind", "alfa")
    assert (answer.code, answer.out) == (2, "")
    assert "did you mean 'alpha'?" in answer.err


def test_show_has_every_column(merpo_cli: Merpo) -> None:
    answer = merpo_cli("show", "alpha/even")
    header, initial, pace = answer.out.splitlines()[-3:]
    assert header.split() == ["field", "type", "bound", "default", "meaning", "source"]
    assert initial.split("  ", 1)[0] == "initial"
    for word in ("number", ">= 0, <= 1", "0.4", "First alpha.", "Table 2"):
        assert word in initial
    for word in ("'slow' | 'fast'", "'slow'", "How fast.", "A.9"):
        assert word in pace
    assert "merpo-toys 0.3" in answer.out
    toy = merpo_cli("show", "method/toy").out
    for word in (
        "alpha component",
        "even {initial = 0.3}",
        "list of integer",
        "at most 4 long, each >= 1",
        "true or false",
    ):
        assert word in toy


@pytest.mark.parametrize(
    ("description", "extra", "expected"),
    [
        ("First alpha (Table 2).", None, ("First alpha.", "Table 2")),
        ("First alpha (Table 2, Eq. (3))", None, ("First alpha.", "Table 2, Eq. (3)")),
        ("Upper bound (of it all) here.", None, ("Upper bound (of it all) here.", "")),
        ("Q and the terms of Eq. (1).", None, ("Q and the terms of Eq. (1).", "Eq. (1)")),
        (
            "Eq. (3) and Eq. (4): Section 4.3.",
            None,
            ("Eq. (3) and Eq. (4): Section 4.3.", "Eq. (3), Eq. (4), Section 4.3"),
        ),
        ("A knob (Table 2).", {"source": "A.9"}, ("A knob (Table 2).", "A.9")),
    ],
)
def test_the_source_of_a_field(description: str, extra: dict[str, str] | None, expected: tuple[str, str]) -> None:
    field: Any = Field(1, description=description, json_schema_extra=extra)
    assert listing._meaning_and_source(field) == expected


def test_show_follows_sections(merpo_cli: Merpo) -> None:
    rows = {line.split()[0]: line for line in merpo_cli("show", "method/toy").out.splitlines()[3:]}
    assert "as follows" in rows["pace"]
    assert ">= 1, <= 9" in rows["pace.tempo"]


@pytest.mark.parametrize(
    ("place", "hint"), [("even", "alpha/even"), ("alpha/evn", "even"), ("alfa/even", "alpha"), ("x", "KIND/NAME")]
)
def test_show_of_nothing_gives_the_nearest(merpo_cli: Merpo, place: str, hint: str) -> None:
    answer = merpo_cli("show", place)
    assert (answer.code, answer.out) == (2, "")
    assert hint in answer.err
    assert "Traceback" not in answer.err


def test_show_of_a_kind_lists_its_components(merpo_cli: Merpo) -> None:
    answer = merpo_cli("show", "alpha")
    assert answer.code == 0
    assert [line.split()[:2] for line in answer.out.splitlines()[1:]] == [["alpha", "even"], ["alpha", "odd"]]
    assert answer.out == merpo_cli("list-components", "--kind", "alpha").out == merpo_cli("show", "alpha/").out


def test_check(merpo_cli: Merpo) -> None:
    answer = merpo_cli("check", "x.toml")
    assert answer.code == 0
    assert answer.out == "x.toml: valid; A toy (method toy, tasks line, seed 3)\n"


def test_check_resolved_prints_a_recipe(merpo_cli: Merpo) -> None:
    answer = merpo_cli("check", "x.toml", "--resolved", "--set", "method.rate=0.25", "--set", "seed=8")
    Path("y.toml").write_text(answer.out)
    assert load_recipe("y.toml") == load_recipe("x.toml", ["method.rate=0.25", "seed=8"])
    assert "rate = 0.25" in answer.out


def test_errors_are_lines_on_stderr_and_exit_code_2(merpo_cli: Merpo) -> None:
    answer = merpo_cli("check", "x.toml", "--set", "method.rate=7", "--set", "sed=1")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "error: x.toml: method.rate: got 7, expected a number < 1\n"
        "x.toml: sed: unknown key (did you mean 'seed'?); keys here: title, description, seed, requires, tasks, data,"
        " collect, method, evaluate, run\n"
    )


def test_debug_shows_the_traceback(merpo_cli: Merpo) -> None:
    answer = merpo_cli("--debug", "check", "none.toml")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert "RecipeError: none.toml: no such file" in answer.err


def test_control_characters_do_not_reach_the_terminal(merpo_cli: Merpo) -> None:
    Path("x.toml").write_text(GOOD + '"\\u001b[31mred" = 1\n')
    answer = merpo_cli("check", "x.toml")
    assert answer.code == 2
    assert "\x1b" not in answer.err
    assert "\\x1b[31mred: unknown key" in answer.err


def test_schema_is_json(merpo_cli: Merpo) -> None:
    schema = json.loads(merpo_cli("schema").out)
    assert "method" in schema["properties"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the commands that do the work hand on."""
    seen: list[tuple[Any, ...]] = []
    for name, function in (("merpo.run.run", "run_recipe"), ("merpo.collect.collect", "collect_recipe")):
        module = types.ModuleType(name)
        setattr(module, function, lambda *arguments, **_: seen.append(arguments))
        monkeypatch.setitem(sys.modules, name, module)
    return seen


@pytest.mark.parametrize(
    ("options", "rest"),
    [
        ([], (None, [3], None, True, False)),
        (["--seed", "5", "--device", "cpu"], (None, [5], "cpu", True, False)),
        (["--seeds", "0:4", "--no-collect", "--out", "here"], (Path("here"), [0, 1, 2, 3], None, False, False)),
        (["--set", "seed=9"], (None, [9], None, True, False)),
        (["--profile"], (None, [3], None, True, True)),
    ],
)
def test_run_hands_on_its_arguments(
    merpo_cli: Merpo, calls: list[tuple[Any, ...]], options: list[str], rest: tuple[object, ...]
) -> None:
    assert merpo_cli("run", "x.toml", *options).code == 0
    ((recipe, *others),) = calls
    assert recipe.title == "A toy"
    assert tuple(others) == rest


def test_collect_hands_on_its_recipe(merpo_cli: Merpo, calls: list[tuple[Any, ...]]) -> None:
    assert merpo_cli("collect", "x.toml", "--set", "data.episodes=7").code == 0
    assert merpo_cli("collect", "x.toml", "--quality", "random, expert").code == 0
    ((recipe, qualities), (_, chosen)) = calls
    assert recipe.data.episodes == 7
    assert (qualities, chosen) == ([], ["random", "expert"])


@pytest.mark.parametrize(
    "options",
    [
        ["--seeds", "4:0"],
        ["--seeds", "1"],
        ["--seeds", "a:b"],
        ["--seeds", "0:999999"],
        ["--seeds", "²:4"],
        ["--seed", "-1"],
        ["--seed", "1", "--seeds", "0:2"],
        ["--device", "tpu"],
        ["--seed", "1.5"],
        ["--nonsense"],
        ["--set", "seed"],
        ["--seeds", "4294967290:4294967299"],
        ["--seed", "4294967296"],
    ],
)
def test_run_refuses_bad_options(merpo_cli: Merpo, calls: list[tuple[Any, ...]], options: list[str]) -> None:
    answer = merpo_cli("run", "x.toml", *options)
    assert (answer.code, calls) == (2, [])
    assert "Traceback" not in answer.err
