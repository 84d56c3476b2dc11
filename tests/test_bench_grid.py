"""bench/grid: its plan, its meta-policies and episodes, a whole tiny grid, and its page from made-up returns."""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merpo import Spec, TaskDataset, init_policy
from merpo.errors import MerpoError
from merpo.nn.policy import distribution
from merpo.recipe.recipe import load_recipe

ROOT = Path(__file__).resolve().parent.parent
GRID = ROOT / "bench" / "grid"
RESULTS = {"grid.json", "grid.md", "grid.png"}
SEEDS, TASKS, STEPS = 5, 6, (100, 2000)


@pytest.fixture(autouse=True)
def _grid_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (GRID.parent, GRID):
        monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`call(*arguments)` does what the script does with these command-line arguments."""
    import run_grid

    def call(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["run_grid.py", *map(str, arguments)])
        run_grid.main()

    return call


def planned_cells(name: str) -> int:
    from grid_plan import FAMILIES

    family = FAMILIES[name]
    return sum(len(unit.cells) for quality in family.qualities for unit in family.units(quality))


def test_the_plan_has_every_axis_and_the_numbers_of_its_text() -> None:
    import grid_plan

    every = [(quality, unit, cell) for quality in grid_plan.WIND.qualities
             for unit in grid_plan.WIND.units(quality) for cell in unit.cells]  # fmt: skip
    assert {quality for quality, _, _ in every} == {"random", "medium", "expert", "mixed"}
    assert {unit.episodes for _, unit, _ in every} == {1, 2, 5, 20, 200}
    assert {cell.meta for _, _, cell in every} == set(grid_plan.METAS)
    assert {cell.setting.lambda_ for _, _, cell in every} == {0.0, 0.3, 3.0, 30.0}
    assert {cell.setting.alpha for _, _, cell in every} == {None, 0.0, 0.2, 0.4, 0.6, 1.0, "adaptive", "relative"}
    assert grid_plan.WIND.steps == (100, 300, 1000, 2000)
    assert f"there are {planned_cells('point-robot-wind')}." in str(grid_plan.__doc__)
    assert {name: planned_cells(name) for name in grid_plan.FAMILIES if name != "point-robot-wind"} == {
        "sparse-point-robot": 8, "heating": 8, "cart": 8,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["point-robot-wind", "sparse-point-robot"])
def test_settings_are_the_recipes_and_take_effect(name: str, tmp_path: Path) -> None:
    from grid_plan import FAMILIES, jobs

    family = FAMILIES[name]
    job = next(iter(jobs([family], 1, 1, tmp_path)))
    recipe = load_recipe(ROOT / "recipes" / f"{family.recipe}.toml", job.settings)
    method: Any = recipe.method
    assert family.steps[-1] == method.adaptation.steps
    assert (family.usual.lambda_, family.usual.alpha) == (method.rac.lambda_initial, method.alpha.initial)
    assert not method.rac.lambda_tune
    assert not method.rac.lambda_relative
    assert recipe.data.test_tasks >= 20
    for unit in job.units:
        for cell in unit.cells:
            changed: Any = load_recipe(ROOT / "recipes" / f"{family.recipe}.toml", cell.setting.overrides).method
            assert changed.rac.lambda_initial == cell.setting.lambda_
            found = changed.alpha.name if isinstance(cell.setting.alpha, str) else changed.adaptation.alpha
            assert found == cell.setting.alpha


@pytest.mark.parametrize("name", ["heating", "cart"])
def test_settings_of_foreign_families_are_the_defaults(name: str) -> None:
    from grid_plan import FAMILIES

    family = FAMILIES[name]
    method: Any = load_recipe(ROOT / "recipes" / f"{family.recipe}.toml").method
    assert family.steps[-1] == method.adaptation.steps
    assert (family.usual.lambda_, family.usual.alpha) == (method.rac.lambda_initial, method.alpha.name)
    assert method.rac.lambda_relative
    assert not method.rac.lambda_tune


def test_all_cells_of_a_seed_come_first_and_seeds_have_their_data_in_turn(tmp_path: Path) -> None:
    from grid_plan import FAMILIES, jobs

    planned = list(jobs([FAMILIES["point-robot-wind"], FAMILIES["cart"]], 3, 2, tmp_path))
    assert [job.seed for job in planned] == sorted(job.seed for job in planned)
    assert {(job.family.name, job.seed): job.data_seed for job in planned} == {
        ("point-robot-wind", 0): 0, ("point-robot-wind", 1): 1, ("point-robot-wind", 2): 0,
        ("cart", 0): 0, ("cart", 1): 0, ("cart", 2): 0,
    }  # fmt: skip
    files = [job.file(unit, cell) for job in planned for unit in job.units for cell in unit.cells]
    assert len(set(files)) == len(files)


@given(
    seed=st.integers(0, 2**31), hidden=st.lists(st.integers(1, 9), max_size=3), dims=st.tuples(*[st.integers(1, 4)] * 2)
)
def test_a_mirrored_policy_is_exactly_the_policy_seen_in_a_mirror(
    seed: int, hidden: list[int], dims: tuple[int, int]
) -> None:
    from grid_metas import mirrored

    generator = torch.Generator().manual_seed(seed)
    policy = init_policy(Spec(*dims), hidden, generator)
    policy = {key: value + 0.1 for key, value in policy.items()}
    before = {key: value.clone() for key, value in policy.items()}
    observation, action = seed % dims[0], seed % dims[1]
    turned = mirrored(policy, observation, action)
    states = torch.randn(50, dims[0], generator=generator)
    mirror_states, mirror_actions = torch.ones(dims[0]), torch.ones(dims[1])
    mirror_states[observation] = mirror_actions[action] = -1.0
    here, there = distribution(policy, states), distribution(turned, mirror_states * states)
    assert torch.equal(there.mode(), mirror_actions * here.mode())
    assert torch.equal(there.log_std, here.log_std)
    assert not torch.equal(distribution(turned, states).mean, here.mean)
    assert all(torch.equal(before[key], policy[key]) for key in policy)


def test_an_untrained_meta_policy_is_new_for_each_seed_and_a_trained_one_is_kept() -> None:
    from grid_metas import meta_policy

    spec = Spec(2, 2)
    trained = init_policy(spec, (8,), torch.Generator().manual_seed(0))
    assert meta_policy("trained", trained, spec, (8,), 0, (1, 1)) is trained
    first, again, second = (meta_policy("untrained", trained, spec, (8,), seed, (1, 1)) for seed in (0, 0, 1))
    assert torch.equal(first["w0"], again["w0"])
    assert not torch.equal(first["w0"], second["w0"])
    assert not torch.equal(first["w0"], trained["w0"])


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=12), seed=st.integers(0, 1000))
def test_some_episodes_are_whole_and_a_part_of_more_episodes(lengths: list[int], seed: int) -> None:
    from grid_unit import some_episodes

    offsets = torch.tensor([0, *lengths]).cumsum(0)
    rows = torch.arange(sum(lengths), dtype=torch.float32)
    data = TaskDataset(rows[:, None], rows[:, None], rows, rows[:, None], rows, rows, offsets)
    episodes = [tuple(range(int(a), int(b))) for a, b in pairwise(offsets)]
    smaller: set[tuple[int, ...]] = set()
    for count in range(1, len(lengths) + 1):
        part = some_episodes(data, count, seed)
        found = [tuple(part.rewards[int(a) : int(b)].int().tolist())
                 for a, b in pairwise(part.episode_offsets)]  # fmt: skip
        assert len(found) == count
        assert len(part) == sum(map(len, found))
        assert set(found) <= set(episodes)
        assert smaller <= set(found)
        smaller = set(found)
    assert some_episodes(data, None, seed) is data
    assert some_episodes(data, len(lengths) + 1, seed) is data


def test_episodes_are_not_the_first_ones() -> None:
    from grid_unit import some_episodes

    rows = torch.arange(200, dtype=torch.float32)
    data = TaskDataset(rows[:, None], rows[:, None], rows, rows[:, None], rows, rows, torch.arange(201))
    drawn = {tuple(some_episodes(data, 2, seed).rewards.tolist()) for seed in range(5)}
    assert len(drawn) == 5
    assert (0.0, 1.0) not in drawn


@pytest.mark.slow
def test_a_tiny_grid_is_measured_once_and_its_page_made_again(tmp_path: Path, call: Callable[..., Any]) -> None:
    from _results import json_problems, markdown_problems
    from grid_plan import FAMILIES, Cell, Setting, jobs, tiny
    from grid_unit import meta_train

    out, line = tmp_path / "out", [sys.executable, str(GRID / "run_grid.py"), "--tiny", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("32 of 32 cells to measure, 1 runs\n")
    assert {path.name for path in out.iterdir()} == {*RESULTS, "runs"}
    assert json_problems(json.loads((out / "grid.json").read_text("utf-8"))) == []
    assert markdown_problems((out / "grid.md").read_text("utf-8")) == []
    assert (out / "grid.png").read_bytes().startswith(b"\x89PNG")
    written = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}

    job = next(iter(jobs([tiny(FAMILIES["point-robot-wind"])], 1, 1, out / "runs", ["collect.batch_size=65"])))
    with pytest.raises(MerpoError, match=r"is a run with other settings: .*; give another --runs"):
        meta_train(job)

    page = (out / "grid.md").read_bytes()
    again = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout == "0 of 32 cells to measure, 0 runs\n"
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()} == written
    assert (out / "grid.md").read_bytes() == page

    call("--stored", out / "grid.json", "--out", tmp_path / "stored")
    assert {path.name for path in (tmp_path / "stored").iterdir()} == RESULTS - {"grid.json"}
    assert (tmp_path / "stored" / "grid.md").read_bytes() == page

    cells = {path.stem: json.loads(path.read_text("utf-8")) for path in (out / "runs").rglob("episodes-4/*.json")}
    adaptive = cells[Cell("trained", Setting(3.0, "adaptive")).name]
    assert list(adaptive["returns"]) == list(adaptive["alphas"]) == ["1", "2", "3"]
    assert all(len(values) == 2 for values in (*adaptive["returns"].values(), *adaptive["references"].values()))
    kinds = {"behavior", "behavior_mode", "clone", "clone_drawn", "meta_policy", "meta_policy_drawn", "oracle"}
    assert adaptive["references"].keys() == kinds
    assert len({cell["recipe"] for cell in cells.values()}) == len(cells)


def test_without_cells_nothing_is_written(tmp_path: Path, call: Callable[..., Any]) -> None:
    from _results import IncompleteResultsError

    for name in RESULTS:
        (tmp_path / name).write_text("before")
    with pytest.raises(IncompleteResultsError, match=r"bench/grid/run_grid\.py: no file was written") as caught:
        call("--tables", "--runs", tmp_path / "runs", "--out", tmp_path)
    assert "no cell was measured" in str(caught.value)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(RESULTS, "before")


def test_foreign_families_ask_for_their_package(
    tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(
        SystemExit, match="--families cart: their package is not installed; run: pip install -e bench/foreign"
    ):
        call("--families", "cart", "--runs", tmp_path / "runs", "--out", tmp_path)


def test_a_job_that_fails_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import run_grid
    from grid_plan import FAMILIES, jobs

    def work(job: Any) -> str:
        done.append(job.seed)
        if job.seed == 0:
            raise MerpoError("adapt, step 7: the loss is nan")
        return "a job"

    done: list[int] = []
    monkeypatch.setattr(run_grid, "work", work)
    monkeypatch.setattr(run_grid, "make_data", lambda left, at_once: None)
    planned = list(jobs([FAMILIES["sparse-point-robot"]], 2, 1, tmp_path))
    assert run_grid.measure_all(planned, 1) == ["adapt, step 7: the loss is nan"]
    assert done == [0, 1]


Effects = dict[int, dict[str, float]]  # episodes -> setting -> what it earns beyond λ = 0, after the last step
NAMES = {
    "usual": (3.0, 0.4),
    "meta": (3.0, 0.0),
    "behavior": (3.0, 1.0),
    "adaptive": (3.0, "adaptive"),
    "large": (30.0, 0.4),
}


def made_up(effects: Effects, seeds: int = SEEDS, noise: float = 0.05, data_seeds: int = 2) -> dict[str, Any]:
    """grid.json of a family whose settings differ from λ = 0 by `effects`, with noise of each seed."""
    chance = random.Random(0)
    units = []
    for seed in range(seeds):
        for episodes, own in effects.items():
            base = [-6.0 - 0.1 * task + chance.gauss(0.0, 0.2) for task in range(TASKS)]
            cells = [_made_up_cell(base, 0.0, 0.0, None)]
            for name, effect in own.items():
                lambda_, alpha = NAMES[name]
                cells.append(_made_up_cell(base, effect + chance.gauss(0.0, noise), lambda_, alpha))
            units.append(
                {
                    "family": "robots", "quality": "medium", "seed": seed, "data_seed": seed % data_seeds,
                    "episodes": episodes, "references": {"behavior": [-8.0] * TASKS, "clone": [-7.5] * TASKS},
                    "metas": {"trained": {"meta_policy": [-9.0] * TASKS, "meta_policy_drawn": [-9.5] * TASKS}},
                    "cells": cells,
                }
            )  # fmt: skip
    family = {"title": "Robots", "recipe": "robots", "steps": list(STEPS), "planned_cells": 60}
    return {"families": {"robots": {**family, "usual": {"lambda": 3.0, "alpha": 0.4}}}, "units": units}


def _made_up_cell(base: list[float], effect: float, lambda_: float, alpha: float | str | None) -> dict[str, Any]:
    cell: dict[str, Any] = {"meta": "trained", "lambda": lambda_, "seconds": 50.0}
    last = [value + effect for value in base]
    cell |= {"returns": {"100": [-20.0] * TASKS, "2000": last}, "drawn": [value - 1.0 for value in last]}
    if alpha is not None:
        cell["alpha"] = alpha
    if isinstance(alpha, str):
        cell["alphas"] = {"1": [0.4, 0.4, 0.4], "100": [0.401, 0.4, 0.402], "2000": [0.41, 0.4, 0.43]}
    return cell


def section(page: str, title: str) -> str:
    """A section of the page, with its table as lines of cells."""
    return page.partition(f"### {title}\n")[2].partition("\n### ")[0]


def row(page: str, title: str, *starts: str) -> list[str]:
    """The one row of a section's table that begins with these cells."""
    found = [line.strip("| ").split(" | ") for line in section(page, title).splitlines() if line.startswith("| ")]
    chosen = [cells for cells in found if tuple(cells[: len(starts)]) == starts]
    assert len(chosen) == 1, (starts, found)
    return chosen[0]


