"""Seconds of stages: those of an inner stage are its own."""

from __future__ import annotations

import time

import pytest
import torch

from merpo.stopwatch import Stopwatch, timed
from merpo.types import Params


def test_time_belongs_to_the_innermost_stage() -> None:
    changes: list[str | None] = []
    watch = Stopwatch(lambda: changes.append(watch.current))
    with watch.stage("outer"):
        time.sleep(0.05)
        with pytest.raises(KeyboardInterrupt), watch.stage("inner"):
            time.sleep(0.1)
            raise KeyboardInterrupt
        time.sleep(0.05)
    time.sleep(0.2)  # nobody's
    seconds = watch.read()
    assert list(seconds) == ["outer", "inner"]
    assert 0.1 <= seconds["outer"] < 0.15
    assert 0.1 <= seconds["inner"] < 0.15
    assert changes == [None, "outer", "inner", "outer"]
    assert watch.current is None


def test_only_what_is_computed_is_timed() -> None:
    saved: dict[str, dict[str, Params]] = {"old": {"x": {}}}

    def run_stage(name: str, compute: object) -> dict[str, Params]:
        return saved[name] if name in saved else compute()  # type: ignore[operator, no-any-return]

    watch = Stopwatch()
    stage = timed(run_stage, watch)
    assert stage("old", dict) == {"x": {}}
    assert stage("new", lambda: {"y": {"w": torch.ones(1)}})["y"]["w"].item() == 1.0
    assert set(watch.read()) == {"new"}
