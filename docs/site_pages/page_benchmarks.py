"""The benchmarks page: the tables that the scripts under bench/ wrote, unchanged."""

from __future__ import annotations

from pathlib import Path

from page_markdown import deeper

__all__ = ["TABLES", "benchmarks_page"]

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
TABLES = ("point_robot_wind.md", "goals.md", "where.md")

HEAD = """# Benchmarks

The tables that the scripts under `bench/` wrote, unchanged; nothing on this page is typed by hand. See
[departures](../departures.md#what-reproduces) for their interpretation, [reproduction](../reproduction.md) for what
does and does not reproduce, [speed](../performance.md) for how speed is measured, and [results](../results.md) for
recipes on other families.

"""


def benchmarks_page() -> str:
    """The page."""
    return HEAD + "\n".join(deeper((RESULTS / name).read_text("utf-8")) for name in TABLES)
