"""Commands that only read and print answer at once: nothing heavy is imported, and the clock agrees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wheels import TOYS

HEAVY = ("torch", "numpy", "gymnasium", "jinja2", "matplotlib", "safetensors")
BOUND = 0.7  # seconds of the processor: what else the machine does is not counted
TRIES = 6  # the first has to compile

COMMANDS = {
    "--help": ["--help"],
    "run --help": ["run", "--help"],
    "list-components": ["list-components", "--json"],
    "data --help": ["data", "import", "--help"],
    "show": ["show", "method/toy"],
    "check": ["check", "x.toml", "--resolved"],
    "schema": ["schema"],
}


@pytest.fixture
def folder(install: Callable[..., Path], tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with x.toml, and an environment in which the toy plugin loads beside the built-in ones."""
    site = install("merpo-toys", {"toys_time": TOYS})
    (tmp_path / "x.toml").write_text('title = "A toy"\ntasks = "line"\nmethod = "toy"\n')
    path = os.pathsep.join([str(site), *(entry for entry in sys.path if entry)])
    dropped = ("MERPO_LOAD_PLUGINS", "PYTHONDONTWRITEBYTECODE")  # bytecode is kept between tries, as a user's is
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    return tmp_path, environment | {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_command_is_light_and_quick(folder: tuple[Path, dict[str, str]], command: str) -> None:
    cwd, environment = folder
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr))\n"
        f"sys.argv = ['merpo', *{COMMANDS[command]!r}]\n"
        "from merpo.cli.app import main\nmain()"
    )
    times = []
    for _ in range(TRIES):
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        if times[-1] < BOUND:
            break
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr.strip().splitlines()[-1] == "[]", "imported at start"
    print(f"merpo {command}: {min(times):.2f} s (bound {BOUND} s)")
    assert 0 < min(times) < BOUND