def test_the_page_tells_where_a_regularizer_pays_costs_and_cannot_be_told() -> None:
    from _results import json_problems, markdown_problems
    from grid_page import page

    content = made_up({2: {"usual": 1.0}, 20: {"usual": 0.0}, 200: {"usual": -1.0}})
    text = page(content)
    assert json_problems(content) == markdown_problems(text) == []
    title = "Does the regularizer pay?"
    verdicts = {n: row(text, title, f"medium, {n} episodes, trained")[1] for n in (2, 20, 200)}
    assert verdicts == {2: "pays", 20: "cannot be told", 200: "costs"}
    said = " ".join(section(text, title).split())
    assert "- The regularizer **pays** after 2000 steps on 1 of 3: medium, 2 episodes, trained (1.0" in said
    assert "- The regularizer **costs** after 2000 steps on 1 of 3: medium, 200 episodes, trained (-" in said
    assert "- Whether it pays **cannot be told** after 2000 steps on 1 of 3: medium, 20 episodes, trained." in said
    whole = " ".join(text.split())
    assert "the seeds have 2 collections of data in turn" in whole
    assert "Verdicts and their intervals are for new seeds of meta-training and adaptation." in whole
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith("|"))


def test_questions_compare_the_settings_that_they_name() -> None:
    from grid_page import page

    effects = {"usual": 1.0, "meta": 0.0, "behavior": 2.0, "adaptive": 1.0, "large": -3.0}
    text = page(made_up({1: effects}, noise=0.01))
    name = "medium, 1 episode, trained"
    expected = {
        "Does the regularizer pay?": ("pays", 1.0),
        "Does the meta-policy pay?": ("costs", -1.0),
        "Does the behaviour policy pay?": ("pays", 1.0),
        "Does λ = 30 pay?": ("costs", -3.0),
        "Does the adaptive α pay over the fixed one?": ("cannot be told", 0.0),
    }
    for title, (verdict, difference) in expected.items():
        found = row(text, title, name)
        assert found[1] == verdict, title
        assert float(found[5].split(" [")[0]) == pytest.approx(difference, abs=0.03), title
    assert "relative α pay" not in text  # no such cell
    assert row(text, "How far does α move?", name)[3:] == ["0.4000", "0.4010", "0.4100", "0.40 to 0.43"]


