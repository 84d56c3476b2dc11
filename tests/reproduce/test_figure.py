"""Figures as data: what a file may say, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from figure_files import TABLES, figure, figure_tables, write_figure

from merpo.errors import RecipeError
from merpo.reproduce.figure import Figure
from merpo.reproduce.files import read_source


def changed(place: str, index: int, **values: Any) -> dict[str, Any]:
    """The tables with other values in one of their lists."""
    tables = figure_tables()
    tables[place][index] |= values
    return tables


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (figure_tables(titel="x"), r"titel: unknown key \(did you mean 'title'\?\)"),
        (figure_tables(id="../up"), r"id: got '\.\./up', expected text like"),
        (figure_tables(seeds=[3, 3]), r"seeds: got \[3, 3\], expected the first and one more than the last"),
        (figure_tables(x="arm"), r"x: got 'arm', expected .*\(did you mean 'arms'\?\)"),
        (figure_tables(arms=[], claims=[]), "expected arms and families, or not_yet"),
        (figure_tables(not_yet="needs FOCAL"), "expected arms and families, or not_yet"),
        (changed("arms", 1, id="low"), "arms: 'low' is there twice"),
        (changed("arms", 1, id="a/b"), r"arms\[1\]\.id: got 'a/b', expected text like"),
        (changed("arms", 1, lable="x"), r"arms\[1\]\.lable: unknown key \(did you mean 'label'\?\)"),
        (changed("arms", 1, meta="lo"), r"arms\.high\.meta on winds: got 'lo' \(did you mean 'low'\?\)"),
        (changed("arms", 0, meta="high"), r"arms\.low\.meta on winds: got 'high'"),
        (changed("arms", 1, families=["wind"]), r"arms\.high\.families: got 'wind' \(did you mean 'winds'\?\)"),
        (changed("families", 0, sizes=[]), r"families\[0\]\.sizes: .*expected a list of at least 1"),
        (changed("families", 0, needs=[{"name": "d", "recipe": "x", "qualities": ["god"]}]), "qualities"),
        (changed("claims", 0, first=["hihg"]), r"claims\.better on winds: got 'hihg' \(did you mean 'high'\?\)"),
        (changed("claims", 0, first=[]), r"claims\[0\]: first: missing, expected ids of arms"),
        (changed("claims", 0, policy="behavior"), r"got 2 of second, policy and number, expected one of them"),
        (changed("claims", 0, second=[], policy="behavior", measure="gap closed"), "expected one of .*drawn.* beside"),
        (changed("claims", 0, second=[]), "got 0 of second, policy and number"),
        (
            changed("claims", 0, comparison="grater"),
            r"comparison: got 'grater', expected .*\(did you mean 'greater'\?\)",
        ),
        (changed("claims", 0, comparison="comparable"), "margin: comparison 'comparable' needs a margin"),
        (changed("claims", 0, margin=0.1), "margin: comparison 'greater' takes no margin"),
        (changed("claims", 0, comparison="comparable", margin=-1.0), "margin: got -1, expected a number > 0"),
        (
            changed("claims", 0, comparison="comparable", margin={"wind": 1.0}),
            r"claims\.better\.margin: none for family 'winds'",
        ),
        (changed("claims", 0, measure="snapshot"), "step: measure 'snapshot' needs one"),
        (changed("claims", 0, step=3), "step: measure 'adapted' has none"),
        (changed("claims", 0, average=True), "names: expected what both averages are called"),
        (changed("claims", 0, comparison="stable", margin=1.0), "comparison 'stable' compares two or more arms"),
    ],
)
def test_what_is_wrong_is_said_with_file_key_and_what_is_expected(
    tmp_path: Path, tables: dict[str, Any], expected: str
) -> None:
    path = write_figure(tmp_path / "mine.toml", **tables)
    with pytest.raises(RecipeError, match=expected) as caught:
        read_source(str(path))
    assert str(caught.value).startswith(str(path))


def test_a_good_file_is_a_figure(tmp_path: Path) -> None:
    content = read_source(str(write_figure(tmp_path / "mine.toml"))).content
    assert isinstance(content, Figure)
    assert content == figure()
    assert [arm.id for arm in content.arms_of("winds")] == ["low", "high"]
    assert content.claims[0].margin_of("winds") == 0.0
    assert figure_tables() == TABLES, "helpers copy"


def test_what_no_family_or_size_is_called_has_a_hint() -> None:
    with pytest.raises(
        RecipeError, match=r"--family: mine has no 'wind' \(did you mean 'winds'\?\), expected one of: winds"
    ):
        figure().family("wind")
    with pytest.raises(RecipeError, match=r"--size: family winds has no 'smal' \(did you mean 'small'\?\)"):
        figure().family("winds").size("smal")


def test_a_figure_that_cannot_be_run_yet_has_its_reason_only() -> None:
    assert Figure(id="fig1", title="x", not_yet="needs FOCAL").claims == ()
