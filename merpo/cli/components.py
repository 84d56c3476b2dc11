"""Tables of components on the terminal: all of them, or the fields of one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.table import Table
from rich.text import Text

from merpo.components.component import Component
from merpo.components.describe import bounds_text, type_text, value_text
from merpo.components.interfaces import KINDS
from merpo.components.registry import PLUGIN, Entry, components, get
from merpo.errors import RecipeError, nearest

__all__ = ["component_page", "component_table", "entry_record", "field_rows"]

_STYLES = {"ok": "green", "blocked": "yellow", "broken": "red", "clash": "red"}
_PLACE = re.compile(r"(?:Table|Algorithm|Section|Theorem|Lemma|Fig\.) \d[\d.]*\w?\b|Eqs?\. \(\d+\)|\bA\.\d(?:\.\d)*")
_CLOSING = re.compile(r"(?P<meaning>.+) \((?P<source>(?:[^()]|\([^()]*\))+)\)\.?", re.DOTALL)
_UNBOUNDED = 1000  # columns where the output is no terminal: nothing is cut, programs can read it


def entry_record(entry: Entry) -> dict[str, str]:
    """An entry as `merpo list-components --json` prints it."""
    keys = ("kind", "name", "summary", "distribution", "version", "status", "reason")
    return {key: getattr(entry, key) for key in keys}


def component_table(entries: Sequence[Entry]) -> None:
    """Print one row per entry: kind, name, distribution and version, status, summary or reason."""
    table = _table("kind", "name", "distribution", "status", "summary")
    for entry in entries:
        status = Text(entry.status, style=_STYLES[entry.status])
        said = entry.summary if entry.status == "ok" else entry.reason
        name, source = Text(entry.name, style="bold"), f"{entry.distribution} {entry.version}"
        table.add_row(entry.kind, name, source, status, Text(said))
    _print(table)


def component_page(place: str) -> None:
    """Print what `KIND/NAME` is and its fields. Raises RecipeError or PluginError where there is no such component."""
    kind, slash, name = place.partition("/")
    if not slash:
        known = [f"{entry.kind}/{entry.name}" for entry in components() if entry.kind != PLUGIN]
        same = [other for other in known if other.endswith(f"/{place}")]
        hint = f" (did you mean {same[0]!r}?)" if same else nearest(place[:80], [*known, *KINDS])
        raise RecipeError(f"{place[:80]!r}: expected KIND/NAME such as alpha/fixed{hint}")
    cls = get(kind, name)
    entry = next(e for e in components(kind) if e.cls is cls)
    _print(Text(f"{kind}/{name}", style="bold").append(f"  {entry.distribution} {entry.version}", style="dim"))
    _print(Text((cls.__doc__ or "").strip() + "\n"))
    if not cls.model_fields:
        _print(Text("It has no fields."))
        return
    rows = list(field_rows(cls))
    columns = ("field", "type", "bound", "default", "meaning", "source")
    used = [i for i, _ in enumerate(columns) if any(row[i] for row in rows) or columns[i] in ("bound", "source")]
    table = _table(*(columns[i] for i in used))
    for row in rows:
        table.add_row(*(Text(row[i] or "-") for i in used))
    _print(table)


def field_rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, ...]]:
    """A row for every field; a section's own fields follow it with dotted names."""
    for name, field in model.model_fields.items():
        meaning, source = _meaning_and_source(field)
        yield f"{prefix}{name}", type_text(field.annotation), bounds_text(field), _default(field), meaning, source
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel) and type_text(section) == "section":
            yield from field_rows(section, f"{prefix}{name}.")


def _default(field: FieldInfo) -> str:
    """A default in a recipe's words; a component by its name and what is set on it."""
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
    """The description, and where it comes from.

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


def _print(what: Table | Text) -> None:
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(what)
        return
    console.width = _UNBOUNDED
    with console.capture() as capture:
        console.print(what)
    print("\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n")))
