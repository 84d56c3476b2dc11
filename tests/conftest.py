"""What every test shares: one thread, a data store of its own, and plugins that are installed for one test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from wheels import build_wheel, unpack

from merpo import registry

torch.set_num_threads(1)
settings.register_profile("merpo", deadline=None, print_blob=True)  # deadlines fail on a busy machine
settings.load_profile("merpo")


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's datasets, nor depends on the user's switches."""
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "merpo-data"))
    monkeypatch.delenv("MERPO_LOAD_PLUGINS", raising=False)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """`install(distribution, modules, ...)` puts a wheel of these modules on the path; only such plugins load."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before, installed = set(sys.modules), []

    def install(distribution: str, modules: dict[str, str], **metadata: str) -> Path:
        unpack(build_wheel(tmp_path, distribution, modules, **metadata), site)
        installed.append(distribution)
        monkeypatch.setenv("MERPO_LOAD_PLUGINS", ",".join(installed))
        registry.refresh()
        return site

    yield install
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
            del sys.modules[name]
    registry.refresh()
