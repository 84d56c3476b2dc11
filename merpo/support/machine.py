"""What a run asks of the machine: PyTorch's threads, memory that stays at hand, and no denormal numbers."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from merpo.errors import MerpoError, nearest
from merpo.lazy import torch

__all__ = ["DEVICES", "chosen_device", "machine", "patient_threads"]

DEVICES = ("auto", "cpu", "cuda")

TRIM, MMAP, ARENAS = -1, -3, -8  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX of <malloc.h>
SPINS = 2000  # turns for which a thread without work looks out for some before it sleeps; libgomp's own are 300,000
LARGEST_BLOCK = 32 << 20  # glibc takes no larger threshold


@contextmanager
def machine(threads: int | None) -> Iterator[None]:
    """PyTorch with `threads` threads inside the block (None: its own choice), and as before after it.

    Inside, numbers too small to be normal are zero: a decaying second moment of Adam would else slow its whole loop.
    One thing outlasts the block, as a process cannot ask for the old state: glibc keeps freed memory instead of handing
    it back to the kernel at every step and faulting it in again at the next (`bench/inner_step.py`).
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

    Raises `MerpoError` for another name, and where CUDA is asked for and missing.
    """
    if name not in DEVICES:
        raise MerpoError(f"device: got {name!r:.60}{nearest(name, DEVICES)}, expected {', '.join(DEVICES)}")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise MerpoError("device: got 'cuda', but this PyTorch finds no CUDA device; expected auto or cpu")
    return "cuda" if found and name != "cpu" else "cpu"


def patient_threads() -> None:
    """Have PyTorch's threads wait asleep; to be called before torch is imported, as its OpenMP library reads it then.

    While another process takes part of the machine, threads that wait awake keep those for which they wait from
    running: a small inner step then took 17 times as long (`bench/contention.py`). What the user set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def _keep_freed_memory() -> None:
    """Where the C library is glibc; elsewhere nothing."""
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP, LARGEST_BLOCK)
        library.mallopt(TRIM, 2**31 - 1)
        library.mallopt(ARENAS, 1)  # a worker's own arena would give its memory back all the same
