"""The documentation is true: its recipes load, its links lead somewhere, its names exist.

Its commands and its code are carried out in `test_docs_followed.py`.
"""

from __future__ import annotations

import re
import subprocess
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from blocks import BLOCKS, IDS, PAGES, ROOT, Block
from pages import PAGES as MADE
from pydantic import BaseModel

from merpo.cli.app import app
from merpo.components import registry
from merpo.components.interfaces import KINDS
from merpo.recipe.recipe import Recipe, from_tables, load_recipe

PLUGIN = ROOT / "docs" / "example_plugin"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def some(*whats: str, language: str = "") -> list[Any]:
    """The blocks of some kinds, as parameters."""
    chosen = [block for block in BLOCKS if block.what in whats and language in ("", block.language)]
    return [pytest.param(block, id=str(block)) for block in chosen]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """What a page sets in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


@pytest.mark.parametrize("block", some("", "file", language="toml"))
def test_toml_is_toml_and_a_recipe_loads(block: Block) -> None:
    tables = tomllib.loads(block.text)
    if "extends" in tables:
        assert load_recipe(ROOT / block.file).title == tables["title"]
    elif "method" in tables:
        assert from_tables(tables).method.name == tables["method"]["component"]


@pytest.mark.parametrize("block", some("file", "excerpt"))
def test_a_copy_of_a_file_is_that_file(block: Block) -> None:
    text = (ROOT / block.file).read_text("utf-8")
    assert block.text == text if block.what == "file" else block.text in text


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path) if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            lost.append(target)
    assert lost == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_components_exist(page: Path) -> None:
    named = [span.split("/") for span in spans(page) if re.fullmatch(r"[a-z_]+/[a-z0-9-]+", span)]
    for kind, name in named:
        if kind in KINDS:
            registry.get(kind, name)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_in_the_text_exist(page: Path) -> None:
    for span in spans(page):
        words = span.split()
        if words[0] == "merpo" and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in COMMANDS, span


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_lines_of_prose_have_at_most_120_characters(page: Path) -> None:
    lines = [line for line in prose(page).splitlines() if len(line) > 120 and not line.startswith(("|", "<!--"))]
    assert [line for line in lines if " " in unbroken(line)] == []  # rows of tables, links and code are exempt


def unbroken(line: str) -> str:
    """A line without the mark of a list item, and without the spaces within code and links."""
    item = re.sub(r"^\s*(?:[-*]|\d+\.)?\s*", "", line)
    return re.sub(r"`[^`]*`|!?\[[^]]*\]\([^)]*\)", lambda found: found[0].replace(" ", ""), item)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_in_the_text_exist(page: Path) -> None:
    written = {block.file for block in BLOCKS if block.what == "tutorial" and ROOT / block.page == page}
    for span in spans(page):
        if re.fullmatch(r"(merpo|plugins|recipes|bench|tests|docs)/[\w./]+\.\w+", span) and span not in written:
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_tests_in_the_text_exist(page: Path) -> None:
    named = [span.split("::") for span in spans(page) if re.fullmatch(r"tests/[\w./]+\.py::\w+", span)]
    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text("utf-8")] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_keys_of_recipes_exist(page: Path) -> None:
    lost = [span for span in spans(page) if (key := recipe_key(span)) and not key_exists(key)]
    assert lost == []


def recipe_key(span: str) -> list[str]:
    """`rac.discount` or `method.rac.discount = 0.9` as a path in a recipe, `[]` for anything else."""
    found = re.match(r"([a-z_]+(?:\.[a-z_]+)+)(?: = .+)?$", span)
    if not found or found[1].endswith((".py", ".json", ".toml", ".md", ".lock")):
        return []
    parts = found[1].split(".")
    if parts[0] in method_fields():
        parts = ["method", *parts]
    return parts if parts[0] in Recipe.model_fields else []


def method_fields() -> set[str]:
    """The components and sections of MerPO."""
    return set(registry.get("method", "merpo").model_fields)


def key_exists(path: list[str]) -> bool:
    """Whether a path leads to a field, in any component of the kind that stands there."""
    models: list[type[BaseModel]] = [Recipe]
    for part in path:
        if part == "component":
            return any(model in KINDS.values() or getattr(model, "kind", "") for model in models)
        fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        if not fields:
            return False
        models = [model for field in fields for model in below(field)]
    return True


def below(annotation: Any) -> list[type[BaseModel]]:
    """The sections, or all components of the kind, that a field may hold."""
    if get_args(annotation):
        return [model for part in get_args(annotation) for model in below(part)]
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return []
    if annotation in KINDS.values():
        return [registry.get(annotation.kind, name) for name in registry.names(annotation.kind)]  # type: ignore[attr-defined]
    return [annotation]


def test_a_key_that_does_not_exist_is_noticed() -> None:
    assert key_exists(["method", "rac", "discount"])
    assert key_exists(["method", "meta_learner", "eta"])
    assert not key_exists(["method", "rac", "discout"])
    assert not key_exists(["data", "quality", "x"])
    assert recipe_key("rac.discout") == ["method", "rac", "discout"]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    extract = next(line for line in script.splitlines() if line.startswith("command="))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'{extract}\nprintf %s "$command"'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"<!-- tests -->\n```sh\n(.*)\n```\n<!-- /tests -->", readme)
    assert done.stdout == shown
    assert "nox -s tests" in shown
    assert 'bash -euo pipefail -c "$command"' in script


def test_the_example_plugin_installs_beside_the_builtins(
    install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    points = project["entry-points"]["merpo"]
    lines = "[merpo]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    sources = PLUGIN.glob("merpo_example/*.py")
    modules = {str(path.relative_to(PLUGIN).with_suffix("")): path.read_text("utf-8") for path in sources}
    install(project["name"], modules, version=project["version"], entry_points=lines)
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", f"merpo,{project['name']}")
    registry.refresh()
    mine = [entry for entry in registry.components() if entry.distribution == "merpo-example"]
    found = [(entry.kind, entry.name, entry.status, entry.reason) for entry in mine]
    assert found == [
        ("alpha", "halving", "ok", ""),
        ("method", "reptile-awr", "ok", ""),
        ("regularizer", "jeffreys", "ok", ""),
    ]
    recipe = load_recipe(ROOT / "recipes" / "merpo_adp.toml", ["method.alpha.component=halving"])
    assert "halving" in str(recipe.model_dump())


def test_every_page_is_on_the_site() -> None:
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = set(re.findall(r"^ +- .+: (\S+\.md)$", site, re.MULTILINE))
    assert listed == {page.name for page in ROOT.glob("docs/*.md")} | set(MADE)


def test_pins_are_exact_and_torch_is_the_tested_one() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", line) for line in lines), textwrap.shorten(str(lines), 300)
    assert "torch==2.13.0" in lines


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [d for name in extras for d in extras[name]]
    pins = (ROOT / "constraints.txt").read_text("utf-8").lower().replace("_", "-")
    names = {re.match(r"[A-Za-z0-9_-]+", text)[0].lower().replace("_", "-") for text in wanted} - {"merpo"}  # type: ignore[index]
    assert [name for name in sorted(names) if f"\n{name}==" not in pins] == []
