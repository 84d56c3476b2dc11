"""One writer per folder: a lock file that the operating system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from merpo.errors import MerpoError
from merpo.support.stop import check

__all__ = ["folder_lock", "is_lock"]

NAMES = ("run.lock", "collect.lock", "sweep.lock")
POLL_SECONDS = 0.2


def is_lock(name: str) -> bool:
    """Whether a file of this name is a lock: a holder that was killed leaves it behind, and it then means nothing."""
    return name in NAMES


@contextmanager
def folder_lock(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path` inside the block; its folder is made if missing.

    Raises `MerpoError` naming the holder where another process has it, or, with `waiting`, tells that once and waits,
    until a signal asks to stop.
    Where the system or the disk has no such locks (Windows, some network disks) the block runs without one.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path, waiting)
    except OSError as error:
        raise MerpoError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # a disk that is gone
            path.unlink()  # while it is still held: whoever has opened it looks again (`_acquire`)
        os.close(descriptor)


def _acquire(path: Path, waiting: Callable[[str], None] | None) -> int:
    waited = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _locked(descriptor):
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                if waiting is None:
                    raise MerpoError(f"{path}: {holder} is writing here; wait for it, stop it, or give another folder")
                if not waited:
                    waiting(f"{path}: {holder} is writing here; waiting for it")
                waited = True
            elif _is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # another's, or a file that its holder has just removed
        if waited:
            check()
            time.sleep(POLL_SECONDS)


def _locked(descriptor: int) -> bool:
    """Take the lock of an open file; False if another has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        there, ours = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)
