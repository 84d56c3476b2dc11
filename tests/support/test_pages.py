"""Pages: text is escaped, missing values are errors, and every template is part of the wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from jinja2 import Environment, UndefinedError

import merpo
from merpo.support.pages import render

PACKAGE = Path(merpo.__file__).parent
TEMPLATES = PACKAGE / "templates"


def test_a_frame_has_its_style_within_and_escapes_its_title() -> None:
    page = render("report/frame.html.j2", title="<script> & \"'")
    assert page.startswith('<!doctype html>\n<html lang="en">\n')
    assert "<title>&lt;script&gt; &amp; &#34;&#39;</title>" in page
    assert (TEMPLATES / "report" / "page.css").read_text() in page
    assert page.endswith("</html>\n")


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="title"):
        render("report/frame.html.j2")


def test_every_template_is_well_formed_and_in_the_wheel() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["merpo"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    files = {path for path in TEMPLATES.rglob("*") if path.is_file()}
    assert files - shipped == set()
    pages = [path for path in files if path.suffix == ".j2"]
    assert len(pages) >= 2
    for path in pages:
        Environment(autoescape=True).parse(path.read_text(encoding="utf-8"), filename=str(path))
