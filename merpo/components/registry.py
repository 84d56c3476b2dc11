"""Registry of the plugins' components by kind and name; filled at the first use, not at import."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import PydanticCustomError

from merpo.components.component import Component, from_table, kind_of, kinds
from merpo.components.conformance import EXPECTED, defaults_problem, interface_problem, summary
from merpo.components.describe import one_line, shown
from merpo.components.plugins import Plugin, load_plugins
from merpo.errors import MerpoError, PluginError, RecipeError, nearest

__all__ = ["ComponentEntry", "components", "get", "names", "refresh", "resolve"]

PLUGIN = "plugin"  # the kind of an entry for a plugin, or for an offered object of no kind


@dataclass(frozen=True)
class ComponentEntry:
    """One component, or a plugin without any. `status` is ok, broken, clash or blocked; `reason` explains it."""

    kind: str
    name: str
    summary: str
    distribution: str
    version: str
    status: str = "ok"
    reason: str = ""
    cls: type[Component] | None = None


def components(kind: str | None = None) -> list[ComponentEntry]:
    """All entries, sorted by kind and name, or those of `kind` ("plugin" for plugins that did not load).

    Raises RecipeError for an unknown kind.
    """
    if kind is not None and kind != PLUGIN:
        _check_kind(kind)
    return [_with_defaults_checked(entry) for entry in _found() if kind in (None, entry.kind)]


def names(kind: str) -> list[str]:
    """The names of a kind's usable components."""
    return [entry.name for entry in components(kind) if entry.status == "ok"]


def get(kind: str, name: str) -> type[Component]:
    """The class called `name` of a kind.

    Raises RecipeError for an unknown name, with the nearest one; PluginError for a name that clashes or is broken.
    """
    _check_kind(kind)
    entries = [_with_defaults_checked(entry) for entry in _found() if (entry.kind, entry.name) == (kind, name)]
    for entry in entries:
        if entry.status == "ok" and entry.cls is not None:
            return entry.cls
    if entries:
        raise PluginError(f"{kind} {name!r} cannot be used: {entries[0].reason}")
    known = names(kind)
    choices = ", ".join(known) or "none"
    raise RecipeError(f"unknown {kind} {name!r:.80}{nearest(name[:80], known)}; installed: {choices}{_unloaded()}")


def resolve(kind: type[Component], value: Any) -> Component:
    """The component that `value` describes: `{"component": name, **fields}`, or just its name.

    Runs inside pydantic's validation: raises ValidationError, or PydanticCustomError, to which pydantic adds the place.
    """
    if isinstance(value, str):
        value = {"component": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("component"), str):
        choices = ", ".join(names(kind.kind)) or "none"
        raise _problem(f'expected a section with component = "name"; installed: {choices}')
    try:
        cls = get(kind.kind, value["component"])
    except MerpoError as error:
        raise _problem(str(error)) from None
    return from_table(cls, {key: item for key, item in value.items() if key != "component"})


def refresh() -> None:
    """Clear the registry; it is filled again at the next use."""
    _found.cache_clear()
    defaults_problem.cache_clear()


@functools.cache
def _found() -> tuple[ComponentEntry, ...]:
    """All entries, with interfaces checked and clashes marked; no class is instantiated."""
    entries = []
    for plugin in load_plugins():
        if plugin.status != "ok":
            source = plugin.distribution, plugin.version
            entries.append(ComponentEntry(PLUGIN, plugin.name, "", *source, plugin.status, plugin.reason))
        entries += [_inspected(plugin, offered) for offered in {id(one): one for one in plugin.offered}.values()]
    return tuple(sorted(_clashes_marked(entries), key=lambda e: (e.kind == PLUGIN, e.kind, e.name, e.distribution)))


def _inspected(plugin: Plugin, offered: Any) -> ComponentEntry:
    """The entry of one offered object, whatever it raises when it is looked at."""
    try:
        return _entry(plugin, offered)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a metaclass, a descriptor, ...
        reason = f"merpo_components() offered an object that cannot be inspected: {one_line(error)}"
        return ComponentEntry(PLUGIN, plugin.name, "", plugin.distribution, plugin.version, "broken", reason)


def _entry(plugin: Plugin, offered: Any) -> ComponentEntry:
    """The entry of one offered object; an object that is no class of a kind becomes an entry of the plugin."""
    cls = offered if isinstance(offered, type) and issubclass(offered, Component) else None
    kind = kind_of(cls) if cls else None
    problem = interface_problem(offered) if cls else f"merpo_components() offered {shown(offered):.80}, {EXPECTED}"
    return ComponentEntry(
        kind=kind.kind if kind else PLUGIN,
        name=cls.name if cls and isinstance(cls.name, str) and cls.name else _name(offered, plugin),
        summary=summary(cls) if cls else "",
        distribution=plugin.distribution,
        version=plugin.version,
        status="broken" if problem else "ok",
        reason=problem,
        cls=cls,
    )


def _name(offered: Any, plugin: Plugin) -> str:
    return offered.__name__ if isinstance(offered, type) else plugin.name


def _clashes_marked(entries: list[ComponentEntry]) -> list[ComponentEntry]:
    """The entries, with status clash for components of the same kind and name."""
    by_name: dict[tuple[str, str], list[ComponentEntry]] = defaultdict(list)
    for entry in entries:
        if entry.status == "ok":
            by_name[entry.kind, entry.name].append(entry)

    def marked(entry: ComponentEntry) -> ComponentEntry:
        same = by_name[entry.kind, entry.name] if entry.status == "ok" else []
        if len(same) < 2:
            return entry
        owners = " and ".join(f"{e.distribution} {e.version}" for e in same)
        return replace(entry, status="clash", reason=f"{owners} both bring {entry.kind} {entry.name!r}; uninstall one")

    return [marked(entry) for entry in entries]


def _with_defaults_checked(entry: ComponentEntry) -> ComponentEntry:
    """The entry, broken if its class cannot be built from its defaults. A later step: defaults may name components."""
    if entry.status != "ok" or entry.cls is None:
        return entry
    try:
        problem = defaults_problem(entry.cls)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a class that cannot be hashed
        problem = one_line(error)
    return replace(entry, status="broken", reason=problem) if problem else entry


def _unloaded() -> str:
    """A hint at plugins that did not load, one of which may provide the missing component."""
    rows = [f"{entry.distribution} ({entry.status})" for entry in _found() if entry.kind == PLUGIN]
    return f"; plugins not loaded: {', '.join(rows)}, see `merpo list-components`" if rows else ""


def _check_kind(kind: str) -> None:
    _found()  # loads the plugins, which import the kinds they implement
    known = kinds()
    if known and kind not in known:
        raise RecipeError(f"unknown kind {kind!r:.80}{nearest(kind, known)}; kinds: {', '.join(known)}")


def _problem(message: str) -> PydanticCustomError:
    return PydanticCustomError("component", "{problem}", {"problem": message})