def test_differences_are_those_of_the_module_of_statistics() -> None:
    from grid_page import page

    from merpo.support.format import interval_text
    from merpo.support.statistics.crossed import crossed
    from merpo.support.statistics.estimate import paired

    content = made_up({2: {"usual": 1.0}}, noise=0.5)
    cells = [unit["cells"] for unit in content["units"]]
    second, first = ([one[i]["returns"]["2000"] for one in cells] for i in (0, 1))
    covers = ("meta-training", "adaptation")
    expected = paired([sum(x) / TASKS for x in first], [sum(x) / TASKS for x in second], covers)
    found = row(page(content), "Does the regularizer pay?", "medium, 2 episodes, trained")
    assert found[3] == f"{expected.p_value():.2g}"
    assert found[5] == interval_text(expected.interval)
    both = crossed([[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(first, second, strict=True)], covers)
    assert found[6] == interval_text(both)


def test_verdicts_are_corrected_for_all_rows_of_their_table() -> None:
    from grid_page import page

    title, name = "Does the regularizer pay?", "medium, 2 episodes, trained"
    alone = {2: {"usual": 0.9}}
    many = {**alone, **{n: {"usual": 0.0} for n in range(3, 20)}}
    p_alone, p_many = (float(row(page(made_up(each, noise=0.5)), title, name)[3]) for each in (alone, many))
    assert p_many > p_alone


def test_the_share_of_tasks_made_worse_and_its_change() -> None:
    from grid_page import page

    text = page(made_up({2: {"usual": 1.0}, 200: {"usual": -4.0}}, noise=0.01))
    title = "Which share of the tasks is made worse?"
    better = row(text, title, "medium, 2 episodes, trained", "λ = 3, α = 0.4")
    assert better[2:7] == ["falls", "5", "100%", "0%", "0%"]
    worse = row(text, title, "medium, 200 episodes, trained", "λ = 3, α = 0.4")
    assert worse[2:7] == ["cannot be told", "5", "100%", "100%", "100%"]
    assert "From 100 to 2000 steps it falls on 3, cannot be told on 1 of 4." in " ".join(text.split())
    assert row(text, "medium, 200 episodes, trained", "λ = 3, α = 0.4")[-1] == "100% / 100%"


def test_an_incomplete_grid_says_how_many_seeds_each_row_has() -> None:
    from grid_page import page

    content = made_up({2: {"usual": 1.0}, 200: {"usual": 1.0}})
    for unit in content["units"]:
        if unit["seed"] >= 3 and unit["episodes"] == 200:
            unit["cells"] = unit["cells"][:1]
    text = page(content)
    assert "Measured: 18 of 60 adaptations, with 3 to 5 seeds" in " ".join(text.split())
    title = "Does the regularizer pay?"
    assert [row(text, title, f"medium, {n} episodes, trained")[2] for n in (2, 200)] == ["5", "3"]
    assert row(text, "medium, 200 episodes, trained", "λ = 0")[1] == "5"
    assert row(text, "medium, 200 episodes, trained", "λ = 3, α = 0.4")[1] == "3"


def test_a_grid_of_one_seed_tells_nothing_and_shows_no_intervals_for_seeds() -> None:
    from _results import markdown_problems
    from grid_page import page

    text = page(made_up({2: {"usual": 1.0}}, seeds=1))
    assert markdown_problems(text) == []
    assert "With one seed there are no intervals for new seeds" in " ".join(text.split())
    found = row(text, "Does the regularizer pay?", "medium, 2 episodes, trained")
    assert (found[1], found[3]) == ("cannot be told", "–")
    assert "[" not in found[5]


def test_intervals_cover_new_data_only_if_every_seed_has_its_own() -> None:
    from grid_page import page

    own, shared = (" ".join(page(made_up({2: {"usual": 1.0}}, data_seeds=n)).split()) for n in (SEEDS, 1))
    assert "are for new seeds of data and meta-training and adaptation." in own
    assert "all seeds share one collection of data" in shared


def test_the_picture_is_drawn_of_any_part_of_a_grid() -> None:
    from grid_picture import picture

    for content in (made_up({2: {"usual": 1.0}, 200: {}}), made_up({1: {"adaptive": 1.0, "large": 0.0}}, seeds=1)):
        assert picture(content) == picture(content)
        assert picture(content).startswith(b"\x89PNG")
