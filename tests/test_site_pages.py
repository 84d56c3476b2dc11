"""The pages that are made when the site is built say everything that the code has."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
import typer
from page_api import GROUPS, PLACES, grouped, meaning
from page_markdown import code, deeper, table, text
from pages import PAGES

import merpo
from merpo.cli.app import app
from merpo.cli.components import field_rows
from merpo.components import registry
from merpo.recipe.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent


def test_the_recipe_page_has_every_field_of_every_component() -> None:
    page = PAGES["reference/recipe.md"]()
    for entry in registry.components():
        if entry.distribution != "merpo":
            continue
        assert entry.cls is not None
        _, found, rest = page.partition(f"### `{entry.kind}/{entry.name}`\n")
        assert found
        section = rest.partition("\n## ")[0].partition("\n### ")[0]
        rows = re.findall(r"^\| <code>([\w.]+)</code>", section, re.MULTILINE)
        assert rows == [row[0] for row in field_rows(entry.cls)]
    assert all(f"| <code>{name}</code> |" in page for name in Recipe.model_fields)


def test_the_recipe_page_shows_a_field_as_it_is() -> None:
    line = next(x for x in PAGES["reference/recipe.md"]().splitlines() if x.startswith("| <code>rac.polyak</code>"))
    assert [cell.strip() for cell in line.strip("| ").split(" | ")] == [
        "<code>rac.polyak</code>", "number", "&gt; 0, &lt;= 1", "<code>0.01</code>",
        "Step of the target networks towards the critics.", "SAC: 5e-3",
    ]  # fmt: skip


def test_the_commands_page_has_every_command_and_option() -> None:
    page = PAGES["reference/commands.md"]()
    seen = 0

    def check(command: object, path: str) -> None:
        nonlocal seen
        assert f"## `{path}`" in page
        for parameter in command.params:  # type: ignore[attr-defined]
            for option in parameter.opts if parameter.param_type_name == "option" else []:
                assert re.search(rf"<code>[^<]*{re.escape(html.escape(option))}\b", page), (path, option)
                seen += 1
        for name, below in getattr(command, "commands", {}).items():
            if below.hidden:
                assert f"## `{path} {name}`" not in page
            else:
                check(below, f"{path} {name}")

    check(typer.main.get_command(app), "merpo")
    assert seen > 15


def test_the_library_page_has_every_public_name_once_in_a_group_that_fits() -> None:
    names = [full for group in grouped().values() for full in group]
    assert sorted(full.rpartition(".")[2] for full in names) == sorted(set(merpo.__all__) - {"__version__"})
    left_over = set(grouped()) - set(GROUPS)
    assert not left_over, f"without a group in docs/site_pages/page_api.py: {[grouped()[g] for g in left_over]}"
    assert set(grouped()) == set(GROUPS)  # no group is empty
    assert set(PLACES.values()) == set(GROUPS)
    page = PAGES["reference/api.md"]()
    assert all(f"\n::: {full}\n" in page for full in names)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("    policy: Params  # [T, ...]", "[T, ...]"),
        ('x: float = Field(1.0, ge=0, description="What # it is.")  # a remark', "What # it is."),
        ('x: float = Field(\n    1.0,\n    description="What it is.",\n)', "What it is."),
        ("x: Any = 1  # noqa: S101", ""),
        ("x: str = 'a'", ""),
    ],
)
def test_the_meaning_of_an_attribute_stands_in_its_line(source: str, says: str) -> None:
    assert meaning(source) == says


def test_the_page_of_benchmarks_is_what_the_scripts_wrote() -> None:
    page = PAGES["reference/benchmarks.md"]()
    for name in ("point_robot_wind", "goals", "where"):
        for line in (ROOT / "bench" / "results" / f"{name}.md").read_text("utf-8").splitlines():
            assert (f"#{line}" if line.startswith("#") else line) in page


@pytest.mark.parametrize("path", list(PAGES))
def test_a_page_has_one_title_and_whole_tables(path: str) -> None:
    page = PAGES[path]()
    assert len(re.findall(r"^# ", page, re.MULTILINE)) == 1
    for block in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(columns) == 1, block


def test_markdown_is_escaped() -> None:
    assert text("a*b_c <x> | `k_i < 1` [y]") == r"a\*b\_c &lt;x&gt; \| `k_i < 1` \[y\]"
    assert code("a | <b>") == "<code>a &#124; &lt;b&gt;</code>"
    assert table(("a", "b"), [("1", ""), ("2", "")]) == "| a |\n| --- |\n| 1 |\n| 2 |\n"
    assert deeper("# A\ntext # no\n## B\n") == "## A\ntext # no\n### B\n"
