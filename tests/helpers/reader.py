"""Execution of the documentation's blocks: commands, code and files of a page."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import ROOT, Block
from plugin_wheels import wheel_of
from wheels import unpack

from merpo.components import registry
from merpo.testing.runner import MerpoRunner

# All commands in the documentation that the tests do not execute, with the reason.
NOT_CARRIED_OUT = {
    "python3 -m venv .venv": "a new environment takes minutes; CI makes one with the README's own line",
    ". .venv/bin/activate": "of that environment",
    "pip install -c constraints.txt .": "into that environment",
    "pip install -c constraints.txt '.[tensorboard]'": "into that environment",
    "pip install -c constraints.txt -e '.[dev]'": "into that environment",
    "pip install -c constraints.txt nox": "into that environment",
    "pip install fastapi uvicorn onnxruntime": "merpo does without a web framework",
    "POLICY=policies/task-040.medium.onnx uvicorn --factory server:app": "of that framework; tests/test_serving.py",
    "curl localhost:8000/policy": "of that service",
    "curl localhost:8000/act --json '{\"observations\": [[0.0, 0.0]]}'": "of that service",
    "nox": "runs these tests",
    "nox -s tests": "runs these tests",
}

# Libraries that pages mention and merpo does without: a block that imports one is carried out where it is installed.
OPTIONAL = ("pandas",)


def missing(block: Block) -> bool:
    """Whether a block imports an optional library that is not installed."""
    imported = set(re.findall(r"^import (\w+)", block.text, re.MULTILINE)).intersection(OPTIONAL)
    return any(importlib.util.find_spec(name) is None for name in imported)


def commands(line: str) -> list[str]:
    """The commands of a line of shell, without its comment."""
    words = re.split(r"\s+&&\s+", re.sub(r"(^|\s+)#.*$", "", line).strip())
    return [word for word in words if word]


class Reader:
    """Executes a page's commands and code, and writes its files."""

    def __init__(self, clone: Path, site: Path, runner: MerpoRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clone, self.folder, self.site, self.runner, self.monkeypatch = clone, clone, site, runner, monkeypatch
        self.said: dict[str, str] = {}

    def follow(self, block: Block) -> None:
        """Execute a block according to its kind and language."""
        match block.what, block.language:
            case "tutorial", _:
                (self.folder / block.file).write_text(block.text, "utf-8")
            case (("file" | "excerpt"), _):
                pass  # compared with its file in test_docs.py
            case _, "sh" if block.text.startswith("#SBATCH"):
                self.submit(block.text)
            case _, "sh":
                for line in block.text.splitlines():
                    self.type(line)
            case _, "python" if missing(block):
                pass
            case _, "python":
                exec(compile(block.text, str(block), "exec", dont_inherit=True), {"__name__": "docs"})
            case _, ("toml" | "text"):
                pass  # TOML is loaded in test_docs.py; text is a diagram
            case _:
                raise AssertionError(f"{block}: unknown language {block.language!r}")

    def type(self, line: str) -> None:
        """Execute a line of shell; a comment `# exits with N` gives the expected exit code."""
        found = re.search(r"# exits with (\d)", line)
        for command in commands(line):
            if command not in NOT_CARRIED_OUT:
                self.call(command, int(found[1]) if found else 0)

    def call(self, command: str, code: int = 0) -> None:
        """Execute a command and check its exit code."""
        match shlex.split(command):
            case ["merpo", *arguments]:
                answer = self.runner(*arguments)
                assert answer.code == code, f"{command}\n{answer.out}{answer.err}"
                self.said[command] = answer.out
            case ["cd", folder]:
                self.folder = (self.folder / folder).resolve()
                self.monkeypatch.chdir(self.folder)
            case ["pip", "install", "-e", ".[test]"]:
                self.install(self.folder)
            case ["pip", "install", project]:
                self.install(ROOT / project)
            case ["pytest"]:
                self.test()
            case _:
                raise AssertionError(f"unknown command: {command}")

    def submit(self, script: str) -> None:
        """Execute a Slurm script with runs that are stopped, finished or refused: only a stopped run is requeued."""
        for code, queued in ((75, "requeue 7\n"), (0, ""), (2, "")):
            stubs = f"merpo() {{ return {code}; }}\nscontrol() {{ echo $1 $2; }}\nSLURM_JOB_ID=7\n"
            done = subprocess.run(["bash", "-c", stubs + script], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout, done.stderr) == (code, queued, ""), f"where a run exits with {code}"

    def install(self, project: Path) -> None:
        """Install a package's wheel into `site` and refresh the registry."""
        unpack(wheel_of(project, self.site.parent), self.site)
        registry.refresh()

    def test(self) -> None:
        """Reinstall the package in the current folder and run its tests in a subprocess."""
        self.install(self.folder)
        path = os.pathsep.join([str(self.site), *(entry for entry in sys.path if entry)])
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "tests"],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
