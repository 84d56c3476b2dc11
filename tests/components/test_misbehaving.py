"""Whatever a plugin raises, prints or ends, the others work, and results stay results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import call_merpo
from wheels import TOYS

from merpo.components.registry import components, names

BAD_OBJECTS = {
    "a raising __repr__": "class Bad:\n    def __repr__(self):\n        raise {error}\nOFFERED = Bad()",
    "a raising __hash__": "class Bad:\n    def __hash__(self):\n        raise {error}\nOFFERED = Bad()",
    "a raising __eq__": (
        "class Bad:\n    def __eq__(self, other):\n        raise {error}\n    __hash__ = None\nOFFERED = Bad()"
    ),
    "a raising __class__": "class Bad:\n    __class__ = property(lambda self: 1 / 0)\nOFFERED = Bad()",
    "a metaclass whose classes cannot be hashed": (
        "class Meta(type(merpo.AlphaScheduler)):\n    def __hash__(self):\n        raise {error}\n"
        "class OFFERED(merpo.AlphaScheduler, metaclass=Meta):\n    '''Bad.'''\n    name = 'bad'\n"
        "    initial: float = pydantic.Field(0.1, description='First.')\n"
        "    def update(self, alpha, to_behavior, to_meta):\n        return alpha\n"
    ),
    "a metaclass whose classes have no text": (
        "class Meta(type):\n    def __repr__(self):\n        raise {error}\nclass OFFERED(metaclass=Meta):\n    pass\n"
    ),
    "a constructor that raises": (
        "class OFFERED(merpo.AlphaScheduler):\n    '''Bad.'''\n    name = 'bad'\n"
        "    initial: float = pydantic.Field(0.1, description='First.')\n"
        "    def model_post_init(self, _):\n        raise {error}\n"
        "    def update(self, alpha, to_behavior, to_meta):\n        return alpha\n"
    ),
    "a comparison that raises": (
        "class OFFERED(merpo.AlphaScheduler):\n    '''Bad.'''\n    name = 'bad'\n"
        "    initial: float = pydantic.Field(0.1, description='First.')\n"
        "    def __eq__(self, other):\n        raise {error}\n    __hash__ = object.__hash__\n"
        "    def update(self, alpha, to_behavior, to_meta):\n        return alpha\n"
    ),
    "a default without text": (
        "class Odd(str):\n    def __str__(self):\n        raise {error}\n    __repr__ = __str__\n"
        "class OFFERED(merpo.AlphaScheduler):\n    '''Bad.'''\n    name = 'bad'\n    initial: Odd = Odd('x')\n"
        "    def update(self, alpha, to_behavior, to_meta):\n        return alpha\n"
    ),
    "a hook that raises": "OFFERED = property(lambda: 0)\ndef fail():\n    raise {error}",
}
ERRORS = ["SystemExit(0)", "SystemExit('gone')", "ValueError('\\x1b[2Jno')", "RecursionError()", "Silent()"]
SILENT = "class Silent(Exception):\n    def __str__(self):\n        raise ValueError\n    __repr__ = __str__\n"


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("what", list(BAD_OBJECTS))
def test_whatever_an_object_of_a_plugin_raises_the_others_work(
    install: Callable[..., Path], what: str, error: str
) -> None:
    source = f"import merpo, pydantic\n{SILENT}{BAD_OBJECTS[what].format(error=error)}\n\n"
    body = "fail()" if what == "a hook that raises" else "return [OFFERED]"
    install("merpo-bad", {"bad_objects": f"{source}@merpo.hookimpl\ndef merpo_components():\n    {body}\n"})
    install("merpo-toys", {"toys_beside": TOYS})
    found = components()
    assert {entry.status for entry in found if entry.distribution == "merpo-bad"} == {"broken"}
    assert {entry.status for entry in found if entry.distribution == "merpo-toys"} == {"ok"}
    assert names("alpha") == ["even", "odd"]


NOISY = (
    "import atexit, ctypes, os, sys\n"
    "os.write(1, b'fd at import\\n')\nprint('print at import')\n"
    "atexit.register(lambda: (os.write(1, b'fd at exit\\n'), print('print at exit')))\n"
    "sys.__stdout__.write('original\\n'); sys.__stdout__.flush()\n"
    "sys.stdout.close()\n"
)


@pytest.mark.parametrize("command", ["list-components --json", "schema", "check x.toml --resolved"])
def test_what_a_plugin_prints_does_not_break_results(
    install: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    site = install("merpo-toys", {"toys_noisy": TOYS + NOISY})
    (tmp_path / "x.toml").write_text('title = "A toy"\ntasks = "line"\nmethod = "toy"\n')
    path = os.pathsep.join([str(site), *(entry for entry in sys.path if entry)])
    done = subprocess.run(
        [sys.executable, "-m", "merpo", *command.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout) if "resolved" in command else json.loads(done.stdout)
    for word in ("fd at import", "print at import", "fd at exit", "print at exit", "original"):
        assert word in done.stderr


@pytest.mark.parametrize("code", ["SystemExit(0)", "SystemExit()", "SystemExit('bye')", "SystemExit(75)"])
def test_a_component_that_ends_python_does_not_end_merpo(
    install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, code: str
) -> None:
    method = f"def model_post_init(self, _):\n        if self.initial == 0.7:\n            raise {code}\n\n    "
    ending = TOYS.replace("def update(", f"{method}def update(", 1)
    install("merpo-toys", {"toys_ending": ending})
    (tmp_path / "x.toml").write_text('title = "A toy"\ntasks = "line"\n[method]\ncomponent = "toy"\n')
    monkeypatch.chdir(tmp_path)
    answer = call_merpo(monkeypatch, capfd, "check", "x.toml", "--set", "method.alpha.initial=0.7")
    assert answer.code == 2
    assert "a plugin or library tried to end merpo" in answer.err
