"""What a recipe requires of the installation, as pip writes it: `merpo-foo>=0.2`. Checked, never installed."""

from __future__ import annotations

import importlib.metadata

__all__ = ["requirement_problem"]


def requirement_problem(text: str) -> str:
    """Why the installed distributions do not meet a requirement, or an empty string."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"{text[:80]!r} is not a requirement, expected one such as 'merpo-foo>=0.2'"
    if requirement.url or requirement.extras:
        return f"{text[:80]!r} has a URL or extras, expected a name and versions such as 'merpo-foo>=0.2'"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return ""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed, expected {text[:80]!r}"
    try:
        met = requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        met = False
    return "" if met else f"{requirement.name} {version} is installed, expected {text[:80]!r}"
