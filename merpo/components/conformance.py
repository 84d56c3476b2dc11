"""Checks of a plugin's classes against the interfaces they implement; the registry lists failures as broken."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

from pydantic import ValidationError

from merpo.components.component import Component, from_table, kinds
from merpo.components.describe import one_line, shown

__all__ = ["defaults_problem", "interface_problem", "summary"]

EXPECTED = "expected a class of a kind of component"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def summary(cls: type[Component]) -> str:
    """The first line of a class's own docstring."""
    lines = inspect.cleandoc(cls.__dict__.get("__doc__") or "").splitlines()
    return lines[0].strip() if lines else ""


def interface_problem(cls: Any) -> str:
    """What is wrong with the interface of an offered class, or an empty string. The class is not instantiated."""
    if not isinstance(cls, type) or not issubclass(cls, Component):
        return f"merpo_components() offered {shown(cls):.80}, {EXPECTED}"
    own = [kind for kind in kinds().values() if issubclass(cls, kind)]
    if len(own) != 1:
        found = " and ".join(kind.__name__ for kind in own) or "none"
        choices = ", ".join(kind.__name__ for kind in kinds().values())
        return f"{cls.__name__} implements {found}, expected exactly one of {choices}"
    name = cls.name
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"{cls.__name__}.name is {shown(name):.80}, expected lower-case letters, digits and hyphens"
    if not summary(cls):
        return f"{cls.__name__} has no docstring; its first line is the summary"
    if cls.__abstractmethods__:
        return f"{cls.__name__} does not implement {', '.join(sorted(cls.__abstractmethods__))}"
    return _method_problem(cls, own[0]) or _field_problem(cls)


@functools.cache
def defaults_problem(cls: type[Component]) -> str:
    """Why a component cannot be built from its defaults and read back from its dump, or an empty string."""
    try:
        built = cls()
        same = bool(from_table(cls, built.model_dump()) == built)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{cls.__name__} cannot be built from its defaults: {f'{place}: ' if place else ''}{first['msg']}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a plugin's constructor raises, SystemExit too
        return f"{cls.__name__} cannot be built from its defaults: {one_line(error):.240}"
    return "" if same else f"{cls.__name__} reads its own fields back as other values"


def _method_problem(cls: type[Component], kind: type[Component]) -> str:
    """A method that cannot be called with the arguments of the interface, optional methods included."""
    own = (name for name, value in vars(kind).items() if inspect.isfunction(value) and not name.startswith("_"))
    for name in sorted(own):
        expected = list(inspect.signature(getattr(kind, name)).parameters)
        method = getattr(cls, name)
        try:
            inspect.signature(method).bind(*expected)
        except (TypeError, ValueError):
            return f"{cls.__name__}.{name} cannot be called as {name}({', '.join(expected)})"
    return ""


def _field_problem(cls: type[Component]) -> str:
    """A field without a description or a default."""
    for name, field in cls.model_fields.items():
        if not (field.description or "").strip():
            return f"{cls.__name__}.{name} has no description"
        if field.is_required():
            return f"{cls.__name__}.{name} has no default"
    return ""
