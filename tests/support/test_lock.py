"""merpo.support.lock: exclusive per folder, released when its process exits."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer

from merpo.errors import MerpoError, StoppedError
from merpo.support import stop
from merpo.support.lock import folder_lock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="flock")


def hold(path: Path) -> None:
    with folder_lock(path):
        time.sleep(60)


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.lock"
    with (
        folder_lock(path),
        pytest.raises(MerpoError, match=rf"run\.lock: process {os.getpid()} on .* is writing here"),
        folder_lock(path),
    ):
        pass
    assert not path.exists()
    with folder_lock(path):
        pass


def test_who_waits_gets_it_when_the_first_lets_go(tmp_path: Path) -> None:
    path, order, notes = tmp_path / "collect.lock", [], []

    def second() -> None:
        with folder_lock(path, notes.append):
            order.append("second")

    with folder_lock(path):
        thread = threading.Thread(target=second)
        thread.start()
        while not notes:
            time.sleep(0.01)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert len(notes) == 1
    assert "waiting for it" in notes[0]


def test_who_waits_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "collect.lock"
    with folder_lock(path):
        monkeypatch.setattr(stop, "requested", lambda: True)
        with pytest.raises(StoppedError), folder_lock(path, print):
            pass


def test_a_lock_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(path,))
    process.start()
    while not (path.exists() and path.read_text()):
        time.sleep(0.01)
    with pytest.raises(MerpoError, match=f"process {process.pid}"), folder_lock(path):
        pass
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert path.exists()  # it is left behind, and means nothing
    with folder_lock(path):
        assert path.read_text().startswith(f"process {os.getpid()} ")


@pytest.mark.parametrize(("number", "runs"), [(errno.ENOLCK, True), (errno.ENOSYS, True), (errno.EIO, False)])
def test_a_disk_without_locks_is_used_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, runs: bool
) -> None:
    """And without filelock's soft lock, which a killed process would leave behind."""

    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    path, entered = tmp_path / "run.lock", []
    with contextlib.nullcontext() if runs else pytest.raises(MerpoError, match="cannot be written"), folder_lock(path):
        entered.append(True)
    assert entered == [True] * runs
    assert not runs or not path.exists()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(MerpoError, match=r"file/run\.lock: cannot be written"),
        folder_lock(tmp_path / "file" / "run.lock"),
    ):
        pass


def test_a_run_refuses_a_folder_that_another_run_writes(tmp_path: Path, merpo_cli: Callable[..., Answer]) -> None:
    with folder_lock(tmp_path / "busy" / "run.lock"):
        answer = merpo_cli("run", "tiny.toml", "--out", "busy")
    assert answer.code == 2
    assert f"busy/run.lock: process {os.getpid()}" in answer.err
    assert list((tmp_path / "busy").iterdir()) == []


def test_a_folder_in_which_a_run_was_killed_at_its_very_start_is_taken(
    tmp_path: Path, merpo_cli: Callable[..., Answer]
) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "run.lock").write_text("process 1 on nowhere\n")
    (tmp_path / "cut" / ".manifest.json.tmp-1-ab").touch()
    answer = merpo_cli("run", "tiny.toml", "--out", "cut", "--set", "method.meta_policy.iterations=0", "--resume")
    assert answer.code == 0, answer.err
    assert not [path.name for path in (tmp_path / "cut").iterdir() if "tmp" in path.name or "lock" in path.name]


def test_a_pipe_in_place_of_a_lock_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.lock")
    with (
        pytest.raises(MerpoError, match=r"run\.lock: is not a file, expected a lock file"),
        folder_lock(tmp_path / "run.lock"),
    ):
        pass
