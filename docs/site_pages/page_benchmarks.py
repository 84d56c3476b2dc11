"""What was measured: the tables that the scripts under bench/ wrote, as they are."""

from __future__ import annotations

from pathlib import Path

from page_markdown import deeper

__all__ = ["TABLES", "benchmarks_page"]

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
TABLES = ("point_robot_wind.md", "goals.md", "where.md")

HEAD = """# Benchmarks

The tables that the scripts under `bench/` wrote, as they wrote them; nothing on this page is typed by hand. What they
mean, and what does and does not reproduce, is in [departures](../departures.md#what-reproduces); how speed is measured,
in [speed](../performance.md). Whole recipes on other families are in [results](../results.md).

"""


def benchmarks_page() -> str:
    """The page."""
    return HEAD + "\n".join(deeper((RESULTS / name).read_text("utf-8")) for name in TABLES)
