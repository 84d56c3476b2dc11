"""The tour and the tutorials, followed step by step in a clone where the real recipe is a tiny one."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
from test_docs import BLOCKS, FOLLOWED, ROOT, Block
from test_new_plugin import wheel_of
from tiny import tables
from wheels import unpack

from merpo import registry
from merpo.testing_runner import MerpoRunner


class Reader:
    """Does what a page says: types its commands, and saves its code under the names it gives."""

    def __init__(self, clone: Path, site: Path, runner: MerpoRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clone, self.folder, self.site, self.runner, self.monkeypatch = clone, clone, site, runner, monkeypatch
        self.done: list[str] = []

    def follow(self, block: Block) -> None:
        """One block, whatever it is."""
        if block.what == "tutorial":
            path = self.folder / block.file
            path.write_text(block.text, "utf-8")
        elif block.language == "sh":
            for line in block.text.splitlines():
                self.type(line)

    def type(self, line: str) -> None:
        """One line of shell. A comment may say with what a command exits."""
        words = shlex.split(line, comments=True)
        found = re.search(r"# exits with (\d)", line)
        self.done.append(words[0] if words else "")
        match words:
            case ["merpo", *arguments]:
                answer = self.runner(*arguments)
                assert answer.code == (int(found[1]) if found else 0), f"{line}\n{answer.out}{answer.err}"
            case ["cd", folder]:
                self.folder = (self.folder / folder).resolve()
                self.monkeypatch.chdir(self.folder)
            case ["pip", "install", "-e", ".[test]"]:
                self.install(self.folder)
            case ["pip", "install", project]:
                self.install(ROOT / project)
            case ["pytest"]:
                self.test()
            case ["python3", "-m", "venv", *_]:
                assert line in (ROOT / "README.md").read_text("utf-8").replace("'.[tensorboard]'", ".")
            case _:
                raise AssertionError(f"a line that this reader does not know: {line}")

    def install(self, project: Path) -> None:
        unpack(wheel_of(project, self.site.parent), self.site)
        registry.refresh()

    def test(self) -> None:
        """The package's tests as they are now, installed anew, in a process of their own."""
        self.install(self.folder)
        path = os.pathsep.join([str(self.site), *(entry for entry in sys.path if entry)])
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "tests"],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def reader(
    merpo_runner: MerpoRunner, install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Reader:
    """A reader in a fresh clone, with no plugins but merpo's own and those of the tutorials."""
    site = install("merpo-nothing", {})
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", "merpo,merpo-cautious,merpo-example,merpo-mine")
    registry.refresh()
    clone = tmp_path / "clone"
    (clone / "recipes").mkdir(parents=True)
    (clone / "recipes" / "merpo_adp.toml").write_text(tomli_w.dumps(tables()), "utf-8")
    monkeypatch.chdir(clone)
    return Reader(clone, site, merpo_runner, monkeypatch)


@pytest.mark.parametrize("page", FOLLOWED)
def test_what_the_page_says_works(page: str, reader: Reader) -> None:
    steps = [block for block in BLOCKS if block.page == page and (block.what == "tutorial" or block.language == "sh")]
    for block in steps:
        if block.file == "reptile_awr.toml":  # with networks and steps as tiny as the recipe that it extends
            small = "batch_size = 16\niterations = 3\nsteps = 3\n"
            block = block._replace(text=block.text + small)
        reader.follow(block)
    assert "merpo" in reader.done
    named = set(re.findall(r"`(runs/tour/[\w.]+)`", (ROOT / page).read_text("utf-8")))
    assert page != "docs/tour.md" or len(named) == 3
    assert [name for name in sorted(named) if not (reader.clone / name).exists()] == []
    runs = sorted(path.parent for path in reader.clone.rglob("runs/**/report.html"))
    assert runs
    for run in runs:
        assert len(json.loads((run / "report.json").read_text("utf-8"))["tasks"]) == 2
        assert json.loads((run / "manifest.json").read_text("utf-8"))["versions"]["merpo"]


def test_a_reader_notices_what_does_not_work(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="does not know"):
        reader.type("merpoo run x")
    with pytest.raises(AssertionError, match=r"merpo check nowhere\.toml"):
        reader.type("merpo check nowhere.toml")
