"""Exclusive per-folder lock; released by the OS when the process exits."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from merpo.errors import MerpoError
from merpo.support.read import open_regular
from merpo.support.stop import check

__all__ = ["folder_lock", "is_lock"]

NAMES = ("run.lock", "collect.lock", "sweep.lock")
POLL_SECONDS = 0.2
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # some network disks have no locks


def is_lock(name: str) -> bool:
    """Whether a file of this name is a lock file; one without a running holder has no effect."""
    return name in NAMES


@contextmanager
def folder_lock(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path` inside the block; its folder is made if missing.

    Raises `MerpoError` naming the holder where another process has the lock. With `waiting`, calls it once with a
    message and waits, until a signal asks to stop. On disks without locks the block runs without one.
    """
    lock = FileLock(path, fallback_to_soft=False, on_acquired=_write_holder)  # a soft lock would outlive its process
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise MerpoError(f"{path}: is not a file, expected a lock file; delete it")
        _acquire(lock, path, waiting)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise MerpoError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # a disk that is gone; on Windows, release removes the file
            path.unlink()  # while it is held: a process that has opened it opens the new one instead
        lock.release()


def _acquire(lock: FileLock, path: Path, waiting: Callable[[str], None] | None) -> None:
    waited = False
    while True:
        try:
            lock.acquire(timeout=POLL_SECONDS)
        except Timeout:
            text = f"{path}: {_holder(path)} is writing here"
            if waiting is None:
                raise MerpoError(f"{text}; wait for it, stop it, or give another folder") from None
            if not waited:
                waiting(f"{text}; waiting for it")
                waited = True
        else:
            return
        check()


def _write_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _holder(path: Path) -> str:
    with suppress(OSError), open_regular(path) as file:  # released meanwhile; on Windows a held file cannot be read
        return file.read(200).decode(errors="replace").strip() or "another process"
    return "another process"
