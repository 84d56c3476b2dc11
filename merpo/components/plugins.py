"""Plugin discovery through entry points; a broken plugin is reported and affects no other.

Trust: an installed plugin is code that runs when the registry is first used. `MERPO_LOAD_PLUGINS` (names of
distributions, separated by commas; empty for none) restricts which are loaded.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import pluggy

from merpo.components import hookspecs
from merpo.components.describe import one_line, shown
from merpo.errors import nearest

__all__ = [
    "API_VERSION",
    "DECLARATION",
    "ENTRY_POINT_GROUP",
    "LOAD_VARIABLE",
    "OLDEST_API_VERSION",
    "Plugin",
    "api_problem",
    "load_plugins",
    "normalised",
]

ENTRY_POINT_GROUP = "merpo"
LOAD_VARIABLE = "MERPO_LOAD_PLUGINS"
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Plugin(NamedTuple):
    """One entry point and whether it loaded; `reason` says why `status` is not "ok"."""

    name: str
    distribution: str
    version: str
    status: str  # ok | broken | blocked
    reason: str
    offered: Sequence[Any]  # components from its hook, not yet checked


def normalised(name: str) -> str:
    """The normalized name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def load_plugins() -> list[Plugin]:
    """All installed plugins, sorted by distribution and name."""
    manager = pluggy.PluginManager("merpo")
    manager.add_hookspecs(hookspecs)
    allowed = _allowed()
    plugins = []
    for distribution, version, found in sorted(_entry_points(), key=lambda row: (normalised(row[0]), str(row[2]))):
        if isinstance(found, str):
            plugins.append(Plugin(distribution, distribution, version, "broken", found, ()))
        elif allowed is not None and normalised(distribution) not in allowed:
            reason = f"{LOAD_VARIABLE}={os.environ[LOAD_VARIABLE]!r} does not name {distribution}"
            plugins.append(Plugin(found.name, distribution, version, "blocked", reason, ()))
        else:
            offered, reason = _load(manager, found, distribution)
            plugins.append(Plugin(found.name, distribution, version, "broken" if reason else "ok", reason, offered))
    return plugins


def _allowed() -> set[str] | None:
    """The distributions that may load, or None for all."""
    value = os.environ.get(LOAD_VARIABLE)
    return None if value is None else {normalised(name.strip()) for name in value.split(",") if name.strip()}


def _entry_points() -> Iterator[tuple[str, str, importlib.metadata.EntryPoint | str]]:
    """(distribution, version, entry point or why there is none) of every distribution with entry points of merpo.

    Entry points are read before the metadata, as an environment has hundreds of distributions and few plugins.
    """
    seen = set()
    for distribution in importlib.metadata.distributions():
        points: Sequence[importlib.metadata.EntryPoint | str]
        try:
            points = sorted(set(distribution.entry_points.select(group=ENTRY_POINT_GROUP)))
        except Exception as error:  # noqa: BLE001 - not UTF-8, or not in the format of entry points
            points = [f"its entry points cannot be read: {one_line(error)}"]
        if not points:
            continue
        try:
            name, version = str(distribution.name), str(distribution.version)
        except Exception:  # noqa: BLE001, S112 - metadata without a name: nothing can be attributed to it
            continue
        if normalised(name) not in seen and not _is_hidden(distribution, name):
            seen.add(normalised(name))
            yield from ((name, version, point) for point in points)


def _is_hidden(distribution: importlib.metadata.Distribution, name: str) -> bool:
    """Whether another distribution of this name comes first on the path, and so counts, as it does for imports."""
    try:
        first = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:  # the distribution's folder has another name
        return False
    return str(first.locate_file("")) != str(distribution.locate_file(""))


def _load(
    manager: pluggy.PluginManager, entry_point: importlib.metadata.EntryPoint, distribution: str
) -> tuple[list[Any], str]:
    """The components of a plugin, and its problem or an empty string; output of the plugin goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            plugin = entry_point.load()
            if problem := api_problem(plugin, distribution):
                return [], problem
            manager.register(plugin, name=f"{distribution}:{entry_point.name}")
            return _offered(manager, plugin, entry_point.value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may even call sys.exit at import
            _raise_shortage(error)
            return [], f"{entry_point.value} cannot be loaded: {one_line(error)}"


def _offered(manager: pluggy.PluginManager, plugin: object, place: str) -> tuple[list[Any], str]:
    """The components that a registered plugin's hook returns, and its problem or an empty string."""
    offered: list[Any] = []
    reasons = []
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        for implementation in caller.get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            if not caller.has_spec():
                hint = nearest(caller.name, ["merpo_components"])
                reasons.append(f"implements {caller.name}, which is no hook of merpo{hint}")
                continue
            try:
                offered += list(cast(Iterable[Any], implementation.function()))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - likewise
                _raise_shortage(error)
                reasons.append(f"{caller.name}() failed: {one_line(error)}")
    if not callers:
        reasons.append(f"{place} has no merpo_components hook (is @merpo.hookimpl missing?)")
    return offered, "; ".join(reasons)


def _raise_shortage(error: BaseException) -> None:
    """Raise an error that is none of the plugin's: a machine without file descriptors or memory for more."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in SHORTAGES):
        raise error


API_VERSION = 2  # goes up when a public name, an interface or a law changes so that plugins must change, too
OLDEST_API_VERSION = 2  # the oldest that plugins may still be written for
DECLARATION = "MERPO_API"  # the name in a plugin's module


def api_problem(plugin: object, distribution: str) -> str:
    """Why a plugin does not fit this merpo, or an empty string.

    A plugin's module declares the version that it was written for as a number, `MERPO_API = 2`, not as
    `merpo.API_VERSION`. Without a declaration it is version 1.
    """
    declared = getattr(plugin, DECLARATION, 1)
    if not isinstance(declared, int) or isinstance(declared, bool):
        return f"{DECLARATION} is {shown(declared):.40}, expected an integer such as {API_VERSION}"
    if declared > API_VERSION:
        offered = f"this merpo offers {API_VERSION}"
        return f"{DECLARATION} is {declared}, {offered}: upgrade merpo, or use an older {distribution}"
    if declared < OLDEST_API_VERSION:
        oldest = f"this merpo takes {OLDEST_API_VERSION} to {API_VERSION}"
        return f"{DECLARATION} is {declared}, {oldest}: upgrade {distribution}, or use an older merpo"
    return ""
