"""Result files, written atomically and only if complete: every expected row, arm and finite number."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from merpo.errors import MerpoError
from merpo.support.files import atomic_write_text

__all__ = ["RESULTS", "IncompleteResultsError", "json_problems", "markdown_problems", "write_results"]

RESULTS = Path(__file__).parent / "results"
CIRCUMSTANCES = ("machine", "arguments")  # top-level keys of JSON that describe a measurement
SHOWN = 10  # maximum number of problems in a message
NOT_A_NUMBER = re.compile(r"(?<!\w)(nan|inf|None)(?!\w)")


class IncompleteResultsError(MerpoError):
    """Results with missing, empty or non-finite entries; no file was written."""


def write_results(
    script: str,
    files: Mapping[Path, Mapping[str, Any] | str],
    missing: Iterable[str] = (),
    optional: Iterable[str] = (),
    indent: int | None = 1,
) -> None:
    """Write JSON (from a mapping) and Markdown (from text) to the given paths, all of them or none.

    `missing` lists results that the script did not obtain. `optional` are top-level keys of JSON whose values may be
    empty or `None`. Raises `IncompleteResultsError`, leaving existing files unchanged, if anything is missing.
    """
    found: dict[Path, list[str]] = {}
    for path, content in files.items():
        own = markdown_problems(content) if isinstance(content, str) else json_problems(content, optional)
        found[path] = [*missing, *own]
    if any(found.values()):
        raise IncompleteResultsError(_message(script, found))
    texts = {
        path: content if isinstance(content, str) else json.dumps(content, indent=indent, ensure_ascii=False) + "\n"
        for path, content in files.items()
    }
    for path, text in texts.items():
        atomic_write_text(path, text)


def json_problems(content: Mapping[str, Any], optional: Iterable[str] = ()) -> list[str]:
    """Every empty, absent or non-finite value, with its place; also JSON with nothing but circumstances."""
    described = {*CIRCUMSTANCES, *optional}
    found = [] if content.keys() - described else ["no results"]
    for key, value in content.items():
        found += _problems(value, (key,), may_be_empty=key in described)
    return found


def markdown_problems(text: str) -> list[str]:
    """The problems of Markdown: no table, tables without rows, and cells that are not finite numbers."""
    lines = text.splitlines()
    tables = [list(part) for is_table, part in groupby(lines, lambda line: line.startswith("|")) if is_table]
    found = [] if tables else ["no table"]
    for table in tables:
        if len(table) < 3:  # the first two are the head and the rule below it
            found.append(f"no rows in the table {table[0]}")
        found += [f"not a number in the row {line}" for line in table[2:] if NOT_A_NUMBER.search(line)]
    return found


def _problems(value: Any, place: tuple[str, ...], may_be_empty: bool) -> Iterator[str]:
    where = " / ".join(place)
    if isinstance(value, Mapping):
        parts: list[tuple[str, Any]] = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = [(str(index), part) for index, part in enumerate(value)]
    else:
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{where}: {value} instead of a finite number"
        elif value is None and not may_be_empty:
            yield f"{where}: no value"
        return
    if not parts and not may_be_empty:
        yield f"{where}: empty"
    for key, part in parts:
        yield from _problems(part, (*place, key), may_be_empty)


def _message(script: str, found: Mapping[Path, list[str]]) -> str:
    lines = []
    for path, problems in found.items():
        lines.append(f"{path}: " + ("incomplete" if problems else "complete, but belongs to an incomplete one"))
        lines += [f"  {problem}" for problem in problems[:SHOWN]]
        lines += [f"  and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n".join([f"bench/{script}.py: no file was written", *lines])
