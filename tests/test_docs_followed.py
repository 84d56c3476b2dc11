"""Every page, followed step by step in a clone where the real recipe is a tiny one."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from blocks import BLOCKS, ROOT, Block
from logs import write_machines
from reader import NOT_CARRIED_OUT, Reader, commands
from tiny import tables, tiny_recipe, write_tiny

from merpo.components import registry
from merpo.data.needed import collection_folder
from merpo.recipe.extends import merge
from merpo.recipe.recipe import load_recipe
from merpo.testing.runner import MerpoRunner

TINY = {"evaluate": {"snapshots": [], "videos": 0}}
COLLECTION = collection_folder(tiny_recipe(TINY)).name
MINE = collection_folder(load_recipe(ROOT / "recipes" / "merpo_adp.toml")).name
GIVEN = ("good", "poor", "expert")
FOLLOWED = sorted({block.page for block in BLOCKS})

FIGURE, PLANNED = "merpo reproduce fig4 --seeds 0:5 --jobs 2", "merpo reproduce fig4 --dry-run"

# What stands on a page for something of the reader's, or takes long, and what this reader has instead.
STAND_INS = {
    "docs/commands.md": {
        FIGURE: PLANNED, "COLLECTION": COLLECTION, "task-041": "task-003", "0:4": "0:1", "0.1,0.4": "0.1",
    },
    "docs/after_training.md": {
        MINE: COLLECTION, "task-040": "task-002", "task-041": "task-003", "--task 40": "--task 2",
        "0.1,0.3,0.5": "0.1", "0:4": "0:1", FIGURE: PLANNED,
    },
    "docs/data.md": {
        "D4RL/door/human-v2": "lab/task-000-medium-v0", "D4RL/pen/*-v2": "lab/*-v0",
        "lab/slow-v0": "lab/task-001-medium-v0", "lab/fast-v0": "lab/task-002-medium-v0",
        "point-robot-wind-0123456789ab": COLLECTION,
    },
    "docs/library.md": {"task=40": "task=2"},
    "docs/own_method.md": {'"reptile-awr"\n': '"reptile-awr"\nbatch_size = 16\niterations = 3\nsteps = 3\n'},
    "docs/own_tasks.md": {"./swing": "docs/example_family"},
    "docs/recipes.md": {"0:4": "0:2"},
    "docs/serving.md": {"--task 40": "--task 2"},
    "docs/single_task.md": {
        **{f"merpo sweep recipes/section_5_1/rac_{one}.toml --set method.alpha.initial=0.0,0.4,0.7,1.0":
           f"merpo run recipes/section_5_1/rac_{one}.toml --set method.alpha.initial=0.0" for one in GIVEN},
        "0.0,0.4,0.7,1.0": "0.0,1.0", "0:4": "0:1",
    },
    "docs/tuning.md": {"adaptation_steps=200": "adaptation_steps=4", "steps=1500": "steps=5", "0:4": "0:2"},
}  # fmt: skip

# What a page's commands leave in the reader's clone.
LEFT = {
    "docs/commands.md": (
        "runs/new/summary.json", "sweeps/alpha/summary.csv", "comparison/comparison.html", "results.md",
    ),
    "docs/after_training.md": (
        "runs/first/export/task-002.medium.safetensors", "runs/first/export/task-002.medium.onnx",
        "runs/new/artifacts/adapted.safetensors", "returns.json", "comparison/arms.csv", "comparison/runs.csv",
        "sweeps/alpha/summary.csv", "results.json", "results.md",
        "runs/reproduce/alphas-winds-small/figure.png",
    ),
    "docs/library.md": ("runs/library/report.json", "runs/library/metrics.jsonl"),
    "docs/serving.md": ("policies/task-002.medium.onnx", "policies/README.md"),
    "docs/own_tasks.md": ("swing-run/report.html", "pumps-run/report.html"),
    "docs/single_task.md": ("runs/combo/report.html", "comparison/comparison.html", "expert.md", "walker.md"),
    "docs/tour.md": ("runs/tour/report.html", "runs/fixed/summary.json"),
    "docs/tuning.md": ("runs/clone/report.html", "comparison/comparison.html"),
}  # fmt: skip


def as_mine(block: Block) -> Block:
    """The block with this reader's names and values; a copy of a file stays one."""
    if block.what in ("file", "excerpt"):
        return block
    text = block.text
    for old, new in STAND_INS.get(block.page, {}).items():
        text = text.replace(old, new)
    return block._replace(text=text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of the recipe, `run`, and the store with its data, `store`; copied by those who change it."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(folder / "store"))
        patch.setattr("merpo.report.html.pictures", lambda report: [])
        recipe = write_tiny(folder / "recipe.toml", TINY)
        assert MerpoRunner(folder)("run", recipe, "--out", folder / "run").code == 0
    return folder


@pytest.fixture
def reader(
    merpo_runner: MerpoRunner,
    install: Callable[..., Path],
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    """A reader in a fresh clone, with no plugins but merpo's own and those of the tutorials."""
    site = install("merpo-nothing", {})
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", "merpo,merpo-cautious,merpo-example,merpo-halving,merpo-mine,merpo-swing")
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # the answer to: delete?
    monkeypatch.setattr("merpo.report.html.pictures", lambda report: [])  # they take long, and have tests of their own
    shutil.copytree(finished / "store", tmp_path / "data")
    registry.refresh()
    clone = tmp_path / "clone"
    (clone / "recipes").mkdir(parents=True)
    (clone / "recipes" / "merpo_adp.toml").write_text(tomli_w.dumps(tables(TINY)), "utf-8")
    monkeypatch.chdir(clone)
    return Reader(clone, site, merpo_runner, monkeypatch)


def prepare(page: str, reader: Reader, finished: Path) -> None:
    """What a page takes for granted."""
    run = "merpo run recipes/merpo_adp.toml --set method.alpha.initial"
    if page == "docs/commands.md":
        write_machines(reader.clone / "pumps", [1.0, 2.0])
        for name in ("first", "mine"):
            shutil.copytree(finished / "run", reader.clone / "runs" / name)
        (reader.clone / "runs" / "mine" / "report.json").unlink()  # interrupted before its end
    if page == "docs/after_training.md":
        reader.type(f"{run}=0.2 --out runs/second")
        reader.type(f"{run}=0.3 --out runs/study/a")
    if page == "docs/single_task.md":
        (reader.clone / "recipes" / "single").mkdir()
        (reader.clone / "recipes" / "single" / "rac.toml").write_text(tomli_w.dumps(single()), "utf-8")
        (reader.clone / "recipes" / "section_5_1" / "walker2d").mkdir(parents=True)
        arms = (
            "data",
            "expert_data",
            "combo",
            "rac_good",
            "rac_poor",
            "rac_expert",
            "combo_expert",
            "walker2d/data",
            "walker2d/rac_poor",
        )
        for i, name in enumerate(arms):
            other = {"method": {"model": {"steps": 3 + i}}}  # so that they are other arms
            text = tomli_w.dumps(merge(single(), other))
            (reader.clone / "recipes" / "section_5_1" / f"{name}.toml").write_text(text, "utf-8")
    if page == "docs/data.md":
        write_machines(reader.clone / "pumps", [1.0, 2.0, 3.0, 4.0])
        winds = (
            "[task-001-medium-v0]\nwind = [1.0, 2.0]\nseed = 0\n\n[task-002-medium-v0]\nwind = [0.0, 1.0]\nseed = 1\n"
        )
        (reader.clone / "tasks.toml").write_text(winds, "utf-8")
        reader.type(f"merpo data export {COLLECTION} --namespace lab")


def single() -> dict[str, Any]:
    """RAC on one task at a time, as tiny as the other recipe."""
    made = tables(TINY)
    kept = {name: made["method"][name] for name in ("dynamics", "critic", "behavior", "rac")}
    model = {"steps": 3, "batch_size": 16}
    made["method"] = {
        "component": "single", "steps": 3, "model": model, "meta_policy": {"source": "random"},
        "alpha": {"component": "fixed"}, **kept,
    }  # fmt: skip
    return made


@pytest.mark.parametrize("page", FOLLOWED)
def test_what_the_page_says_works(page: str, reader: Reader, finished: Path) -> None:
    prepare(page, reader, finished)
    for block in BLOCKS:
        if block.page == page:
            reader.follow(as_mine(block))
    named = set(re.findall(r"`(runs/tour/[\w.]+)`", (ROOT / page).read_text("utf-8")))
    assert page != "docs/tour.md" or len(named) == 3
    assert [name for name in sorted(named) if not (reader.clone / name).exists()] == []
    assert [name for name in LEFT.get(page, ()) if not (reader.clone / name).exists()] == []
    for path in reader.clone.rglob("report.json"):
        assert len(json.loads(path.read_text("utf-8"))["tasks"]) >= 1
        assert (path.parent / "report.html").exists()
        assert json.loads((path.parent / "manifest.json").read_text("utf-8"))["versions"]["merpo"]


def test_nothing_is_listed_that_no_page_has() -> None:
    lines = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]
    assert set(NOT_CARRIED_OUT) <= {command for line in lines for command in commands(line)}
    for page, changes in STAND_INS.items():
        assert [old for old in changes if old not in (ROOT / page).read_text("utf-8")] == []


def test_a_reader_notices_what_does_not_work(reader: Reader) -> None:
    def block(language: str, text: str) -> Block:
        return Block("page.md", 1, language, text, "", "")

    for text in ("merpoo run x", "nox -s unheard-of", "nox && curl x", "pip install"):
        with pytest.raises(AssertionError, match="unknown command"):
            reader.follow(block("sh", text))
    with pytest.raises(AssertionError, match=r"merpo check nowhere\.toml"):
        reader.follow(block("sh", "# a comment\nmerpo check nowhere.toml"))
    with pytest.raises(AssertionError, match="--no-such-option"):
        reader.follow(block("sh", "merpo check recipes/merpo_adp.toml --no-such-option"))
    with pytest.raises(AssertionError, match="merpo check"):
        reader.follow(block("sh", "merpo check recipes/merpo_adp.toml  # exits with 2"))
    with pytest.raises(AssertionError, match="exits with 75"):
        reader.follow(block("sh", "#SBATCH --requeue\nmerpo run x\nexit 0\n"))
    with pytest.raises(ZeroDivisionError):
        reader.follow(block("python", "1 / 0"))
    for language in ("", "bash", "console"):
        with pytest.raises(AssertionError, match="unknown language"):
            reader.follow(block(language, "merpo"))
