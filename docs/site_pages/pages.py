"""The generated pages of the site: path -> the function that returns the page."""

from __future__ import annotations

from collections.abc import Callable

from page_api import api_page
from page_benchmarks import benchmarks_page
from page_commands import commands_page
from page_recipe import recipe_page

__all__ = ["PAGES"]

PAGES: dict[str, Callable[[], str]] = {
    "reference/recipe.md": recipe_page,
    "reference/commands.md": commands_page,
    "reference/api.md": api_page,
    "reference/benchmarks.md": benchmarks_page,
}
