"""`merpo` called in this process, as tests of the command line need it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from merpo.cli import app as cli


@dataclass
class Answer:
    """What one call of `merpo` gave."""

    code: int
    out: str
    err: str


def call_merpo(monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[Any], *arguments: str) -> Answer:
    """`merpo *arguments`: its exit code and what it printed; a traceback is always a failure."""
    monkeypatch.setattr(sys, "argv", ["merpo", *arguments])
    captured.readouterr()
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    printed = captured.readouterr()
    if "--debug" not in arguments:
        assert "Traceback" not in printed.err + printed.out
    return Answer(code, printed.out, printed.err)
