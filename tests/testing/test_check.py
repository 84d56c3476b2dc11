"""merpo.testing.check: every component keeps the laws of its kind, and components broken on purpose are caught."""

from __future__ import annotations

from typing import Any

import pytest
from small import METHOD, RAC_SETTINGS, SINGLE, small_fields

from merpo.components import registry
from merpo.testing import check_component

FOUND = registry.components()
BEHAVIOR_ONLY = {"component": "fixed", "initial": 1.0}
UNREGULARIZED = {"lambda_initial": 0.0, "lambda_tune": False}


@pytest.mark.parametrize("entry", FOUND, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_every_component_keeps_its_laws(entry: registry.Entry) -> None:
    assert entry.cls is not None, entry.reason
    check_component(entry.cls, **small_fields(entry.kind, entry.name))


@pytest.mark.parametrize(
    ("kind", "name", "fields"),
    [
        ("critic", "conservative", {"hidden": (8,), "penalty": "logsumexp", "proposals": 3}),
        ("critic", "conservative", {"hidden": (8,), "critics": 1, "output_scale": 10.0}),
        ("dynamics", "ensemble", {"members": 3, "elites": 2, "hidden": (8,), "termination": "learned"}),
        ("dynamics", "ensemble", {"members": 1, "elites": 1, "hidden": (8,)}),
        ("meta_learner", "maml", {"order": "second"}),
        ("alpha", "fixed", {"initial": 0.0}),
        ("tasks", "point-robot-wind", {"goal": "semicircle", "horizon": 7}),
        ("method", "merpo", {**METHOD, "alpha": "fixed", "regularizer": "tv", "meta_learner": "maml"}),
        ("method", "merpo", {**METHOD, "rac": {**METHOD["rac"], "use_model": False}}),
        ("method", "merpo", {**METHOD, "meta_policy": {"iterations": 2, "task_networks": "from-meta"}}),
        ("method", "merpo", {**METHOD, "adaptation": {"steps": 2, "init_policy": False, "init_critic": False}}),
        ("method", "single", {**SINGLE, "meta_policy": {"source": "none"}, "rac": {**RAC_SETTINGS, **UNREGULARIZED}}),
        (
            "method",
            "single",
            {**SINGLE, "meta_policy": {"source": "none"}, "alpha": {"component": "fixed", "initial": 1.0}},
        ),
        ("method", "single", {**SINGLE, "rac": {**RAC_SETTINGS, "use_model": False}}),
        ("method", "single", {**SINGLE, "rac": {**RAC_SETTINGS, "reward_penalty": 1.0, "beta_initial": 0.0}}),
    ],
)
def test_other_settings_keep_the_laws(kind: str, name: str, fields: dict[str, Any]) -> None:
    check_component(registry.get(kind, name), **fields)


def test_every_kind_has_a_component() -> None:
    assert {entry.kind for entry in FOUND} == {
        "alpha", "critic", "dynamics", "meta_learner", "method", "regularizer", "tasks",
    }  # fmt: skip
