"""Checkpoints: a run goes on from a verified one only, and refuses any other by name."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import streams

from merpo.artifacts import checkpoints, keeper
from merpo.artifacts.checkpoints import checkpoint_steps, read_checkpoint, remove_leftovers, write_checkpoint
from merpo.artifacts.keeper import Keeper
from merpo.errors import ArtifactError, MerpoError, StoppedError, TrainingError
from merpo.nn.noise import Streams
from merpo.support import stop
from merpo.support.files import fingerprint
from merpo.types import Params

TENSORS = {"policy/w0": torch.arange(6.0).view(2, 3), "noise": torch.arange(5, dtype=torch.uint8)}


def written(root: Path, step: int = 3) -> Path:
    return write_checkpoint(root / "loop", "loop", step, "run", TENSORS)


def same(found: Params) -> bool:
    return found.keys() == TENSORS.keys() and all(torch.equal(found[key], value) for key, value in TENSORS.items())


def forge(path: Path, **changes: Any) -> None:
    """Change a manifest and sign it again."""
    content = json.loads((path / "manifest.json").read_text())
    content.pop("checksum")
    content.update(changes)
    (path / "manifest.json").write_text(json.dumps({**content, "checksum": fingerprint(content)}))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert path == tmp_path / "loop" / "ckpt-000000003"
    assert sorted(file.name for file in path.iterdir()) == ["manifest.json", "state.safetensors"]
    assert same(read_checkpoint(path, "loop", "run"))
    assert checkpoint_steps(tmp_path / "loop") == {3: path}
    assert checkpoint_steps(tmp_path / "none") == {}


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_is_damaged_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.getbasetemp() / "mutated"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    path = written(root)
    name = data.draw(st.sampled_from(["manifest.json", "state.safetensors"]))
    content = bytearray((path / name).read_bytes())
    how = data.draw(st.sampled_from(["flip", "cut", "more", "remove", "folder"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if how == "flip":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        del content[place:]
    elif how == "more":
        content += data.draw(st.binary(min_size=1, max_size=20))
    (path / name).unlink()
    if how == "folder":
        (path / name).mkdir()
    elif how != "remove":
        (path / name).write_bytes(content)
    try:
        found = read_checkpoint(path, "loop", "run")
    except ArtifactError as error:
        assert str(path) in str(error)
    else:
        assert name == "manifest.json"  # white space that became other white space
        assert same(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"run": "other"}, "its run is 'other', expected 'run'"),
        ({"label": "other"}, "its label is 'other', expected 'loop'"),
        ({"step": 4}, "its name is 'ckpt-000000004', expected 'ckpt-000000003'"),
        ({"format_version": 2}, "format version is 2, expected 1; a newer merpo wrote it"),
        ({"format_version": "1"}, "format version is '1', expected 1"),
        ({"files": {}}, r"lists files \[\], expected state.safetensors"),
        ({"files": {"../x": {"size": 1, "sha256": "0" * 64}}}, "lists files"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
    ],
)
def test_a_foreign_newer_or_renamed_checkpoint_is_refused(tmp_path: Path, changes: Any, reason: str) -> None:
    path = written(tmp_path)
    forge(path, **changes)
    with pytest.raises(ArtifactError, match=reason):
        read_checkpoint(path, "loop", "run")


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000, '{"format_version": 1}', "\xff", '{"format_version": NaN}'])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path)
    (path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ArtifactError, match="manifest"):
        read_checkpoint(path, "loop", "run")


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "loop" / "ckpt-000000004.tmp-1-ab").mkdir()
    (tmp_path / "loop" / "ckpt-000000004.tmp-1-ab" / "state.safetensors").touch()
    (tmp_path / ".report.json.tmp-1-ab").touch()
    remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["loop"]
    assert list((tmp_path / "loop").iterdir()) == [path]


class Loop:
    """A loop that counts, with a draw at every step."""

    def __init__(self, root: Path, every: float = 0.0) -> None:
        self.notes: list[str] = []
        self.keeper = Keeper(root / "checkpoints", "run", every, self.notes.append)
        noise = streams(2)
        self.first, (self.count, self.noise) = self.keeper.resume("loop", (torch.zeros(2), noise))

    def to(self, last: int) -> None:
        for step in range(self.first, last):
            self.count = self.count + self.noise.uniform()
            self.keeper.save_state("loop", step + 1, self.state)
        self.first = last

    def state(self) -> tuple[torch.Tensor, Streams]:
        return self.count, self.noise


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "checkpoints" / "loop").iterdir())


def test_the_last_two_are_kept_and_none_after_the_end(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.to(5)
    assert names(tmp_path) == ["ckpt-000000004", "ckpt-000000005"]
    again = Loop(tmp_path)
    assert again.first == 5
    assert torch.equal(again.count, loop.count)
    again.to(6)
    assert names(tmp_path) == ["ckpt-000000005", "ckpt-000000006"]
    again.keeper.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_one_is_named_and_the_one_before_is_taken(tmp_path: Path) -> None:
    one = Loop(tmp_path)
    one.to(5)
    state = tmp_path / "checkpoints" / "loop" / "ckpt-000000005" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    again = Loop(tmp_path)
    assert again.first == 4
    assert [note.split(":")[0] for note in again.notes] == ["loop", "loop"]
    assert f"refused a checkpoint: {state}: has" in again.notes[0]
    assert "resuming after step 4" in again.notes[1]
    again.to(5)  # over the damaged one
    assert torch.equal(again.count, one.count)
    assert Loop(tmp_path).first == 5


def test_one_of_another_shape_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    Loop(tmp_path).to(2)
    notes: list[str] = []
    own, noise = Keeper(tmp_path / "checkpoints", "run", 0.0, notes.append), streams(2)
    before = noise.state()
    step, _ = own.resume("loop", (torch.zeros(3), noise))
    assert step == 0
    assert "ckpt-000000002: '0' is ((2,), torch.float32), expected ((3,), torch.float32)" in notes[0]
    assert torch.equal(noise.state(), before)
    step, _ = Keeper(tmp_path / "checkpoints", "run", 0.0, notes.append).resume("loop", {"0": torch.zeros(2)})
    assert step == 0
    assert "'1' is not expected" in notes[-1]


def test_it_is_time_after_so_many_seconds_and_never_for_more_than_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, cost = 0.0, 0.0

    def write(*arguments: Any) -> Path:
        nonlocal now
        now += cost
        return write_checkpoint(*arguments)

    monkeypatch.setattr(keeper, "write_checkpoint", write)
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now)
    loop, found = Loop(tmp_path, every=60.0), []
    for step in range(1, 400):
        now, cost = now + 10.0, (2.0 if step > 20 else 0.0)
        before = loop.keeper.last
        loop.to(step)
        if loop.keeper.last != before:
            found.append(step)
    assert found[:4] == [6, 12, 18, 24]
    assert found[4] - found[3] == 20  # 100 times 2 s
    assert found[5] - found[4] == 20


def test_a_signal_stops_where_the_state_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(tmp_path, every=1e6)
    loop.to(3)
    loop.keeper.on_step()
    with monkeypatch.context() as patch:
        patch.setattr(stop, "requested", lambda: True)
        loop.keeper.on_step()  # not here: the loop has something to keep first
        with pytest.raises(StoppedError, match="after step 4 of 'loop', whose state is saved"):
            loop.to(4)
        with pytest.raises(StoppedError):
            Keeper(tmp_path / "other", "run", 0.0, print).on_step()
    assert names(tmp_path) == ["ckpt-000000004"]
    assert Loop(tmp_path).first == 4


def test_nan_is_not_kept(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.to(2)
    loop.count = torch.tensor([-torch.inf, 1.0])  # may be meant
    loop.to(3)
    loop.count = torch.tensor([0.0, torch.nan])
    last = tmp_path / "checkpoints" / "loop" / "ckpt-000000003"
    with (
        pytest.raises(TrainingError, match=rf"step 4: state '0' is NaN at index 1 .*last good checkpoint is {last}"),
        loop.keeper.named(),
    ):
        loop.to(4)
    assert names(tmp_path) == ["ckpt-000000002", "ckpt-000000003"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_is_named_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    loop = Loop(tmp_path)
    loop.to(2)
    whole, calls = checkpoints.write_synced, []

    def refuse(path: Path, data: bytes) -> None:
        calls.append(path)
        path.write_bytes(data[: len(data) // 2])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(checkpoints, "write_synced", refuse)
    with pytest.raises(MerpoError, match=rf"ckpt-000000003: cannot be written: {os.strerror(number)}"):
        loop.to(3)
    assert len(calls) == 1
    assert names(tmp_path) == ["ckpt-000000001", "ckpt-000000002"]
    monkeypatch.setattr(checkpoints, "write_synced", whole)
    assert Loop(tmp_path).first == 2


def test_a_folder_that_has_vanished_is_not_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "run"
    root.mkdir()
    loop = Loop(root)
    loop.to(1)
    shutil.rmtree(root)
    with pytest.raises(MerpoError, match=r"run/checkpoints: cannot be written: No such file"):
        loop.to(2)
    assert not root.exists()


def test_a_kept_step_is_not_written_twice(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.to(2)
    path = tmp_path / "checkpoints" / "loop" / "ckpt-000000002"
    before = path.stat().st_ino
    loop.keeper.save_state("loop", 2, loop.state)
    assert path.stat().st_ino == before
