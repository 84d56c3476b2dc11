"""The scripts under bench/: those that call `merpo` notice when it does nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"


@pytest.fixture(autouse=True)
def _bench_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


def test_a_command_that_does_nothing_is_an_error(tmp_path: Path) -> None:
    from _command import merpo

    with pytest.raises(RuntimeError, match="`merpo --version` returned 0 without writing"):
        merpo("--version", makes=tmp_path / "report.json", quiet=True)


def test_no_file_runs_a_module_inside_of_merpo() -> None:
    folders = (BENCH, ROOT / "docs", ROOT / "merpo", ROOT / "plugins", ROOT / "site_pages", ROOT / "tests")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".md"}]
    files += [ROOT / "noxfile.py", ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found = [path for path in files if re.search(r"""-m["', ]+merpo\.""", path.read_text("utf-8"))]
    assert found == []  # `python -m merpo` is the one that stays
