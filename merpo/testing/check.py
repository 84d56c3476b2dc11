"""`check_component`: the conformance test of a component, for built-ins and plugins alike."""

from __future__ import annotations

import json
import math
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from merpo.components.component import Component, dump_component, kind_of
from merpo.components.conformance import interface_problem
from merpo.errors import MerpoError
from merpo.testing.laws import require
from merpo.testing.model_laws import check_dynamics, check_meta_learner
from merpo.testing.policy_laws import check_alpha, check_critic, check_regularizer
from merpo.testing.run_laws import check_method, check_tasks

__all__ = ["check_component"]

_CHECKS: dict[str, Callable[[Any], None]] = {
    "alpha": check_alpha,
    "critic": check_critic,
    "dynamics": check_dynamics,
    "meta_learner": check_meta_learner,
    "method": check_method,
    "regularizer": check_regularizer,
    "tasks": check_tasks,
}

_WRONG: dict[type, tuple[object, ...]] = {  # invalid values of a strict field of this type
    bool: (1, 0.0, "true"),
    int: (True, "10", 1.5, math.nan, math.inf),
    float: (True, "10", math.nan, math.inf, -math.inf),
    str: (7, True),
    tuple: ("abc", 7, (object(),)),
}


def check_component(cls: type[Component], **settings: Any) -> None:
    """Check that a component can be built and serialised, rejects invalid fields and obeys every law of its kind.

    The laws: correct shapes, finite numbers, determinism, equal results for several tasks together and each alone, no
    change to arguments or global random states. `settings` are fields such as a small `hidden`, for speed.

    Raises `AssertionError` with the broken law and the method.
    """
    problem = interface_problem(cls)
    require(not problem, getattr(cls, "__name__", repr(cls)), problem)
    component = _build(cls, settings)
    _check_frozen(component)
    _check_round_trip(component)
    _check_bad_fields(cls.__name__, component, lambda fields: _from_table(cls, fields))
    kind = kind_of(cls)
    if kind is not None:  # never None: the interface was checked above
        _CHECKS[kind.kind](component)


def _from_table(cls: type[Component], fields: Mapping[str, Any]) -> Component:
    from merpo.components.component import from_table

    return from_table(cls, fields)


def _build(cls: type[Component], settings: Mapping[str, Any]) -> Component:
    for fields in ({}, settings):
        try:
            component = _from_table(cls, fields)
        except Exception as error:  # a plugin's validators may raise anything
            given = dict(fields) or "its defaults"
            raise AssertionError(f"{cls.__name__}: cannot be built from {given}: {error}") from error
    return component


def _check_frozen(component: Component) -> None:
    name = type(component).__name__
    for key in type(component).model_fields:
        try:
            setattr(component, key, getattr(component, key))
        except ValidationError:
            continue
        raise AssertionError(f"{name}.{key}: can be assigned to, expected a frozen model")


def _check_round_trip(component: Component) -> None:
    """Check that the component equals itself after a round trip through JSON, TOML and, if registered, the registry."""
    import tomli_w

    from merpo.components.registry import components, resolve

    cls, kind = type(component), kind_of(type(component))
    table = dump_component(component)
    require(table.get("component") == cls.name, cls.__name__, f"its dict names {table.get('component')!r:.80}")
    try:
        plain = _plain(table)
        forms = {"JSON": json.loads(json.dumps(plain, allow_nan=False)), "TOML": tomllib.loads(tomli_w.dumps(plain))}
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{cls.__name__}: its fields cannot be written as JSON and TOML: {error}") from error
    for form, read in forms.items():
        again = _from_table(cls, {key: value for key, value in read.items() if key != "component"})
        require(again == component, cls.__name__, f"read from {form} as {again!r:.200}, expected {component!r:.200}")
    if kind is not None and any(entry.cls is cls and entry.status == "ok" for entry in components(kind.kind)):
        found = resolve(kind, forms["TOML"])
        require(found == component, cls.__name__, f"built by the registry as {found!r:.200}")


def _check_bad_fields(place: str, model: BaseModel, build: Callable[[dict[str, Any]], object]) -> None:
    """Check that unknown keys and values of a wrong type are rejected, also in nested settings."""
    _require_rejection(place, "no_such_field", 1, build)
    for key, field in type(model).model_fields.items():
        for wrong in (object(), *_wrong_values(field.annotation)):
            _require_rejection(place, key, wrong, build)
        value = getattr(model, key)
        if isinstance(value, BaseModel) and not isinstance(value, Component):

            def build_nested(fields: dict[str, Any], key: str = key) -> object:
                return build({key: fields})

            _check_bad_fields(f"{place}.{key}", value, build_nested)
        elif isinstance(value, BaseModel):
            _require_rejection(place, key, {"component": "no-such-component"}, build)


def _require_rejection(place: str, key: str, wrong: object, build: Callable[[dict[str, Any]], object]) -> None:
    law = f"{place}: {key} = {wrong!r:.60}"
    try:
        build({key: wrong})
    except (ValidationError, MerpoError):
        return
    except Exception as error:
        raise AssertionError(f"{law} raised {type(error).__name__}, expected pydantic's ValidationError") from error
    raise AssertionError(f"{law} is accepted, expected it to be rejected")


def _wrong_values(annotation: Any) -> Iterator[object]:
    """Values that are invalid for every member of an annotation."""
    origin = get_origin(annotation)
    if origin is Literal:
        yield from ("no-such-choice", 7.5)
        return
    parts = [part for part in get_args(annotation) if part is not type(None)]
    members = parts if origin in (Union, types.UnionType) else [annotation]
    held = {get_origin(member) or member for member in members}
    for member in held:
        if len(held) == 1 and isinstance(member, type):
            yield from _WRONG.get(member, (7, True) if issubclass(member, BaseModel) else ())


def _plain(value: Any) -> Any:
    """A value in types of JSON and TOML: None is left out, tuples become lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
