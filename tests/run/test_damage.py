"""Whatever happens to a file of a run or of the store: it is refused by name, or changes nothing that is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import tiny_recipe

import merpo
from merpo.compare.comparison import compare_runs
from merpo.compare.results import results_of
from merpo.errors import MerpoError
from merpo.policies.export import export_policies
from merpo.report import html as report_html
from merpo.report.html import write_report
from merpo.report.report import report_of
from merpo.run.adapt import adapt_new
from merpo.run.evaluate import evaluate_saved
from merpo.run.run import run_recipe

RECIPE = tiny_recipe({"evaluate": {"during_training": 1, "snapshots": []}})
FAST = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
LONG = settings(FAST, max_examples=1000)
WHERE = {
    "run": [
        "manifest.json",
        "recipe.toml",
        "metrics.jsonl",
        "training_curve.json",
        "timings.json",
        "report.json",
        "artifacts/*",
    ],
    "data": ["*/*"],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run and its data."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(folder / "data"))
        patch.setattr(report_html, "pictures", lambda report: [])
        run_recipe(RECIPE, folder / "run", [0], "cpu", True)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for top, globs in WHERE.items() for glob in globs for path in (folder / top).glob(glob))


def damage(path: Path, data: st.DataObject) -> None:
    """Flip, cut, fill, exchange or remove a file."""
    content, others = bytearray(path.read_bytes()), sorted(path.parent.iterdir())
    how = data.draw(st.sampled_from(["flip", "cut", "more", "text", "remove", "folder", "other"]))
    place = data.draw(st.integers(0, max(0, len(content) - 1)))
    if how == "flip":
        content[place : place + 1] = bytes([content[place] ^ 1 << data.draw(st.integers(0, 7))])
    elif how == "cut":
        del content[place:]
    elif how == "more":
        content += data.draw(st.binary(min_size=1, max_size=9))
    elif how == "text":
        content = bytearray(
            data.draw(st.sampled_from([b"", b"{}", b"[]", b'{"1": 5}', b"null", b"1e999", b"[" * 9999]))
        )
    elif how == "other":
        content = bytearray(data.draw(st.sampled_from([p for p in others if p.is_file()])).read_bytes())
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "remove":
        path.write_bytes(content)


def result_of_run(folder: Path, collect: bool = True) -> object:
    """What a run that goes on in the folder reports, but for times."""
    run_recipe(RECIPE, folder / "run", [0], "cpu", collect)
    report = report_of(folder / "run").model_dump(mode="json")
    return {key: value for key, value in report.items() if key not in {"created", "timings", "reused"}}


def exported(folder: Path) -> list[tuple[str, int]]:
    return [(one.task, one.size) for one in export_policies(folder / "run", folder / "export", "safetensors")]


def evaluated_after_a_new_page(folder: Path) -> object:
    write_report(report_of(folder / "run"), folder / "run")
    return evaluate_saved(folder / "run", 1).model_dump(exclude={"source"})


# Every way to read a run -> what it finds.
READERS: dict[str, Callable[[Path], object]] = {
    "adapt": lambda folder: adapt_new(folder / "run", [], folder / "new").model_dump(exclude={"run"}),
    "compare": lambda folder: compare_runs([folder / "run"]).model_dump(exclude={"arms": {"__all__": {"runs"}}}),
    "table": lambda folder: results_of([folder / "run"]).model_dump(),
    "evaluate": lambda folder: evaluate_saved(folder / "run", 1).model_dump(exclude={"source"}),
    "page": evaluated_after_a_new_page,
    "export": exported,
    "policy": lambda folder: merpo.load_policy(folder / "run", task=2)([0.1, -0.2]).tolist(),
    "file": lambda folder: merpo.load_policy(folder / "run/artifacts/adapted.safetensors", task=2)([0.1, 0.2]).tolist(),
    "run": result_of_run,
}


@pytest.fixture(scope="module")
def expected(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What every reader finds in the undamaged folder."""
    found = {}
    for name, read in READERS.items():
        folder = shutil.copytree(whole, tmp_path_factory.mktemp("expected") / "x")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MERPO_DATA", str(folder / "data"))
            patch.setattr(report_html, "pictures", lambda report: [])
            found[name] = json.dumps(read(folder), default=str, sort_keys=True)
    return found


def check_damaged(whole: Path, expected: dict[str, str], tmp_path: Path, data: st.DataObject) -> None:
    shutil.rmtree(tmp_path / "x", ignore_errors=True)
    folder = shutil.copytree(whole, tmp_path / "x")
    path = data.draw(st.sampled_from(files(folder)))
    damage(path, data)
    reader = data.draw(st.sampled_from(sorted(READERS)))
    removed = not path.exists()  # what may be deleted is recomputed, or done without
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(folder / "data"))
        patch.setattr(report_html, "pictures", lambda report: [])
        try:
            found = json.dumps(READERS[reader](folder), default=str, sort_keys=True)
        except MerpoError as error:
            told = str(error)
            assert str(folder) in told or path.stem.partition(".")[0] in told, told
        else:
            assert removed or found == expected[reader] or "were not measured" in found, (reader, path)


@FAST
@given(data=st.data())
def test_damage_is_refused_by_name_or_changes_nothing(
    whole: Path, expected: dict[str, str], tmp_path: Path, data: Any
) -> None:
    check_damaged(whole, expected, tmp_path, data)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@LONG
@given(data=st.data())
def test_a_thousand_damages_are_refused_by_name_or_change_nothing(
    whole: Path, expected: dict[str, str], tmp_path: Path, data: Any
) -> None:
    check_damaged(whole, expected, tmp_path, data)
