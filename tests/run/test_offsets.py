"""Data from which other numbers were subtracted than from a run's is no data for its meta-policy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from logs import write_machines
from logs_recipes import logs_tables

from merpo import load_policy
from merpo.artifacts.finished_run import open_run
from merpo.artifacts.run_manifest import read_manifest, write_manifest
from merpo.data.import_any import import_any
from merpo.errors import DatasetError
from merpo.policies.export import export_policies
from merpo.recipe.recipe import from_tables
from merpo.report import html as report_html
from merpo.run.adapt import adapt_new
from merpo.run.run import run_recipe

OTHERS = {"higher": 4.0, "zero": 0.0, "none": None}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with data from which 3, other numbers, and none were subtracted."""
    here = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(here / "store"))
        for name, gains, less in (
            ("pumps", [0.1, 0.2], 3.0),
            ("new", [0.15, 0.35], 3.0),
            ("same", [0.25, 0.45], 3.0),
            *((name, [0.35, 0.5], less) for name, less in OTHERS.items()),
        ):
            changes: dict[str, Any] = {} if less is None else {"subtract": {"level": less}}
            import_any([str(write_machines(here / name, gains))], None, here / "columns.toml", changes=changes)
    return here / "store"


@pytest.fixture(scope="module")
def run(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on data from whose level 3 was subtracted."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(stored))
        patch.setattr(report_html, "pictures", lambda report: [])
        return run_recipe(from_tables(logs_tables()), out, [0], None, collect=False, quiet=True)


@pytest.fixture(autouse=True)
def _store(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(stored))
    monkeypatch.setattr(report_html, "pictures", lambda report: [])


def test_an_adaptation_takes_data_with_the_runs_numbers_only(run: Path, tmp_path: Path) -> None:
    assert open_run(run).manifest["subtracted"] == [3.0, 0.0]
    adapt_new(run, ["store:same"], tmp_path / "same")
    assert read_manifest(tmp_path / "same")["subtracted"] == [3.0, 0.0]
    for name, less in OTHERS.items():
        told = rf"\[{less}, 0\.0\]" if less else "no numbers"
        with pytest.raises(DatasetError, match=rf"{told} were subtracted .* expected \[3\.0, 0\.0\] as in the run in"):
            adapt_new(run, [f"store:{name}"], tmp_path / name)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_does_not_begin_with_a_meta_artifact_of_other_numbers(run: Path, tmp_path: Path, name: str) -> None:
    data = {"train": [f"store:{name}/pump-0"], "test": [f"store:{name}/pump-1"]}
    recipe = from_tables(logs_tables({"data": data}))
    with pytest.raises(DatasetError, match=r"/pump-0: .* expected \[3\.0, 0\.0\] as in the run in"):
        run_recipe(recipe, tmp_path / name, [0], None, collect=False, quiet=True, meta=run)


def test_a_run_that_did_not_record_them_is_not_compared(run: Path, tmp_path: Path) -> None:
    manifest = read_manifest(run)
    del manifest["subtracted"]
    older = shutil.copytree(run, tmp_path / "older")
    write_manifest(older, manifest)
    adapt_new(older, ["store:higher"], tmp_path / "out")


def test_exported_policies_say_what_their_observations_lack(run: Path, tmp_path: Path) -> None:
    export_policies(run, tmp_path / "files", "safetensors")
    text = (tmp_path / "files" / "README.md").read_text("utf-8")
    assert 'in the order ["level", "flow"], minus [3.0, 0.0] as in the data' in text
    assert "subtract these first, in double precision" in text
    for form in ("safetensors", "onnx"):
        (done, *_) = export_policies(run, tmp_path / form, form)
        assert load_policy(done.path).subtracted.tolist() == [3.0, 0.0]
