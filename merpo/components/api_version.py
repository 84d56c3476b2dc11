"""The version of what plugins are written against, and whether a plugin and this merpo understand each other."""

from __future__ import annotations

__all__ = ["API_VERSION", "DECLARATION", "OLDEST_API_VERSION", "api_problem"]

API_VERSION = 1  # goes up when a public name, an interface or a law changes so that plugins must change, too
OLDEST_API_VERSION = 1  # the oldest that plugins may still be written for
DECLARATION = "MERPO_API"  # what a plugin's module says


def api_problem(plugin: object, distribution: str) -> str:
    """Why a plugin does not fit this merpo, or an empty string.

    A plugin's module says `MERPO_API = 1`, as a number and not as `merpo.API_VERSION`: the version for which it was
    written, whatever is installed. A plugin that says nothing was written for version 1.
    """
    declared = getattr(plugin, DECLARATION, 1)
    if not isinstance(declared, int) or isinstance(declared, bool):
        return f"{DECLARATION} is {declared!r:.40}, expected an integer such as {API_VERSION}"
    if declared > API_VERSION:
        offered = f"this merpo offers {API_VERSION}"
        return f"{DECLARATION} is {declared}, {offered}: upgrade merpo, or use an older {distribution}"
    if declared < OLDEST_API_VERSION:
        oldest = f"this merpo takes {OLDEST_API_VERSION} to {API_VERSION}"
        return f"{DECLARATION} is {declared}, {oldest}: upgrade {distribution}, or use an older merpo"
    return ""
