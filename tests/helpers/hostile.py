"""Odd names and numbers for the headers of files, and headers of policies that have them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["DIGITS", "NAMES", "tasks"]

NAMES = (
    "../../x", "/tmp/x", "..", ".", "", "a/b/c", "a//b", "/", "a\0b", "a\nb", "\x1b[31m", "<script>", "a|b", "x" * 200,
    "C:\\x", "a b", "\u202egnp",
)  # fmt: skip
DIGITS = (
    "9" * 5000,
    "٣",
    "²",
    "２",
    "-2",
    "+2",
    "2.0",
    "2e0",
    " 2",
    "2 ",
    "2_0",
    "0x2",
    "",
    "0",
    "1000001",
    "nan",
    "None",
)


def tasks(**changes: Any) -> str:
    """The header entry with the task of a policy."""
    return json.dumps([{"name": "x", "index": 0, "params": {}, **changes}])
