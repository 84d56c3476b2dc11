"""Process-wide runtime settings: threads, malloc thresholds, flush-to-zero."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from merpo.errors import MerpoError, nearest
from merpo.lazy import torch

__all__ = ["DEVICES", "available_memory", "chosen_device", "machine", "passive_waiting"]

DEVICES = ("auto", "cpu", "cuda")

# Of control groups, versions 2 and 1, as a process in a container sees them.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

TRIM, MMAP, ARENAS = -1, -3, -8  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX of <malloc.h>
SPINS = 2000  # iterations that an idle thread spins before it sleeps; libgomp's default is 300,000
LARGEST_BLOCK = 32 << 20  # glibc takes no larger threshold


@contextmanager
def machine(threads: int | None) -> Iterator[None]:
    """Run the block with `threads` PyTorch threads (None: the default) and flush-to-zero; both are restored after it.

    Denormal numbers are flushed to zero, because Adam's decaying second moments would otherwise slow its loop down.
    The malloc thresholds stay set after the block, as glibc cannot report the old ones: freed memory is kept instead of
    being returned to the kernel and faulted in again at every step (`bench/inner_step.py`).
    """
    before = torch.get_num_threads()
    _keep_freed_memory()
    torch.set_flush_denormal(True)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)


def chosen_device(name: str) -> str:
    """`cpu` or `cuda`; `auto` is CUDA where there is one.

    Raises `MerpoError` for another name, and where CUDA is requested and missing.
    """
    if name not in DEVICES:
        raise MerpoError(f"device: got {name!r:.60}{nearest(name, DEVICES)}, expected {', '.join(DEVICES)}")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise MerpoError("device: got 'cuda', but this PyTorch finds no CUDA device; expected auto or cpu")
    return "cuda" if found and name != "cpu" else "cpu"


def passive_waiting() -> None:
    """Let idle OpenMP threads sleep instead of spin; call it before torch is imported, when OpenMP reads the setting.

    On a shared machine spinning threads keep the working ones from running: a small inner step then took 17 times as
    long (`bench/contention.py`). A setting of the user's is kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def available_memory(device: str = "cpu") -> int | None:
    """Bytes of memory that this process may still take, on the CPU or on the GPU; None where that is not known."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    found = [_meminfo(), *(_limit(Path(path)) for path in LIMITS)]
    return min((size for size in found if size is not None), default=None)


def _meminfo() -> int | None:
    """Memory and swap that are free, or can be freed, by Linux's account."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("utf-8").splitlines())
        return sum(int(lines[key].split()[0]) * 1024 for key in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _limit(path: Path) -> int | None:
    """The limit of a control group, as of a container or a scheduler's job."""
    try:
        return int(path.read_text("utf-8"))
    except (OSError, ValueError):  # none is set: "max"
        return None


def _keep_freed_memory() -> None:
    """Raise glibc's malloc thresholds; does nothing with another C library."""
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP, LARGEST_BLOCK)
        library.mallopt(TRIM, 2**31 - 1)
        library.mallopt(ARENAS, 1)  # a worker's own arena would give its memory back all the same
