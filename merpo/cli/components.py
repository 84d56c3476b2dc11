"""Components on the terminal: a list of all, or the fields of one; as paragraphs where a table would break words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from merpo.components.component import Component
from merpo.components.describe import bounds_text, type_text, value_text
from merpo.components.interfaces import KINDS
from merpo.components.registry import PLUGIN, ComponentEntry, components, get
from merpo.errors import RecipeError, nearest
from merpo.support import terminal

__all__ = ["component_page", "component_table", "entry_record", "field_rows"]

_STYLES = {"ok": "green", "blocked": "yellow", "broken": "red", "clash": "red"}
_PLACE = re.compile(r"(?:Table|Algorithm|Section|Theorem|Lemma|Fig\.) \d[\d.]*\w?\b|Eqs?\. \(\d+\)|\bA\.\d(?:\.\d)*")
_CLOSING = re.compile(r"(?P<meaning>.+) \((?P<source>(?:[^()]|\([^()]*\))+)\)\.?", re.DOTALL)
_UNBOUNDED = 1000  # columns where the output is no terminal: nothing is cut, programs can read it
_PROSE = 20  # columns of prose below which a table is hard to read
_NARROW = 10  # columns to which a column of short texts shrinks
_TABLE = 60  # columns of a terminal below which a component's fields are paragraphs


def entry_record(entry: ComponentEntry) -> dict[str, str]:
    """An entry as `merpo list-components --json` prints it."""
    keys = ("kind", "name", "summary", "distribution", "version", "status", "reason")
    return {key: getattr(entry, key) for key in keys}


def component_table(entries: Sequence[ComponentEntry], console: Console | None = None) -> None:
    """Print kind, name, distribution and version, status, and summary or reason of every entry."""
    console = console or _console()
    table = _table("kind", "name", "distribution", "status", "summary")
    for entry in entries:
        table.add_row(entry.kind, Text(entry.name, style="bold"), _source(entry), _status(entry), _summary(entry))
    if _fits(table, console, prose=4):
        _print(table, console)
        return
    for entry in entries:
        console.print(Text.assemble(f"{entry.kind}/", (entry.name, "bold"), f"  {_source(entry)}  ", _status(entry)))
        console.print(Padding(_summary(entry), (0, 0, 0, 2)))


def _source(entry: ComponentEntry) -> str:
    return f"{entry.distribution} {entry.version}"


def _status(entry: ComponentEntry) -> Text:
    return Text(entry.status, style=_STYLES[entry.status])


def _summary(entry: ComponentEntry) -> Text:
    return Text(entry.summary if entry.status == "ok" else entry.reason, overflow="fold")


def component_page(place: str, console: Console | None = None) -> None:
    """Print the component `KIND/NAME` and its fields, or the list of a `KIND`.

    Raises RecipeError or PluginError if it does not exist.
    """
    console = console or _console()
    kind, slash, name = place.partition("/")
    if kind in KINDS and not name:
        component_table(components(kind), console)
        return
    if not slash:
        known = [f"{entry.kind}/{entry.name}" for entry in components() if entry.kind != PLUGIN]
        same = [other for other in known if other.endswith(f"/{place}")]
        hint = f" (did you mean {same[0]!r}?)" if same else nearest(place[:80], [*known, *KINDS])
        raise RecipeError(f"{place[:80]!r}: expected KIND/NAME such as alpha/fixed{hint}")
    cls = get(kind, name)
    entry = next(e for e in components(kind) if e.cls is cls)
    _print(Text(f"{kind}/{name}", style="bold").append(f"  {_source(entry)}", style="dim"), console)
    _print(Text((cls.__doc__ or "").strip() + "\n"), console)
    if not cls.model_fields:
        _print(Text("It has no fields."), console)
        return
    rows = list(field_rows(cls))
    columns = ("field", "type", "bound", "default", "meaning", "source")
    used = [i for i, _ in enumerate(columns) if any(row[i] for row in rows) or columns[i] in ("bound", "source")]
    table = _table(*(columns[i] for i in used))
    for row in rows:
        table.add_row(*(Text(row[i] or "-") for i in used))
    if console.width >= _TABLE and _fits(table, console, prose=columns.index("meaning")):
        _print(table, console)
        return
    for row in rows:
        paragraph = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
        for i in used[1:]:
            paragraph.add_row(f"  {columns[i]}", Text(row[i] or "-"))
        console.print(Text(row[0], style="bold", overflow="fold"), paragraph)


def field_rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, ...]]:
    """A row for every field; a section's own fields follow it with dotted names."""
    for name, field in model.model_fields.items():
        meaning, source = _meaning_and_source(field)
        yield f"{prefix}{name}", type_text(field.annotation), bounds_text(field), _default(field), meaning, source
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel) and type_text(section) == "section":
            yield from field_rows(section, f"{prefix}{name}.")


def _default(field: FieldInfo) -> str:
    """A default as recipes write it; a component as its name and settings."""
    if field.is_required():
        return "none, must be given"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Component):
        return value.name
    if isinstance(value, dict) and "component" in value:
        rest = {key: item for key, item in value.items() if key != "component"}
        return f"{value['component']} {value_text(rest)}" if rest else str(value["component"])
    if isinstance(value, BaseModel):
        return "as follows"
    return value_text(value)


def _meaning_and_source(field: FieldInfo) -> tuple[str, str]:
    """A field's description and its source.

    That is `json_schema_extra={"source": ...}`, or the bracket that closes the description (then cut from it), or the
    places of the paper that it names.
    """
    text = (field.description or "").strip()
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "source" in extra:
        return text, str(extra["source"])
    if (closing := _CLOSING.fullmatch(text)) and not closing["source"].isdigit():  # "Eq. (1)" is no closing bracket
        return f"{closing['meaning']}.", closing["source"]
    return text, ", ".join(dict.fromkeys(_PLACE.findall(text)))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("kind", "name", "field", "status"))
    return table


def _fits(table: Table, console: Console, prose: int) -> bool:
    """Set widths so that no word breaks, the column `prose` having what the others leave; False if that is too little.

    Rich would fold the widest columns first, wherever their words end.
    """
    if console.measure(table, options=console.options.update(max_width=_UNBOUNDED)).maximum <= console.width:
        return True
    left = console.width - 2 * (len(table.columns) - 1)
    for i, column in enumerate(table.columns):
        words = " ".join(map(str, (column.header, *column.cells))).split()
        column.min_width = max(map(len, words))
        if i != prose:
            natural = max(map(len, map(str, column.cells)))
            column.width = max(column.min_width, natural if column.no_wrap else min(natural, _NARROW))
            left -= column.width
    return left >= max(_PROSE, table.columns[prose].min_width or 0)


def _console() -> Console:
    console = terminal.console()
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def _print(what: Table | Text, console: Console) -> None:
    """Print, without trailing spaces where the output is no terminal."""
    if console.is_terminal:
        console.print(what)
        return
    with console.capture() as capture:
        console.print(what)
    terminal.say(*(line.rstrip() for line in capture.get().rstrip("\n").split("\n")))
