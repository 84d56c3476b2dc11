"""merpo.support.machine: a recipe's number of threads holds inside the block only."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from merpo.support.machine import SPINS, machine, passive_waiting


@pytest.mark.parametrize("count", [None, 1, 2])
def test_threads_hold_inside_and_are_restored_outside(count: int | None) -> None:
    before = torch.get_num_threads()
    with machine(count):
        assert torch.get_num_threads() == (before if count is None else count)
    assert torch.get_num_threads() == before


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), machine(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_tiny_numbers_are_zero_inside_and_themselves_outside() -> None:
    tiny = torch.tensor([1e-40])
    with machine(None):
        assert float(tiny * 0.5) == 0.0
    assert float(tiny * 0.5) > 0.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": str(SPINS)}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_threads_are_patient_unless_the_user_says_how(
    given: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", dict(given))
    passive_waiting()
    assert os.environ == expected


def test_the_command_line_says_so_before_torch_is_there() -> None:
    """libgomp reads the variable when it is loaded."""
    code = """
import os, sys
import merpo.cli.app
merpo.cli.app.app = lambda: print("torch" in sys.modules, os.environ["GOMP_SPINCOUNT"])
merpo.cli.app.main()
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", str(SPINS)]


ARENAS = """
import ctypes, sys, threading, torch
from merpo.support.machine import machine

torch.empty(1)
with machine(1):
    thread = threading.Thread(target=lambda: torch.empty(1 << 10).fill_(1.0))
    thread.start()
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = libc.fopen(sys.argv[1].encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(file))
libc.fclose(ctypes.c_void_p(file))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep freed memory")
def test_a_worker_takes_its_memory_from_where_it_is_kept(tmp_path: Path) -> None:
    """In a process of its own, as a process cannot ask for the old state; torch must not have threads before it."""
    report = tmp_path / "malloc.xml"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", ARENAS, str(report)], check=True, env=environment)
    assert report.read_text("utf-8").count("<heap nr=") == 1
