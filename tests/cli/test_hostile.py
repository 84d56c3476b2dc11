"""Titles, task names, plugins and reasons that hold terminal escapes: no command lets one through."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Answer
from finished import finished_run
from sealed import seal
from tiny import write_tiny
from wheels import TOYS

from merpo.compare.results_page import write_results
from merpo.report import html as report_html

ESCAPE = "\x1b]0;own\x07\x1b[2J\x9b31m\u202eT"
Merpo = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_html, "pictures", lambda report: [])


@pytest.fixture(scope="module")
def hostile(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose title and task names hold escapes, and whose manifest knows them."""
    run = finished_run(store, tmp_path_factory.mktemp("runs") / "first", {"title": f"A {ESCAPE}"})
    report = json.loads((run / "report.json").read_text("utf-8"))
    report["notes"] = [ESCAPE]
    report["recipe"]["tasks"]["component"] = f"point{ESCAPE}](x) | <b>"
    report["versions"][ESCAPE] = ESCAPE
    report["health"][0] |= {"name": ESCAPE, "advice": ESCAPE, "figure": ESCAPE}
    (run / "report.json").write_text(json.dumps(report), "utf-8")
    return seal(run)


def check(answer: Answer) -> None:
    for text in (answer.out, answer.err):
        assert all(c == "\n" or c.isprintable() for c in text), ascii(text[-300:])


@pytest.mark.parametrize(
    "command",
    [
        ("check", "tiny.toml"),
        ("check", "tiny.toml", "--resolved"),
        ("check", "tiny.toml", "--data"),
        ("run", "tiny.toml", "--out", "run"),
        ("compare", "RUN"),
        ("compare", "RUN", "--markdown", "-"),
        ("evaluate", "RUN"),
        ("export", "RUN"),
        ("report", "RUN"),
        ("adapt", "RUN", "--out", "new"),
        ("sweep", "tiny.toml", "--out", "sweep", "--dry-run"),
        ("list-components",),
        ("list-components", "--json"),
        ("data", "list"),
    ],
    ids=" ".join,
)
def test_no_command_lets_an_escape_through(hostile: Path, tmp_path: Path, merpo_cli: Merpo, command: Any) -> None:
    run = shutil.copytree(hostile, tmp_path / "hostile")
    write_tiny(Path("tiny.toml"), {"title": f"A {ESCAPE}", "description": ESCAPE})
    answer = merpo_cli(*(str(run) if word == "RUN" else word for word in command))
    assert answer.code == 0, answer.err
    check(answer)


def test_plugins_do_not_either(merpo_cli: Merpo, install: Callable[..., Path]) -> None:
    broken = f"raise ImportError({ESCAPE!r})"
    odd = f"import merpo\n\n@merpo.hookimpl\ndef merpo_components():\n    return [{ESCAPE!r}]\n"
    install("merpo-toys", {"toys_hostile": TOYS.replace("Alpha that stays.", f"Alpha {ESCAPE!r}."[:60])})
    install("merpo-broken", {"broken_hostile": broken})
    install("merpo-odd", {"odd_hostile": odd})
    for command in (("list-components",), ("list-components", "--json"), ("show", "alpha/even")):
        answer = merpo_cli(*command)
        assert answer.code == 0
        check(answer)
    answer = merpo_cli("check", "tiny.toml", "--set", f'method.component="{"no"}"')
    assert answer.code == 2
    check(answer)


def test_a_familys_name_is_text_in_markdown(hostile: Path, tmp_path: Path) -> None:
    write_results([hostile], None, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text("utf-8")
    (heading,) = [line for line in page.splitlines() if line.startswith("## ")]
    assert "<b>" not in heading
    assert "](x)" not in heading.replace("\\]", "")
    assert all(c == "\n" or c.isprintable() for c in page)
