"""Broken components for tests of `check_component`: built-ins with some methods replaced."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from small import METHOD, make

from merpo.components.interfaces import (
    AlphaScheduler,
    Component,
    Critic,
    DynamicsLearner,
    MetaLearner,
    Method,
    PolicyRegularizer,
    TaskFamily,
)

SMALL = {
    "alpha": ("alpha", "adaptive", AlphaScheduler, {}),
    "critic": ("critic", "conservative", Critic, {"hidden": (8,)}),
    "dynamics": ("dynamics", "ensemble", DynamicsLearner, {"members": 3, "elites": 2, "hidden": (8,)}),
    "meta_learner": ("meta_learner", "proximal", MetaLearner, {}),
    "method": ("method", "merpo", Method, METHOD),
    "regularizer": ("regularizer", "kl", PolicyRegularizer, {}),
    "tasks": ("tasks", "point-robot-wind", TaskFamily, {"horizon": 5}),
}


def delegate(kind: str, name: str, base: type[Component], fields: dict[str, Any], **broken: Any) -> type[Component]:
    """A component that delegates to a built-in, except for the methods in `broken`, called with the original first."""
    good = make(kind, name, **fields)

    def method(key: str) -> Any:
        bad = broken.get(key)
        inner = getattr(good, key)
        if bad is None:
            return lambda self, *args: inner(*args)
        return lambda self, *args: bad(inner, *args)

    body: dict[str, Any] = {key: method(key) for key in {*base.__abstractmethods__, *broken}}
    body |= {"__doc__": "Broken on purpose.", "name": "broken", "__module__": __name__}
    values = {key: getattr(good, key) for key in ("initial", "horizon", "inner_lr", "outer_lr") if hasattr(good, key)}
    body |= {key: Field(value, description="As in the built-in.") for key, value in values.items()}
    body["__annotations__"] = {key: type(value) for key, value in values.items()}
    for key in ("inner_optimizer", "outer_optimizer"):
        if hasattr(good, key):
            body[key] = getattr(good, key)
            body["__annotations__"][key] = ClassVar[str]
    return type("Broken", (base,), body)
