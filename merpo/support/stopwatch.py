"""Stopwatch for nested stages: time counts for the innermost one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

__all__ = ["Stopwatch"]


@final
class Stopwatch:
    """Seconds by stage; `changing` is called whenever the innermost stage is about to change."""

    def __init__(self, changing: Callable[[], None] = lambda: None) -> None:
        self.seconds: dict[str, float] = {}
        self._changing = changing
        self._open: list[str] = []
        self._since = time.perf_counter()

    @property
    def current(self) -> str | None:
        """The innermost stage."""
        return self._open[-1] if self._open else None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block for `name`, except that of stages within it."""
        self._change()
        self._open.append(name)
        try:
            yield
        finally:
            self._change()
            self._open.pop()

    def read(self) -> dict[str, float]:
        """Seconds of every stage so far."""
        self._book()
        return dict(self.seconds)

    def _change(self) -> None:
        self._changing()
        self._book()

    def _book(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now
