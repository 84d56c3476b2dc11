"""Figures as plain tables for tests, and files of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import tomli_w

from merpo.components.component import tuples
from merpo.reproduce.figure import Figure

__all__ = ["TABLES", "figure", "figure_tables", "write_figure"]

TABLES: dict[str, Any] = {
    "id": "mine",
    "title": "Mine",
    "seeds": [0, 2],
    "families": [{"name": "winds", "title": "Winds", "recipe": "tiny.toml", "sizes": [{"name": "small"}]}],
    "arms": [
        {"id": "low", "label": "low α", "set": ["method.alpha={component='fixed',initial=0.1}"]},
        {"id": "high", "label": "high α", "meta": "low", "set": ["method.alpha={component='fixed',initial=0.4}"]},
    ],
    "claims": [
        {"id": "better", "quote": "It is better.", "source": "Section 1", "first": ["high"], "second": ["low"]},
    ],
}


def figure_tables(**changes: Any) -> dict[str, Any]:
    """The tables of a small figure, with other values at the top."""
    return {**copy.deepcopy(TABLES), **changes}


def figure(**changes: Any) -> Figure:
    """The figure of these tables."""
    return Figure.model_validate(tuples(figure_tables(**changes)))


def write_figure(path: Path, **changes: Any) -> Path:
    """A file with these tables."""
    path.write_text(tomli_w.dumps(figure_tables(**changes)), "utf-8")
    return path
