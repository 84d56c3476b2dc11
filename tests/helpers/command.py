"""In-process calls of `merpo` for tests of the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from merpo.cli import app as cli


@dataclass
class Answer:
    """The exit code and the output of a call of `merpo`."""

    code: int
    out: str
    err: str


def call_merpo(monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[Any], *arguments: str) -> Answer:
    """The result of `merpo *arguments`; a traceback fails the test unless `--debug` is given."""
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
