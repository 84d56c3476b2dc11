"""Seconds of stages: those of an inner stage are its own."""

from __future__ import annotations

import pytest

from merpo.support.stopwatch import Stopwatch


def test_time_belongs_to_the_innermost_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("time.perf_counter", lambda: now)
    changes: list[str | None] = []
    watch = Stopwatch(lambda: changes.append(watch.current))
    with watch.stage("outer"):
        wait(1.0)
        with pytest.raises(KeyboardInterrupt), watch.stage("inner"):
            wait(4.0)
            raise KeyboardInterrupt
        wait(2.0)
    wait(8.0)  # nobody's
    assert watch.read() == {"outer": 3.0, "inner": 4.0}
    assert changes == [None, "outer", "inner", "outer"]
    assert watch.current is None
