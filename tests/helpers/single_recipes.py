"""The method section of a tiny recipe with the method `single`."""

from __future__ import annotations

from tiny import TINY

__all__ = ["TINY_SINGLE"]

TINY_SINGLE = {
    "component": "single", "steps": 3, "model": {"steps": 2, "batch_size": 16},
    **{key: TINY["method"][key] for key in ("dynamics", "critic", "behavior", "rac")},
}  # fmt: skip
