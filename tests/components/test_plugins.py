"""The handshake between a plugin and this merpo, and the versions that manifests record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import tiny_recipe
from wheels import TOYS

import merpo
from merpo.artifacts.run_folder import RunFolder
from merpo.artifacts.versions import plugin_versions, versions
from merpo.components import registry
from merpo.components.plugins import API_VERSION, OLDEST_API_VERSION, api_problem
from merpo.data.dataset import TaskDataset
from merpo.data.store import read_dataset, write_dataset

Install = Callable[..., Path]


class Module:
    """Stands for a plugin's module."""

    def __init__(self, declared: object) -> None:
        self.MERPO_API = declared


@pytest.mark.parametrize("declared", range(OLDEST_API_VERSION, API_VERSION + 1))
def test_a_version_between_the_oldest_and_this_one_fits(declared: int) -> None:
    assert api_problem(Module(declared), "merpo-toys") == ""


def test_a_plugin_that_says_nothing_was_written_for_the_first_version() -> None:
    assert api_problem(object(), "merpo-toys") == api_problem(Module(1), "merpo-toys")


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (API_VERSION + 1, "upgrade merpo, or use an older merpo-toys"),
        (OLDEST_API_VERSION - 1, "upgrade merpo-toys, or use an older merpo"),
        ("1", "MERPO_API is '1', expected an integer"),
        (True, "MERPO_API is True, expected an integer"),
        (None, "MERPO_API is None, expected an integer"),
    ],
)
def test_another_version_is_refused_with_what_to_do(declared: object, says: str) -> None:
    assert says in api_problem(Module(declared), "merpo-toys")


def test_a_plugin_for_a_later_merpo_is_listed_with_the_reason_and_the_others_work(install: Install) -> None:
    install("merpo-toys", {"toys_now": f"{TOYS}\nMERPO_API = {merpo.API_VERSION}\n"})
    install("merpo-later", {"toys_later": f"MERPO_API = {merpo.API_VERSION + 1}\nraise_nothing = True\n"})
    (row,) = [entry for entry in registry.components() if entry.distribution == "merpo-later"]
    assert row.status == "broken"
    assert f"MERPO_API is {merpo.API_VERSION + 1}, this merpo offers {merpo.API_VERSION}" in row.reason
    assert "even" in registry.names("alpha")


def test_merpos_own_plugins_declare_the_version() -> None:
    import importlib.metadata

    points = importlib.metadata.distribution("merpo").entry_points.select(group="merpo")
    assert {point.name: point.load().MERPO_API for point in points} == {point.name: API_VERSION for point in points}


def test_versions_name_the_plugins_that_loaded_and_no_other(install: Install) -> None:
    install("merpo-toys", {"toys_versions": TOYS}, version="0.3")
    install("merpo-broken", {"toys_broken": "import no_such_module_anywhere"})
    assert plugin_versions() == {"merpo-toys": "0.3"}
    assert versions()["merpo-toys"] == "0.3"
    assert versions()["merpo"] == merpo.__version__


def test_a_dataset_records_the_plugins(install: Install, tmp_path: Path, tiny_dataset: TaskDataset) -> None:
    install("merpo-toys", {"toys_data": TOYS}, version="0.3")
    written = write_dataset(
        tmp_path, "x", tiny_dataset, family="line", family_settings={}, task_index=0, quality="medium", step=1,
        return_mean=0.0, return_std=0.0, seed=0, settings={},
    )  # fmt: skip
    assert written.versions["merpo-toys"] == "0.3"
    assert read_dataset(tmp_path, "x")[1].versions == written.versions


def test_a_run_and_its_artifacts_record_the_plugins(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    import torch

    from merpo.artifacts.artifact import load_artifact

    recipe = tiny_recipe()
    install("merpo-toys", {"toys_run": TOYS}, version="0.3")
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", "merpo,merpo-toys")
    registry.refresh()
    folder = RunFolder(tmp_path / "run", recipe, 0, {}, print)
    folder.save("stage", {"policy": {"w0": torch.ones(1)}})
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    _, header = load_artifact(folder.artifact("stage"))
    assert manifest["versions"]["merpo-toys"] == "0.3"
    assert json.loads(header["versions"])["merpo-toys"] == "0.3"
