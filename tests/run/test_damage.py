"""Whatever happens to a file of a run or of the store: it is refused by name, or it did not matter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import tiny_recipe

from merpo.errors import MerpoError
from merpo.report import html as report_html
from merpo.run.run import run_recipe

RECIPE = tiny_recipe({"evaluate": {"during_training": 1, "snapshots": []}})
FAST = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
LONG = settings(FAST, max_examples=300)
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


def check_damaged(whole: Path, tmp_path: Path, data: st.DataObject, collect: bool) -> None:
    shutil.rmtree(tmp_path / "x", ignore_errors=True)
    folder = shutil.copytree(whole, tmp_path / "x")
    path = data.draw(st.sampled_from(files(folder)))
    damage(path, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(folder / "data"))
        patch.setattr(report_html, "pictures", lambda report: [])
        try:
            run_recipe(RECIPE, folder / "run", [0], "cpu", collect)
        except MerpoError as error:
            told = str(error)
            assert str(folder) in told or path.stem.partition(".")[0] in told, told


@FAST
@given(data=st.data())
def test_only_the_errors_of_the_library_come_out(whole: Path, tmp_path: Path, data: Any) -> None:
    check_damaged(whole, tmp_path, data, collect=True)


@pytest.mark.slow
@LONG
@given(data=st.data())
def test_only_the_errors_of_the_library_come_out_of_many_damages(whole: Path, tmp_path: Path, data: Any) -> None:
    check_damaged(whole, tmp_path, data, collect=False)
