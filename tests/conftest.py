"""What every test shares: one thread, a data store of its own, and plugins that are installed for one test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from command import Answer, call_merpo
from hypothesis import settings
from tiny import write_tiny
from wheels import build_wheel, unpack

from merpo.components import registry
from merpo.components.plugins import API_VERSION

torch.set_num_threads(1)
settings.register_profile("merpo", deadline=None, print_blob=True)  # deadlines fail on a busy machine
settings.load_profile("merpo")


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's datasets, nor depends on the user's switches."""
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "merpo-data"))
    monkeypatch.delenv("MERPO_LOAD_PLUGINS", raising=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for a module's tests: the first that needs a dataset collects it."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def merpo_cli(
    request: pytest.FixtureRequest,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., Answer]:
    """`merpo_cli(*arguments)` in a folder with tiny.toml, changed by the module's `RECIPE` if it has one."""
    monkeypatch.setenv("MERPO_DATA", str(store))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    write_tiny(Path("tiny.toml"), getattr(request.module, "RECIPE", None))
    return lambda *arguments: call_merpo(monkeypatch, capfd, *arguments)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """`install(distribution, modules, ...)` puts a wheel of these modules on the path; only such plugins load."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before, installed = set(sys.modules), []

    def install(distribution: str, modules: dict[str, str], **metadata: str) -> Path:
        current = f"\n\nMERPO_API = {API_VERSION}\n"
        modules = {name: text if "MERPO_API" in text else text + current for name, text in modules.items()}
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
