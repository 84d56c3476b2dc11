"""Conversion of pydantic's validation errors to a `RecipeError`: a line per problem with key, got and expected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from merpo.components.component import Component
from merpo.components.describe import article, nested_model, type_text, value_text
from merpo.errors import MerpoError, RecipeError, nearest
from merpo.support.terminal import printable

__all__ = ["MAX_PROBLEMS", "concrete", "recipe_error"]

MAX_PROBLEMS = 20

_COMPARISONS = {
    "greater_than_equal": ">= {ge}",
    "greater_than": "> {gt}",
    "less_than_equal": "<= {le}",
    "less_than": "< {lt}",
}
_EXPECTED = {
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "an integer",
    "model_type": "a section",
    "string_type": "text in quotes",
    "tuple_type": "a list",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_pattern_mismatch": "text like {pattern}",
    "literal_error": "{expected}",
}


def recipe_error(error: ValidationError, place: str, root: type[BaseModel], tables: Mapping[str, Any]) -> RecipeError:
    """One `RecipeError` with a line per problem, at most `MAX_PROBLEMS`."""
    problems = _without_followers(error.errors(include_url=False))
    lines = [printable(f"{place}: {_line(problem, root, tables)}") for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"{place}: and {len(problems) - MAX_PROBLEMS} more problems")
    return RecipeError("\n".join(lines))


def _without_followers(problems: Sequence[Any]) -> list[Any]:
    """Problems without those of a list that is too short only because its items have problems."""
    places = [tuple(problem["loc"]) for problem in problems]
    return [
        problem
        for problem, place in zip(problems, places, strict=True)
        if problem["type"] != "too_short"
        or not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]


def concrete(model: type[BaseModel], value: Any) -> type[BaseModel] | None:
    """The model that validates `value`: for a component kind the named component, or None if `value` names none."""
    if not issubclass(model, Component) or model.name:
        return model
    from merpo.components.registry import get

    name = value if isinstance(value, str) else value.get("component") if isinstance(value, Mapping) else None
    try:
        return get(model.kind, name) if isinstance(name, str) else None
    except MerpoError:
        return None


def _line(problem: Any, root: type[BaseModel], tables: Mapping[str, Any]) -> str:
    """One problem as text: `method.alpha.initial: got 7, expected a number <= 1`."""
    keys = _keys(problem["loc"], root, tables)
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key[:60]}" for key in keys).lstrip(".")
    return f"{path}: {_reason(problem, keys, root, tables)}" if path else _reason(problem, keys, root, tables)


def _keys(location: Sequence[int | str], root: type[BaseModel], tables: Mapping[str, Any]) -> list[int | str]:
    """A pydantic location without union tags, which are not keys of the recipe."""
    keys: list[int | str] = []
    value: Any = tables
    for key in location:
        if isinstance(key, str):
            model = _model_at(keys, root, tables)
            if not (isinstance(value, Mapping) and key in value) and not (model and key in model.model_fields):
                continue
            value = value.get(key) if isinstance(value, Mapping) else None
        else:
            value = value[key] if isinstance(value, list | tuple) and key < len(value) else None
        keys.append(key)
    return keys


def _reason(problem: Any, keys: Sequence[int | str], root: type[BaseModel], tables: Mapping[str, Any]) -> str:
    code, context = problem["type"], problem.get("ctx", {})
    if code in ("component", "value_error"):
        return str(context["problem" if code == "component" else "error"])
    if code == "extra_forbidden":
        return _unknown_key(str(keys[-1]), _model_at(keys[:-1], root, tables))
    field = _field_at(keys, root, tables)
    if code == "missing":
        expected = article(type_text(field.annotation)) if field else "a value"
        return f"missing, expected {expected}{f': {field.description}' if field and field.description else ''}"
    got = f"got {value_text(problem['input'])}"
    if code in _COMPARISONS:
        noun = "an integer" if isinstance(problem["input"], int) and _is_integer(field) else "a number"
        bound = {key: f"{value:g}" if isinstance(value, float) else value for key, value in context.items()}
        return f"{got}, expected {noun} {_COMPARISONS[code].format(**bound)}"
    if code in _EXPECTED:
        hint = _nearest_literal(problem["input"], str(context.get("expected", "")))
        return f"{got}, expected {_EXPECTED[code].format(**context)}{hint}"
    return f"{got}, expected: {problem['msg']}"


def _unknown_key(key: str, model: type[BaseModel] | None) -> str:
    if model is None:
        return "unknown key"
    valid = [*(["component"] if issubclass(model, Component) else []), *model.model_fields]
    return f"unknown key{nearest(key[:60], valid)}; keys here: {', '.join(valid) or 'none'}"


def _nearest_literal(value: Any, expected: str) -> str:
    return nearest(value[:60], re.findall(r"'([^']*)'", expected)) if isinstance(value, str) else ""


def _is_integer(field: FieldInfo | None) -> bool:
    return field is not None and "number" not in type_text(field.annotation)


def _field_at(keys: Sequence[int | str], root: type[BaseModel], tables: Mapping[str, Any]) -> FieldInfo | None:
    names = [i for i, key in enumerate(keys) if isinstance(key, str)]
    if not names:
        return None
    model = _model_at(keys[: names[-1]], root, tables)
    return model.model_fields.get(str(keys[names[-1]])) if model else None


def _model_at(keys: Sequence[int | str], root: type[BaseModel], tables: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model of the section at `keys`; components are those named in the tables, else the defaults."""
    model: type[BaseModel] | None = root
    value: Any = tables
    for key in keys:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list | tuple) and key < len(value) else None
            continue
        field = model.model_fields.get(key) if model else None
        held = nested_model(field.annotation) if field else None
        if field is None or held is None:
            return None
        value = value.get(key, field.default) if isinstance(value, Mapping) else field.default
        model = concrete(held, value)
    return model
