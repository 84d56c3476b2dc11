"""JSON schemas of recipe sections for components, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from merpo.components.component import Component
from merpo.components.conformance import summary
from merpo.components.registry import components

__all__ = ["kind_schema"]

# Kinds whose schema is being generated, to end the recursion of a component with a field of its own kind.
_open_kinds: ContextVar[tuple[str, ...]] = ContextVar("open_kinds", default=())


def kind_schema(kind: type[Component]) -> dict[str, Any]:
    """The JSON schema of a section for a component of `kind`: any installed one, by name or with its fields."""
    if kind.kind in _open_kinds.get():
        return {"type": "object", "required": ["component"]}
    token = _open_kinds.set((*_open_kinds.get(), kind.kind))
    try:
        usable = [entry for entry in components(kind.kind) if entry.status == "ok" and entry.cls is not None]
        sections = [_component_schema(entry.cls) for entry in usable if entry.cls is not None]
    finally:
        _open_kinds.reset(token)
    return {"oneOf": [{"type": "string", "enum": [entry.name for entry in usable]}, *sections]}


def _component_schema(cls: type[Component]) -> dict[str, Any]:
    written = cls.model_json_schema()
    schema: dict[str, Any] = _inlined(written, written.pop("$defs", {}))
    component = {"const": cls.name, "description": summary(cls)}
    schema["properties"] = {"component": component, **schema.get("properties", {})}
    schema["required"] = ["component", *schema.get("required", [])]
    return schema


def _inlined(schema: Any, definitions: Mapping[str, Any], depth: int = 8) -> Any:
    """A schema with its local references inlined, so that it can be nested in another."""
    if isinstance(schema, list):
        return [_inlined(item, definitions, depth) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = str(schema.get("$ref", ""))
    if reference.startswith("#/$defs/"):
        if depth == 0:  # a recursive model
            return {}
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _inlined({**definitions[reference.removeprefix("#/$defs/")], **rest}, definitions, depth - 1)
    return {key: _inlined(value, definitions, depth) for key, value in schema.items()}
