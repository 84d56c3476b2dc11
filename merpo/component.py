"""What every component is: a frozen, strict pydantic model that a recipe names."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

__all__ = ["Component", "component_field", "dump_component"]


class Component(BaseModel, ABC):
    """Anything that a recipe can name: frozen, strict, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """A field typed as a kind takes `{component = "name", ...}`, one typed as a component its own fields."""
        if cls.name:
            return handler(source)

        def validate(value: Any) -> Component:
            from merpo.registry import resolve  # the registry knows the interfaces, not the other way round

            return value if isinstance(value, cls) else resolve(cls, value)

        def dump(value: Component) -> dict[str, Any]:
            return dump_component(value)

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(dump, when_used="always"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if cls.name:
            return handler(schema)
        from merpo.schema import kind_schema

        return kind_schema(cls)


def dump_component(component: Component) -> dict[str, Any]:
    """`{"component": name, **fields}`, the form a recipe has; nested components likewise."""
    return {"component": component.name, **component.model_dump()}


def component_field(name: str, *, description: str, **settings: object) -> Any:
    """A field that holds a component, by default the one called `name` with these `settings`."""
    return Field(default={"component": name, **settings}, description=description)
