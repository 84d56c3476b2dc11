"""Text for fields of components and recipes: type, bounds and default, for `merpo show` and error messages."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["article", "bounds_text", "nested_model", "one_line", "shown", "type_text", "value_text"]

_NAMES = {bool: "true or false", int: "integer", float: "number", str: "text", dict: "table", type(None): "nothing"}
_SYMBOLS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "a multiple of"}
_LENGTHS = {"min_length": "at least {} long", "max_length": "at most {} long"}


def type_text(annotation: Any) -> str:
    """The type of a field in a recipe's terms, such as `list of integer`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(arguments[0])
    if origin is Literal:
        return " | ".join(value_text(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(type_text(part) for part in arguments if part is not type(None))
    if origin in (tuple, list, typing.Sequence):
        inner = [type_text(part) for part in arguments if part is not Ellipsis]
        return f"list of {inner[0]}" if len(set(inner)) == 1 else f"list of ({', '.join(inner)})"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        kind = getattr(annotation, "kind", "")
        return f"{kind} component" if kind and not getattr(annotation, "name", "") else "section"
    return _NAMES.get(origin or annotation, getattr(annotation, "__name__", str(annotation)))


def bounds_text(field: FieldInfo) -> str:
    """The bounds of a field, such as `>= 0, <= 1`, those of a list's items after `each`; empty if there are none."""
    return ", ".join([*_bounds(field.metadata), *_annotated_bounds(field.annotation)])


def _annotated_bounds(annotation: Any) -> list[str]:
    """The bounds within a type: of the alternatives of a union, and of a list's items."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _bounds(arguments[1:]) + _annotated_bounds(arguments[0])
    if origin in (Union, types.UnionType):
        return [text for part in arguments for text in _annotated_bounds(part)]
    if origin in (tuple, list, typing.Sequence):
        return [f"each {text}" for part in arguments for text in _annotated_bounds(part)]
    return []


def value_text(value: Any) -> str:
    """A value in TOML notation, at most 60 characters."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "nothing"
    elif isinstance(value, str):
        text = repr(value[:60])
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{str(key)[:20]} = {value_text(item)}" for key, item in list(value.items())[:8]) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(value_text(item) for item in value[:16]) + (", ..." if len(value) > 16 else "") + "]"
    elif isinstance(value, int) and abs(value) >= 10**50:
        text = "an integer of more than 50 digits"
    else:
        text = shown(value, str)
    return text if len(text) <= 60 else text[:57] + "..."


def shown(value: object, text_of: Callable[[Any], str] = repr) -> str:
    """The text of an object of a plugin's; its type's name where the object itself raises."""
    try:
        return text_of(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever it raises
        return f"<{type(value).__name__}>"


def one_line(error: BaseException) -> str:
    """`Type: message` of an exception that a plugin raised, the first line of it."""
    text = shown(error, str).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def article(noun: str) -> str:
    """The noun with its indefinite article: `a number`, `an integer`."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model in a field's annotation, also inside a union or a list, or None."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for part in get_args(annotation) if (found := nested_model(part)) is not None), None)


def _bounds(metadata: Iterable[Any]) -> list[str]:
    texts: list[str] = []
    for item in metadata:
        if isinstance(item, FieldInfo):  # Annotated[int, Field(ge=1)]
            texts += _bounds(item.metadata)
            continue
        for key, symbol in _SYMBOLS.items():
            if (bound := getattr(item, key, None)) is not None:
                texts.append(f"{symbol} {bound:g}" if isinstance(bound, float) else f"{symbol} {bound}")
        for key, text in _LENGTHS.items():
            if (bound := getattr(item, key, None)) is not None:
                texts.append(text.format(bound))
        if getattr(item, "pattern", None):
            texts.append(f"like {item.pattern}")
    return texts
