"""Finished and interrupted runs of the tiny recipe; finished ones are shared by a module's tests, which only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_recipe

from merpo.algorithm import meta_policy
from merpo.run.run import run_recipe


def finished_run(store: Path, path: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Run the tiny recipe with `changes`; returns the run's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        return run_recipe(tiny_recipe(changes), path, [0], None, True)


@contextmanager
def interrupted_meta_policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Context in which runs are interrupted at the second meta-policy step; yields a monkeypatch that ends with it."""
    step, calls = meta_policy.meta_q_step_, []

    def interrupt(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(meta_policy, "meta_q_step_", interrupt)
        yield patch
