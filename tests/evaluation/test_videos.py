"""Videos: what is in the files, that stopped runs go on, and that nothing fails where films cannot be made."""

from __future__ import annotations

import base64
import importlib.util
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import gymnasium
import numpy as np
import pytest
import torch
from broken import SMALL, delegate
from command import Answer
from finished import finished_run
from small import make
from tiny import tiny_recipe

from merpo.data.needed import collection_folder
from merpo.errors import MerpoError, StoppedError
from merpo.evaluation.film import Film, film
from merpo.evaluation.videos import Shot, Videos, film_shots, params_digest, recorded
from merpo.report.html import build_report_html, write_report
from merpo.report.report import Report, load_report, report_of
from merpo.run.run import run_recipe

FILMED = {"evaluate": {"videos": 1}, "tasks": {"component": "point-robot-wind", "horizon": 10}}
POLICIES = ("behavior", "meta_policy", "adapted")


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(store, tmp_path_factory.mktemp("runs") / "filmed", FILMED)


def frames(data: bytes) -> np.ndarray:
    """The decoded pictures [N, H, W, 3]."""
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def towards(goal: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda seen: torch.full((1, 1, 2), goal) - 0 * seen


@pytest.mark.parametrize(
    ("name", "every"),
    [("half-cheetah-fwd-back", 1), ("walker-2d-params", 2), ("ant-fwd-back", 1), ("sparse-point-robot", 1)],
)
def test_a_film_has_a_frame_per_step_and_shows_what_the_environment_draws(name: str, every: int) -> None:
    family = make("tasks", name, horizon=6)
    task, width = family.tasks(1, 0)[0][0], family.spec().action_dim
    made = film(family, task, lambda seen: torch.full((1, 1, width), 0.5), seed=3)
    pictures = frames(made.data)
    assert len(pictures) == made.frames == 1 + 6 // every
    assert made.steps == 6
    env = family.make(task)
    env.unwrapped.render_mode = "rgb_array"
    env.reset(seed=3)
    drawn, total = [np.asarray(env.render())], 0.0
    for step in range(6):
        total += float(env.step(np.full(width, 0.5, dtype=np.float32))[1])
        if (step + 1) % every == 0:
            drawn.append(np.asarray(env.render()))
    assert made.episode_return == pytest.approx(total)
    for shown, expected in zip(pictures.astype(float), drawn, strict=True):
        assert np.abs(shown - expected).mean() < 4, "H.264 loses a little"
    assert all(np.abs(a - b).max() > 30 for a, b in zip(pictures[1:].astype(float), pictures[:-1], strict=True))
    with av.open(io.BytesIO(made.data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p"), "what browsers play"
        assert float(stream.average_rate or 0) == pytest.approx(made.fps)
        assert made.fps <= 30 or made.fps == env.metadata["render_fps"] / every


def test_a_run_has_a_film_of_every_policy_in_its_folder_and_page(run: Path) -> None:
    report = load_report(run / "report.json")
    assert [(video.task, video.policy) for video in report.videos.entries] == [(2, name) for name in POLICIES]
    assert report.videos.note == ""
    page = (run / "report.html").read_text("utf-8")
    inside = re.findall(r'<video controls [^>]*src="data:video/mp4;base64,([^"]+)"', page)
    contents = [(run / video.file).read_bytes() for video in report.videos.entries]
    assert [base64.b64decode(text) for text in inside] == contents
    assert len(set(contents)) == 3
    for video, content in zip(report.videos.entries, contents, strict=True):
        assert len(frames(content)) == video.frames == 11
    adapted = report.videos.entries[2]
    assert adapted.episode_return == pytest.approx(report.tasks[0].returns["adapted"], abs=1e-4), (
        "the evaluation's first episode"
    )
    assert f"task 2, adapted: return {adapted.episode_return:.2f} in 10 steps" in page


def test_films_that_are_there_are_kept_and_lost_ones_are_made_anew(
    run: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    videos = run / "videos"
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in videos.glob("*.mp4")}
    lost, damaged, kept = (f"task-002.{name}.mp4" for name in POLICIES)
    (videos / lost).unlink()
    (videos / damaged).write_bytes(b"x")
    run_recipe(tiny_recipe(FILMED), run, [0], None, False)
    assert {path.name: path.read_bytes() for path in videos.glob("*.mp4")} == {k: v[0] for k, v in before.items()}
    assert (videos / kept).stat().st_mtime_ns == before[kept][1]
    assert (videos / damaged).stat().st_mtime_ns != before[damaged][1]
    assert not list(videos.glob(".*")), "no half-written file stays"


def test_the_page_is_built_anew_with_its_videos(run: Path, merpo_cli: Callable[..., Answer]) -> None:
    before = (run / "report.html").read_text("utf-8")
    answer = merpo_cli("report", str(run))
    assert answer.code == 0, answer.err
    assert (run / "report.html").read_text("utf-8") == before
    report = load_report(run / "report.json")
    assert "videos/task-002.adapted.mp4 is missing" in build_report_html(report)


def shots(count: int = 3) -> tuple[Any, list[Shot]]:
    family = make("tasks", "point-robot-wind", horizon=4)
    tasks = family.tasks(count, 0)[0]
    return family, [Shot(t, task, "adapted", lambda: towards(0.3), {"policy": "p"}) for t, task in enumerate(tasks)]


def silent(*told: object) -> None:
    return None


def test_a_stopped_call_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family, wanted = shots()
    filmed: list[int] = []

    def stopping(family: Any, task: Any, act: Any, seed: int) -> Film:
        if len(filmed) == 2:
            raise StoppedError("stopped by a signal")
        filmed.append(seed)
        return film(family, task, act, seed)

    monkeypatch.setattr("merpo.evaluation.videos.film", stopping)
    with pytest.raises(StoppedError):
        film_shots(tmp_path, family, wanted, 0, silent)
    filmed.clear()
    found = film_shots(tmp_path, family, wanted, 0, silent)
    assert (len(filmed), len(found.entries)) == (1, 3)
    again = film_shots(tmp_path, family, wanted, 0, silent)
    assert (len(filmed), again) == (1, found)


def test_other_policies_seeds_and_environments_are_filmed_anew(tmp_path: Path) -> None:
    family, wanted = shots(1)
    keys = {film_shots(tmp_path, family, wanted, seed, silent).entries[0].key for seed in (0, 1)}
    other = [wanted[0]._replace(identity={"policy": "q"})]
    keys.add(film_shots(tmp_path, family, other, 0, silent).entries[0].key)
    longer = make("tasks", "point-robot-wind", horizon=5)
    last = film_shots(tmp_path, longer, wanted, 0, silent)
    assert len(keys | {last.entries[0].key}) == 4
    assert last.entries[0].frames == 6
    assert params_digest({"w": torch.ones(2)}) != params_digest({"w": torch.zeros(2)})


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "a\0b", "<b>", "x" * 200])
def test_a_reference_policy_of_a_plugin_is_written_nowhere_else(tmp_path: Path, name: str) -> None:
    family, wanted = shots(1)
    found = film_shots(tmp_path / "run", family, [wanted[0]._replace(policy=name)], 0, silent)
    assert not found.entries
    assert "the file of a reference policy is 'task-0" in found.note
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_videos_are_not_written_through_a_link(tmp_path: Path) -> None:
    family, wanted = shots(1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "videos").symlink_to(tmp_path / "elsewhere")
    made = [film_shots(tmp_path / "run", family, wanted, 0, silent) for _ in range(2)]
    assert [len(one.entries) for one in made] == [0, 0]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_damaged_list_is_no_obstacle(tmp_path: Path) -> None:
    family, wanted = shots(1)
    found = film_shots(tmp_path, family, wanted, 0, silent)
    for content in (b"", b"[1]", b'{"entries": [{"file": "../x.mp4"}]}'):
        (tmp_path / "videos" / "videos.json").write_bytes(content)
        assert film_shots(tmp_path, family, wanted, 0, silent) == found


def test_without_the_package_a_run_ends_well_and_says_what_to_install(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "av" else there(name, *more))
    folder = finished_run(store, tmp_path / "bare", FILMED)
    report = load_report(folder / "report.json")
    assert report.videos == Videos(note="videos need PyAV, which is not installed; pip install 'merpo[video]'")
    assert "pip install &#39;merpo[video]&#39;" in (folder / "report.html").read_text("utf-8")
    told = capsys.readouterr()
    assert "videos need PyAV" in told.out + told.err


class _Faulty(gymnasium.Env[Any, Any]):
    """An environment whose pictures are not as they should be."""

    def __init__(self, modes: list[str], picture: Any) -> None:
        self.metadata, self.picture = {"render_modes": modes}, picture

    def reset(self, **given: Any) -> Any:
        return np.zeros(2, dtype=np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, dtype=np.float32), 1.0, True, False, {}

    def render(self) -> Any:
        if isinstance(self.picture, Exception):
            raise self.picture
        return self.picture


@pytest.mark.parametrize(
    ("modes", "picture", "message"),
    [
        ([], None, "do not support render_mode 'rgb_array'"),
        (["human"], None, "do not support render_mode 'rgb_array'"),
        (["rgb_array"], RuntimeError("no display"), r"cannot be rendered on this machine \(RuntimeError: no display\)"),
        (["rgb_array"], np.zeros((4, 4)), r"render returned float64 \(4, 4\), expected uint8 \[H, W, 3\]"),
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path: Path, modes: list[str], picture: Any, message: str) -> None:
    kind, name, base, fields = SMALL["tasks"]
    family: Any = delegate(kind, name, base, fields, make=lambda inner, task: _Faulty(modes, picture))()
    with pytest.raises(MerpoError, match=message):
        film(family, {}, towards(0.0), 0)
    found = film_shots(tmp_path, family, [Shot(0, {}, "adapted", lambda: towards(0.0), {})], 0, silent)
    assert found.entries == []
    assert re.search(message, found.note)
    assert not list(tmp_path.glob("videos/*.mp4"))


def test_odd_pictures_lose_a_line() -> None:
    kind, name, base, fields = SMALL["tasks"]
    picture = np.full((31, 33, 3), 200, dtype=np.uint8)
    family: Any = delegate(kind, name, base, fields, make=lambda inner, task: _Faulty(["rgb_array"], picture))()
    assert frames(film(family, {}, towards(0.0), 0).data).shape == (2, 30, 32, 3)


def test_data_without_a_single_policy_has_no_film_of_it(store: Path, tmp_path: Path) -> None:
    folder = finished_run(store, tmp_path / "mixed", {**FILMED, "data": {"quality": "mixed"}})
    report = load_report(folder / "report.json")
    assert [video.policy for video in report.videos.entries] == ["meta_policy", "adapted"]
    assert report.videos.note == "No behaviour policy was kept with the data of task 2."


def test_a_lost_policy_of_the_data_fails_no_run(store: Path, tmp_path: Path) -> None:
    changes = {**FILMED, "data": {"store": "lost"}}
    finished_run(store, tmp_path / "first", {**changes, "evaluate": {"videos": 0}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        (collection_folder(tiny_recipe(changes)) / "task-002.medium.policy.safetensors").unlink()
    report = load_report(finished_run(store, tmp_path / "second", changes) / "report.json")
    assert [video.policy for video in report.videos.entries] == ["meta_policy", "adapted"]
    assert "task-002.medium.policy.safetensors: is missing" in report.videos.note


def test_named_data_brings_its_policy(store: Path, tmp_path: Path, run: Path) -> None:
    assert run.exists(), "its data is in the store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        name = collection_folder(tiny_recipe(FILMED)).name
    part = {
        f"{split}": [f"store:{name}/task-00{i}.medium" for i in own]
        for split, own in (("train", (0, 1)), ("test", (2, 3)))
    }
    folder = finished_run(store, tmp_path / "named", {**FILMED, "data": part})
    entries = load_report(folder / "report.json").videos.entries
    assert [video.policy for video in entries] == list(POLICIES)
    assert (folder / entries[0].file).read_bytes() == (run / entries[0].file).read_bytes()


def test_a_reports_files_lie_in_its_folder(tmp_path: Path) -> None:
    entry = {"task": 0, "policy": "adapted", "file": "../secret.mp4", "frames": 1, "fps": 1.0, "steps": 1,
             "episode_return": 0.0, "sha256": "", "key": ""}  # fmt: skip
    tasks = [{"index": 0, "behavior": 0.0, "adapted": 1.0}]
    with pytest.raises(ValueError, match="file"):
        Report.model_validate({"title": "t", "seed": 0, "tasks": tasks, "videos": {"entries": [entry]}})
    good = {**entry, "file": "videos/task-000.adapted.mp4"}
    report = Report.model_validate({"title": "t", "seed": 0, "tasks": tasks, "videos": {"entries": [good]}})
    write_report(report, tmp_path)
    assert load_report(tmp_path / "report.json") == report


@pytest.mark.parametrize("how", ["changed", "link", "link to a folder", "folder", "removed", "pipe"])
def test_only_the_file_that_was_recorded_is_embedded(run: Path, tmp_path: Path, how: str) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    video = report_of(folder).videos.entries[0]
    path, content = folder / video.file, (folder / video.file).read_bytes()
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    assert recorded(folder, video) == content
    if how == "link to a folder":
        path.parent.rename(tmp_path / "elsewhere")
        path.parent.symlink_to(tmp_path / "elsewhere")
    else:
        path.unlink()
    if how == "changed":
        path.write_bytes(content[:-1] + b"\0")
    elif how == "link":
        path.symlink_to(secret)
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    assert recorded(folder, video) == b""
    page = write_report(report_of(folder), folder).read_text("utf-8")
    assert f"{video.file} is missing, or not the file that was recorded" in page
    assert base64.b64encode(content).decode()[:200] not in page
    assert base64.b64encode(b"secret").decode() not in page
