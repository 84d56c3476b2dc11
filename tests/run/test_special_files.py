"""A pipe, a device or a terabyte of nothing in place of any file: every command ends at once, with a clear message."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import tiny_recipe

from merpo.policies.export import export_policies
from merpo.report import html as report_html
from merpo.run.run import run_recipe
from merpo.testing.runner import MerpoRunner

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="pipes and devices"), pytest.mark.timeout(120)]
RECIPE = {"evaluate": {"during_training": 1, "snapshots": []}}
MEMORY = 6 << 30  # bytes of address space beyond what is used at the beginning
FILES = (
    "run/manifest.json", "run/recipe.toml", "run/metrics.jsonl", "run/training_curve.json", "run/timings.json",
    "run/report.json", "run/run.lock", "run/artifacts/adapted.safetensors", "run/artifacts/meta.safetensors",
    "run/artifacts/adapted-way.safetensors", "run/artifacts/normalization.safetensors", "run/videos/videos.json",
    "data/*/task-000.medium.json", "data/*/task-002.medium.safetensors", "data/*/task-002.medium.policy.safetensors",
    "data/*/checkpoints.safetensors", "data/*/checkpoints.toml", "export/task-002.medium.safetensors",
    "export/task-002.medium.onnx", "pumps/a.csv", "pumps/a.npz", "pumps/a.parquet", "columns.toml", "task.toml",
)  # fmt: skip
COMMANDS = (
    "run tiny.toml --out run", "adapt run --out new", "evaluate run", "export run --out more", "report run",
    "compare run", "compare run --json rows.json", "export export/task-002.medium.safetensors --out more",
    "check tiny.toml", "collect tiny.toml", "data list", "data show {collection}", "data verify {collection}",
    "data import {log} --columns columns.toml --task-params task.toml",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, its data, exported policies, and logs."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(folder / "data"))
        patch.setattr(report_html, "pictures", lambda report: [])
        run_recipe(tiny_recipe(RECIPE), folder / "run", [0], "cpu", True, quiet=True)
    for form in ("safetensors", "onnx"):
        export_policies(folder / "run", folder / "export", form, [2])
    MerpoRunner(folder).recipe(RECIPE)
    for name in ("a.csv", "a.npz", "a.parquet"):
        (folder / "pumps").mkdir(exist_ok=True)
        (folder / "pumps" / name).touch()
    for name in ("columns.toml", "task.toml"):
        (folder / name).touch()
    return folder


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Address space for little more than what is used: reading a device to its end fails instead of filling it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/statm")
    used = int(status.read_text().split()[0]) * resource.getpagesize() if status.exists() else 0
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def replace(path: Path, special: str) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    match special:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "terabyte":
            path.touch()
            os.truncate(path, 1 << 40)


SPECIAL = ("pipe", "device", "terabyte")
QUICK = {  # the others take minutes together
    ("run/manifest.json", "pipe"), ("run/artifacts/adapted.safetensors", "device"), ("columns.toml", "device"),
    ("data/*/task-002.medium.safetensors", "terabyte"), ("pumps/a.csv", "pipe"),
}  # fmt: skip
CASES = [
    pytest.param(file, special, marks=[] if (file, special) in QUICK else pytest.mark.slow)
    for file in FILES
    for special in SPECIAL
]


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(("file", "special"), CASES)
def test_every_command_ends(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, special: str
) -> None:
    folder = tmp_path / "x"
    shutil.copytree(whole, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MERPO_DATA", str(folder / "data"))
    monkeypatch.setattr(report_html, "pictures", lambda report: [])
    monkeypatch.setattr("merpo.compare.figures.comparison_pictures", lambda comparison: [])
    collection = next((folder / "data").iterdir()).name
    log = file if file.startswith("pumps/") else "pumps/a.csv"
    merpo, codes = MerpoRunner(folder), {}
    for command in COMMANDS:
        if (path := next(iter(folder.glob(file)), folder / file)).is_file() or not path.exists():
            replace(path, special)
        words = command.format(collection=collection, log=log).split()
        codes[command] = merpo(*words).code  # anything but an error of the library is raised
        shutil.rmtree(folder / "new", ignore_errors=True)
    assert set(codes.values()) <= {0, 1, 2}
    if not file.endswith(("videos.json", "task-002.medium.onnx", "normalization.safetensors", "run.lock")):
        assert 2 in codes.values(), f"no command noticed {file}: {codes}"
