"""Every command and snippet of docs/after_training.md, carried out in order with a tiny recipe."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer
from tiny import tiny_recipe, write_tiny

from merpo.data import collection_folder
from merpo.recipe import load_recipe

PAGE = Path(__file__).resolve().parent.parent / "docs" / "after_training.md"
RECIPE = {"evaluate": {"snapshots": []}}


def blocks() -> list[tuple[str, str]]:
    """Language and text of the page's fenced blocks."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def as_tiny(text: str) -> str:
    """The page's text with the tasks, the collection and the values of the tiny recipe."""
    collection = collection_folder(tiny_recipe(RECIPE)).name
    told = collection_folder(load_recipe(PAGE.parent.parent / "recipes" / "merpo_adp.toml")).name
    assert told in PAGE.read_text("utf-8")
    changes = {
        told: collection, "task-040": "task-002", "task-041": "task-003", "--task 40": "--task 2",
        "0.1,0.3,0.5": "0.1", "--seeds 0:4": "--seeds 0:1",
    }  # fmt: skip
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def test_the_page_does_what_it_says(merpo_cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merpo.report_html.pictures", lambda report: [])  # they take long, and have tests of their own
    Path("recipes").mkdir()
    write_tiny(Path("recipes/merpo_adp.toml"), RECIPE)
    said = {}
    for name, changes in (("second", "method.alpha.initial=0.2"), ("study/a", "method.alpha.initial=0.3")):
        answer = merpo_cli("run", "recipes/merpo_adp.toml", "--out", f"runs/{name}", "--set", changes)
        assert answer.code == 0, answer.err
    for language, text in blocks():
        if language == "py":
            exec(compile(as_tiny(text), str(PAGE), "exec"), {"__name__": "docs"})
            continue
        for line in as_tiny(text).splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "merpo"
            answer = merpo_cli(*words[1:])
            assert answer.code == 0, f"{line}: {answer.out}{answer.err}"
            said[words[1]] = answer.out
    assert set(said) == {"run", "export", "adapt", "evaluate", "compare", "report", "sweep"}
    assert Path("runs/first/export/task-002.medium.onnx").exists()
    assert Path("runs/new/artifacts/adapted.safetensors").exists()
    assert Path("returns.json").exists()
    assert Path("sweeps/alpha/summary.csv").exists()
    assert {path.name for path in Path("comparison").iterdir()} == {
        "arms.csv", "comparison.html", "comparison.json", "pictures", "runs.csv",
    }  # fmt: skip
    for name in ("arms.csv", "comparison.html", "comparison.json", "runs.csv", "summary.json", "summary.csv"):
        assert f"`{name}`" in PAGE.read_text("utf-8")
