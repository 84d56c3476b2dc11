"""`list-components` and `show` on narrow terminals: no column vanishes, and no word breaks inside."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from merpo.cli.components import component_page, component_table, field_rows
from merpo.components import registry

COLUMNS = ["field", "type", "bound", "default", "meaning", "source"]


@pytest.fixture(autouse=True)
def _broken_plugin(install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    install("merpo-broken", {"broken_narrow": "raise RuntimeError('a reason of several words')"})
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", "merpo,merpo-broken")
    registry.refresh()


def printed(width: int, show: Callable[[Console], None]) -> list[str]:
    text = io.StringIO()
    show(Console(file=text, width=width, force_terminal=True, color_system=None, highlight=False))
    lines = text.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    return lines


def words(*texts: str) -> set[str]:
    return {word for text in texts for word in text.split()}


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_every_word_of_the_list_is_whole(width: int) -> None:
    entries = registry.components()
    lines = printed(width, lambda console: component_table(entries, console))
    found = words(*lines)
    for entry in entries:
        said = entry.summary or entry.reason
        assert words(entry.distribution, entry.version, entry.status, said) <= found
        assert f"{entry.kind}/{entry.name}" in found or {entry.kind, entry.name} <= found
    assert (lines[0].split()[0] == "kind") == (width >= 80)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_every_word_of_a_components_fields_is_whole(width: int) -> None:
    for entry in registry.components():
        if entry.cls is None or not entry.cls.model_fields:
            continue
        lines = printed(width, lambda console: component_page(f"{entry.kind}/{entry.name}", console))  # noqa: B023
        rows = [cell for row in field_rows(entry.cls) for cell in row]
        long = {word for word in words(*rows) if len(word) > width - 12}  # only these may fold
        assert words(*rows) - long <= words(*lines), entry.name
        assert words(*COLUMNS[1:]) <= words(*lines)
        if width < 60:
            assert [line for line in lines if line.split() == COLUMNS] == []
            assert sum(line.startswith("  type ") for line in lines) == len(rows) / len(COLUMNS)
