"""Conformance tests of components: `check_component`."""

from __future__ import annotations

from merpo.testing.check import check_component

__all__ = ["check_component"]
