"""What a finished run wrote is what is read: an edit is refused by name, and `--trust` reads it all the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Answer
from finished import finished_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sealed import seal
from tiny import tiny_recipe

import merpo
from merpo.artifacts.artifact import load_artifact, save_artifact
from merpo.artifacts.finished_run import open_run
from merpo.artifacts.run_manifest import check_content, check_file, read_manifest, write_last, write_manifest
from merpo.compare.comparison import compare_runs
from merpo.compare.results import results_of
from merpo.errors import ArtifactError
from merpo.report import html as report_html
from merpo.report.report import report_of
from merpo.run.adapt import adapt_new
from merpo.run.evaluate import evaluate_saved
from merpo.run.run import run_recipe
from merpo.sweep.plan import is_finished, plan

RECIPE = {"evaluate": {"during_training": 1}}
Merpo = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_html, "pictures", lambda report: [])


@pytest.fixture(scope="module")
def first(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests only read it."""
    return finished_run(store, tmp_path_factory.mktemp("runs") / "first", RECIPE)


@pytest.fixture
def run(first: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    monkeypatch.setenv("MERPO_DATA", str(store))
    return shutil.copytree(first, tmp_path / "run")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def test_a_manifest_has_the_digests_of_what_a_run_wrote(first: Path) -> None:
    manifest = read_manifest(first)
    assert set(manifest["files"]) == {
        "recipe.toml",
        "metrics.jsonl",
        "training_curve.json",
        "timings.json",
        "report.json",
    }
    for name in manifest["files"]:
        check_file(first, manifest, name)
        check_content(first, manifest, name, (first / name).read_bytes())


def test_another_batch_size_does_not_adapt(run: Path, tmp_path: Path) -> None:
    edit(run / "recipe.toml", "batch_size = 16", "batch_size = 8")
    with pytest.raises(ArtifactError, match=r"recipe\.toml: has changed since the run wrote it.*--trust"):
        adapt_new(run, [], tmp_path / "new")
    adapt_new(run, [], tmp_path / "new", trust=True)


def test_another_return_is_not_tabulated(run: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    edit_json(run / "report.json", lambda report: report["tasks"][0].update(adapted=1e6))
    for read in (
        lambda trust: compare_runs([run], trust=trust),
        lambda trust: results_of([run], trust=trust),
        lambda trust: evaluate_saved(run, 1, trust=trust),
        lambda trust: report_of(run, trust=trust),
    ):
        with pytest.raises(ArtifactError, match=r"report\.json: has changed since the run wrote it"):
            read(False)
        read(True)
    for command in (("compare",), ("report",), ("evaluate",)):
        answer = merpo_cli(*command, str(run))
        assert (answer.code, answer.out) == (2, "")
        assert "report.json: has changed since the run wrote it" in answer.err
    assert merpo_cli("report", str(run), "--trust").code == 0
    assert report_of(run).tasks[0].returns["adapted"] == 1e6  # trusted once, it is the run's


@pytest.mark.parametrize("digest", [None, "", "0" * 64, 5])
def test_no_digest_of_a_manifest_can_be_taken_away(run: Path, digest: object) -> None:
    edit_json(run / "manifest.json", lambda manifest: manifest["artifacts"].update(adapted=digest))
    for read in (lambda: merpo.load_policy(run, 2), lambda: run_recipe(tiny_recipe(RECIPE), run, [0], "cpu", True)):
        with pytest.raises(ArtifactError, match=r"manifest\.json: "):
            read()


@pytest.mark.parametrize("name", ["metrics.jsonl", "training_curve.json", "timings.json"])
def test_a_run_does_not_go_on_from_what_it_did_not_write(run: Path, name: str) -> None:
    (run / name).write_text((run / name).read_text("utf-8") + "\n", "utf-8")
    with pytest.raises(ArtifactError, match=rf"{name}: has changed since the run wrote it.*or delete it"):
        run_recipe(tiny_recipe(RECIPE), run, [0], "cpu", True)
    run_recipe(tiny_recipe(RECIPE), run, [0], "cpu", True, trust=True)
    run_recipe(tiny_recipe(RECIPE), run, [0], "cpu", True)


@pytest.mark.parametrize("name", ["recipe.toml", "metrics.jsonl", "training_curve.json", "timings.json"])
def test_a_new_page_does_not_make_an_edited_file_the_runs_own(run: Path, name: str, merpo_cli: Merpo) -> None:
    (run / name).write_text((run / name).read_text("utf-8") + "\n", "utf-8")
    for _ in range(2):
        answer = merpo_cli("report", str(run))
        assert answer.code == 2
        assert f"{name}: has changed since the run wrote it" in answer.err
    assert merpo_cli("report", str(run), "--trust").code == 0
    assert merpo_cli("report", str(run)).code == 0, "trusted once, it is the run's"


def older(run: Path) -> None:
    """What a merpo that kept no checksums left."""
    edit_json(run / "manifest.json", lambda manifest: [manifest.pop(key, None) for key in ("files", "checksum")])


def test_a_run_of_an_older_merpo_is_refused_with_advice(run: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    older(run)
    for command in (
        ("evaluate", str(run)),
        ("adapt", str(run), "--out", str(tmp_path / "new")),
        ("compare", str(run)),
        ("export", str(run)),
        ("report", str(run)),
        ("run", "tiny.toml", "--set", "evaluate.during_training=1", "--out", str(run)),
        ("run", "tiny.toml", "--meta", str(run), "--out", str(tmp_path / "begun")),
    ):
        answer = merpo_cli(*command)
        assert answer.code == 2, command
        assert "manifest.json: has no checksum, as an older merpo wrote it" in answer.err
        assert "--trust" in answer.err
        assert merpo_cli(*command, "--trust").code == 0, command
        if command[0] in ("report", "run"):  # which adds the checksum
            assert read_manifest(tmp_path / "begun" if "--meta" in command else run)["files"]
            older(run)


def test_a_sweep_counts_only_its_own_reports(run: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    (job,) = plan(tmp_path / "tiny.toml", ["evaluate.during_training=1"], [0], tmp_path / "sweep")
    job.folder.parent.mkdir(parents=True)
    shutil.copytree(run, job.folder)
    assert is_finished(job)
    edit_json(job.folder / "report.json", lambda report: report["tasks"][0].update(adapted=1e6))
    assert not is_finished(job)
    assert is_finished(job, trust=True)


def test_a_policy_of_a_run_is_compared_wherever_it_is_asked_for(run: Path) -> None:
    path = run / "artifacts" / "adapted.safetensors"
    merpo.load_policy(path, 2)
    groups, header = load_artifact(path)
    groups["policy"] = {name: value / 2 for name, value in groups["policy"].items()}
    save_artifact(path, groups, header)
    for place in (run, path):
        with pytest.raises(ArtifactError, match="the content has changed"):
            merpo.load_policy(place, 2)
        merpo.load_policy(place, 2, trust=True)


def test_a_damaged_policy_is_read_by_nobody(run: Path) -> None:
    path = run / "artifacts" / "adapted.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for place in (run, path):
        with pytest.raises(ArtifactError, match="the content has changed"):
            merpo.load_policy(place, 2)
        with pytest.raises(ArtifactError, match="damaged or edited"):
            merpo.load_policy(place, 2, trust=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_edit_of_a_manifest_is_noticed(run: Path, data: Any) -> None:
    text = seal(run).joinpath("manifest.json").read_text("utf-8")
    content = json.loads(text)
    place, key = content, data.draw(st.sampled_from(sorted(content)))
    while isinstance(place[key], dict) and place[key]:
        place, key = place[key], data.draw(st.sampled_from(sorted(place[key])))
    change = data.draw(st.sampled_from(["remove", "null", "other"]))
    if change == "remove":
        del place[key]
    else:
        place[key] = None if change == "null" else "0" * 64
    (run / "manifest.json").write_text(json.dumps(content), "utf-8")
    try:
        with pytest.raises(ArtifactError, match=r"manifest\.json: "):
            open_run(run)
    finally:
        (run / "manifest.json").write_text(text, "utf-8")


def test_a_file_that_says_that_a_run_has_finished_is_written_after_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, {"seed": 0, "artifacts": {}})
    write_last(tmp_path, "report.json", "old")
    monkeypatch.setattr("merpo.artifacts.run_manifest.atomic_write_text", lambda path, text: 1 / 0)  # killed there
    with pytest.raises(ZeroDivisionError):
        write_last(tmp_path, "report.json", "new")
    assert not (tmp_path / "report.json").exists()
