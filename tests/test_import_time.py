"""Commands that only read and print answer at once: nothing heavy is imported, and the clock agrees."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from wheels import TOYS

HEAVY = ("torch", "numpy", "gymnasium", "matplotlib", "safetensors")
BOUND = 0.7  # seconds
SLOWER = 2.5  # times what the frameworks alone take to import, where that is longer
FRAMEWORKS = "import pluggy, pydantic, typer, typer.main"
TRIES = 6  # the first has to compile, and the machine may be busy with something else

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


def seconds(code: str, folder: tuple[Path, dict[str, str]]) -> tuple[float, subprocess.CompletedProcess[str]]:
    """How long a new interpreter takes for `code`, and what it printed."""
    cwd, environment = folder
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return time.perf_counter() - start, done


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_command_is_light_and_quick(folder: tuple[Path, dict[str, str]], command: str) -> None:
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr))\n"
        f"sys.argv = ['merpo', *{COMMANDS[command]!r}]\n"
        "from merpo.cli import main\nmain()"
    )
    times, frameworks = [], []
    for _ in range(TRIES):
        spent, done = seconds(code, folder)
        times.append(spent)
        frameworks.append(seconds(FRAMEWORKS, folder)[0])
        bound = max(BOUND, SLOWER * min(frameworks))
        if min(times) < bound:
            break
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr.strip().splitlines()[-1] == "[]", "imported at start"
    print(f"merpo {command}: {min(times):.2f} s (bound {bound:.2f} s)")
    assert min(times) < bound
