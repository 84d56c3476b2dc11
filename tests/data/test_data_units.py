"""merpo.data.data_units: the bounds that a dataset's actions had, wherever its import recorded them."""

from __future__ import annotations

from typing import Any

import pytest

from merpo.data.data_units import DataUnits, data_units
from merpo.data.manifest import Manifest
from merpo.errors import DatasetError


def manifest(settings: dict[str, Any]) -> Manifest:
    """A manifest of a dataset with two actions; only its settings matter."""
    return Manifest.model_construct(action_dim=2, settings=settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, DataUnits((-1.0, -1.0), (1.0, 1.0))),
        ({"steps": 5}, DataUnits((-1.0, -1.0), (1.0, 1.0))),
        ({"action_low": [0, -5], "action_high": [100, 5.5]}, DataUnits((0.0, -5.0), (100.0, 5.5))),
        ({"action_low": 0.0, "action_high": 2.0}, DataUnits((0.0, 0.0), (2.0, 2.0))),
        ({"columns": {"action_low": None, "action_high": None}}, DataUnits((-1.0, -1.0), (1.0, 1.0))),
        (
            {"columns": {"action_low": [0.0, 1.0], "action_high": [2.0, 3.0], "observations": ["a", "b"],
                         "actions": ["c"]}},
            DataUnits((0.0, 1.0), (2.0, 3.0), ("a", "b"), ("c",)),
        ),
        ({"observations": ["x"], "columns": []}, DataUnits((-1.0, -1.0), (1.0, 1.0))),
    ],
)  # fmt: skip
def test_the_bounds_of_an_import(settings: dict[str, Any], expected: DataUnits) -> None:
    assert data_units(manifest(settings)) == expected


@pytest.mark.parametrize(
    "low", ["x", [0.0], [0.0, None], [0.0] * 3, [0.0, float("nan")], [0.0, 1e31], {}, [[0.0, 0.0]]]
)
def test_odd_bounds_are_refused(low: Any) -> None:
    if low == [0.0]:  # one for all dimensions
        assert data_units(manifest({"action_low": low, "action_high": [1.0, 1.0]})).action_low == (0.0, 0.0)
        return
    with pytest.raises(DatasetError, match=r"settings\.action_low is .*, expected 2 numbers"):
        data_units(manifest({"action_low": low, "action_high": [1.0, 1.0]}))
