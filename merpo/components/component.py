"""The base class of components: frozen, strict pydantic models that a recipe refers to by name."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Component",
    "HiddenWidths",
    "Settings",
    "component_field",
    "dump_component",
    "from_table",
    "kind_of",
    "kinds",
    "tuples",
]

WIDEST, DEEPEST = 8192, 12  # of a network: more is a slip of the pen, and fills any memory

# A field of hidden widths, one per layer: `hidden: HiddenWidths = Field((64, 64), description="Hidden widths.")`.
HiddenWidths: TypeAlias = Annotated[
    tuple[Annotated[int, Field(ge=1, le=WIDEST)], ...], Field(strict=False, min_length=1, max_length=DEEPEST)
]


class Settings(BaseModel):
    """A frozen, strict group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)


class Component(Settings, ABC):
    """Base class of everything that a recipe refers to by name; unknown fields are refused."""

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""


def dump_component(component: Component) -> dict[str, Any]:
    """`{"component": name, **fields}`, the form of a recipe section; nested components likewise."""
    return {"component": component.name, **component.model_dump()}


def component_field(name: str, *, description: str, **settings: object) -> Any:
    """A pydantic field whose value is a component, by default the one called `name` with these `settings`."""
    return Field(default={"component": name, **settings}, description=description)


def from_table(cls: type[Component], fields: Mapping[str, Any]) -> Component:
    """A component from the fields of its recipe section."""
    return cls.model_validate(tuples(dict(fields)))


def tuples(value: Any) -> Any:
    """The value with TOML's arrays as tuples, which strict fields of frozen models require."""
    if isinstance(value, Mapping):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, list | tuple) else value


def kinds() -> dict[str, type[Component]]:
    """The kinds of component by name: the classes that declare `kind` and have no `name` of their own."""
    found: dict[str, type[Component]] = {}
    rest: list[type[Component]] = [Component]
    while rest:
        cls = rest.pop(0)
        rest += cls.__subclasses__()
        if vars(cls).get("kind") and not vars(cls).get("name"):
            found[cls.kind] = cls
    return found


def kind_of(cls: type[Component]) -> type[Component] | None:
    """The kind that a class implements, or None."""
    return next((base for base in cls.__mro__ if base in kinds().values()), None)
