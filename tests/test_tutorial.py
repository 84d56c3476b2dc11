"""The tutorial, followed to the letter: its files are written, its code and its commands run in order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer
from test_docs import ROOT

from merpo import registry

PAGE = ROOT / "docs" / "own_tasks.md"
FAMILY = ROOT / "docs" / "example_family"
BLOCK = re.compile(
    r"(?:^<!-- (?P<what>file|write): (?P<name>\S+) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture
def swing(install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install ./swing`."""
    install(
        "merpo-swing",
        {"merpo_swing": (FAMILY / "merpo_swing.py").read_text("utf-8")},
        entry_points="[merpo]\nswing = merpo_swing\n",
    )
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", "merpo,merpo-swing")
    registry.refresh()


@pytest.mark.usefixtures("swing")
def test_the_tutorial_does_what_it_says(
    merpo_cli: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "own-store"))
    said: dict[str, str] = {}
    for block in BLOCK.finditer(PAGE.read_text("utf-8")):
        if block["what"] == "file":
            continue  # test_docs compares it with the file, which is installed
        if block["what"] == "write":
            Path(block["name"]).write_text(block["body"], "utf-8")
        elif block["language"] == "python":
            exec(compile(block["body"], str(PAGE), "exec", dont_inherit=True), {"__name__": "tutorial"})
        else:
            assert block["language"] == "sh"
            for line in block["body"].splitlines():
                words = shlex.split(line, comments=True)
                if words[0] == "merpo":
                    done = merpo_cli(*words[1:])
                    assert done.code == 0, (line, done.err)
                    said[line] = done.out
    assert "There is no environment" in said["merpo run pumps.toml --out pumps-run"]
    assert "return on unseen tasks" in said["merpo run swing.toml --out swing-run"]
    for folder in ("swing-run", "pumps-run"):
        assert (Path(folder) / "report.html").exists()
    assert len(said) == 8


def test_the_familys_package_is_whole() -> None:
    import tomllib

    project = tomllib.loads((FAMILY / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["entry-points"]["merpo"] == {"swing": "merpo_swing"}
    assert project["tool"]["setuptools"]["py-modules"] == ["merpo_swing"]
