"""A finished run of the tiny recipe, made once for a module's tests, which only read it."""

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
    """The folder of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        return run_recipe(tiny_recipe(changes), path, [0], None, True)


@contextmanager
def interrupted_meta_policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Runs within are interrupted at the second step of the meta-policy; what is patched here lasts as long."""
    step, calls = meta_policy.meta_q_step_, []

    def interrupt(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(meta_policy, "meta_q_step_", interrupt)
        yield patch
