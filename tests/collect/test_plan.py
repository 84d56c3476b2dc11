"""What a collection says before it begins: counts that come true, room on the disk, and an estimate of the time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ensured import ensure, hashes
from hypothesis import assume, given
from hypothesis import strategies as st
from small import critic, make
from tiny import tiny_recipe

from merpo.artifacts import keeper
from merpo.collect import behavior_policies as collect_train
from merpo.collect import plan as collect_plan
from merpo.collect import plan as collect_probe
from merpo.collect import train as collect_module
from merpo.collect.collect import ensure_data
from merpo.collect.plan import (
    CollectPlan,
    Pace,
    check_space,
    estimate_seconds,
    measure_pace,
    plan_collection,
    plan_lines,
)
from merpo.collect.train import MEASURED_EPISODES, train_behavior
from merpo.components.context import Context
from merpo.data.needed import collection_folder
from merpo.errors import DatasetError
from merpo.recipe.recipe import load_recipe
from merpo.recipe.sections import CollectSettings
from merpo.support.format import bytes_text

SMALL = {"batch_size": 8, "hidden": (8,)}


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@given(st.integers(1, 60), st.integers(0, 59), st.integers(1, 60), st.integers(1, 9), st.integers(0, 60))
def test_counts_are_those_of_the_loop(steps: int, seeds: int, every: int, update: int, since: int) -> None:
    assume(seeds < steps and every <= steps and since <= steps)
    settings = CollectSettings(steps=steps, seed_steps=seeds, checkpoint_every=every, update_every=update)
    assert settings.gradient_steps(since) == sum(map(settings.learns, range(since, steps)))
    assert settings.kept_policies(since) == sum(map(settings.keeps_policy, range(since, steps + 1)))


@pytest.mark.parametrize(("steps", "every", "update"), [(24, 8, 1), (25, 10, 3)])
def test_the_plan_comes_true(monkeypatch: pytest.MonkeyPatch, steps: int, every: int, update: int) -> None:
    family = make("tasks", "point-robot-wind", horizon=5)
    settings = CollectSettings(steps=steps, seed_steps=7, checkpoint_every=every, update_every=update, **SMALL)
    done = {"learn": 0, "measure": 0}
    learn, measure = collect_module.rac_step, collect_module.evaluate

    def count_learn(*given: Any) -> Any:
        done["learn"] += 1
        return learn(*given)

    def count_measure(*given: Any) -> Any:
        found = measure(*given)
        done["measure"] += int(found.lengths.sum())
        return found

    monkeypatch.setattr(collect_module, "rac_step", count_learn)
    monkeypatch.setattr(collect_module, "evaluate", count_measure)
    made = train_behavior(family, critic(), family.tasks(3, 0)[0], settings, Context())
    plan = plan_collection(family, critic(), settings, 3, 4, ["random"] * 3, 0)
    assert plan.environment_steps == 3 * steps
    assert plan.gradient_steps == done["learn"]
    assert plan.measuring_steps == done["measure"]
    assert plan.kept_policies == len(made.steps)
    assert plan.rows == 3 * 4 * 5


@pytest.mark.parametrize("quality", ["medium", "mixed"])
def test_bytes_on_the_disk_are_as_planned(monkeypatch: pytest.MonkeyPatch, quality: str) -> None:
    recipe = tiny_recipe({"data": {"quality": quality, "episodes": 40}, "run": {"checkpoint_every": 0}})
    folder, plans, sizes = collection_folder(recipe), [], []
    write, check = keeper.write_checkpoint, collect_train.check_space

    def weigh(*given: Any) -> Any:
        path = write(*given)
        sizes.append(size(folder))
        return path

    def listen(folder: Path, plan: CollectPlan) -> int:
        plans.append(plan)
        return check(folder, plan)

    monkeypatch.setattr(keeper, "write_checkpoint", weigh)
    monkeypatch.setattr(collect_train, "check_space", listen)
    ensure(recipe)
    (plan,) = plans
    files = [path for path in folder.rglob("*") if path.is_file()]
    unsure = collect_plan.PER_FILE * len(files) + 24 * 16  # headers, manifests, and the lines of the learning curve
    assert plan.kept_bytes - unsure <= size(folder) <= plan.kept_bytes
    assert 0.7 * plan.peak_bytes <= max(sizes) <= plan.peak_bytes


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_disk_without_room_is_refused_before_any_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(DatasetError, match=r"point-robot-wind-.*collecting needs .* kB of disk, 1\.0 kB are free"):
        ensure(tiny_recipe())
    assert list(collection_folder(tiny_recipe()).iterdir()) == []


def test_what_an_interrupted_collection_holds_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**6, 10**6 - 1000, 1000))
    plan = CollectPlan(1, 1, 1, 1, 1, 1, 500, 5000, ends_early=False)
    with pytest.raises(DatasetError, match="MERPO_DATA"):
        check_space(tmp_path / "not" / "there", plan)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "state").write_bytes(b"x" * 4000)
    assert check_space(tmp_path, plan) == 1000


def interrupted_after(step: int) -> Callable[..., Any]:
    """`train_behavior` that is killed after a step whose state was kept."""

    def train(family: Any, critic: Any, tasks: Any, settings: Any, context: Any) -> Any:
        def keep(label: str, at: int, state: Any) -> None:
            context.save_state(label, at, state)
            if at == step:
                raise KeyboardInterrupt

        changed = Context(context.seed, log=context.log, resume=context.resume, save_state=keep)
        return train_behavior(family, critic, tasks, settings, changed)

    return train


def test_only_what_is_left_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny_recipe({"run": {"checkpoint_every": 0}})
    said: list[str] = []
    monkeypatch.setattr(collect_train, "train_behavior", interrupted_after(41))
    with pytest.raises(KeyboardInterrupt):
        ensure_data(recipe, Context(), said.append)
    assert "SAC of 4 tasks: 240 environment steps, 41 gradient steps for all at once, 4 policies" in said[1]
    assert "datasets: 160 rows; disk: " in said[2]
    assert said[3].startswith("data: about ")
    monkeypatch.setattr(collect_train, "train_behavior", train_behavior)
    _, said = ensure(recipe)
    assert "SAC of 4 tasks: 76 environment steps, 19 gradient steps for all at once, 1 policies" in said[1]
    (collection_folder(recipe) / "task-001.medium.json").unlink()
    _, said = ensure(recipe)
    assert "datasets: 40 rows" in said[1]
    assert not any("SAC of" in line for line in said)


def test_the_probe_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(tiny_recipe())
    before = hashes(collection_folder(tiny_recipe()))
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "another"))
    monkeypatch.setattr(collect_train, "measure_pace", lambda *_: Pace(0.0, 0.0, 0.0, 1))
    ensure(tiny_recipe())
    assert hashes(collection_folder(tiny_recipe())) == before


def test_the_pace_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that the work itself moves on: a second for every action, and seven for a gradient step."""
    now = [0.0]
    act, learn = collect_probe.act, collect_probe.rac_step

    def slow_act(policy: Any, seen: Any, noise: Any) -> Any:
        now[0] += seen[..., 0].numel()
        return act(policy, seen, noise)

    def slow_learn(*given: Any) -> Any:
        now[0] += 7.0
        return learn(*given)

    monkeypatch.setattr(collect_probe, "act", slow_act)
    monkeypatch.setattr(collect_probe, "rac_step", slow_learn)
    monkeypatch.setattr(collect_probe, "SECONDS", 1e9)
    family = make("tasks", "point-robot-wind", horizon=5)
    tasks = family.tasks(2, 0)[0]
    pace = measure_pace(family, critic(), tasks, CollectSettings(**SMALL), Context(), lambda: now[0])
    assert pace == Pace(2.0, 7.0, 2.0 * MEASURED_EPISODES, steps=50)  # a hundredth of the steps
    monkeypatch.setattr(collect_probe, "SECONDS", 20.5)
    pace = measure_pace(family, critic(), tasks, CollectSettings(**SMALL), Context(), lambda: now[0])
    assert pace == Pace(2.0, 7.0, 2.0 * MEASURED_EPISODES, steps=3)  # till 21 seconds are over


def test_the_estimate_is_the_sum_of_its_parts() -> None:
    plan = CollectPlan(2, 2000, 900, 5, 500, 3000, 0, 0, ends_early=False)
    assert estimate_seconds(plan, Pace(0.001, 0.01, 0.002, 9), 2) == pytest.approx(1 + 9 + (500 + 3000) / 10 * 0.002)


def test_an_upper_bound_is_called_one() -> None:
    plan = CollectPlan(2, 2000, 900, 5, 500, 3000, 10**6, 10**7, ends_early=True)
    training, datasets = plan_lines(plan, 3 * 10**9)
    assert training.startswith("SAC of 2 tasks: 2,000 environment steps, 900 gradient steps for all at once, ")
    assert training.endswith("5 policies measured in at most 500 steps")
    assert datasets == "datasets: at most 3,000 rows; disk: 1.0 MB, during collection at most 10.0 MB; 3.0 GB free"
    assert [bytes_text(count) for count in (500, 999_999, 10**6)] == ["0.5 kB", "1000.0 kB", "1.0 MB"]


def test_budgets_in_the_documentation_are_those_of_the_recipes() -> None:
    root = Path(__file__).parents[2]
    found = re.findall(
        r"\| `recipes/(\S+)\.toml` \| (\d+) \| ([\d,]+) \| (\S+), (.+?) \| \d+ \| [\d.]+ \| ([\d,]+) \| (.+?) \|",
        (root / "docs" / "data.md").read_text("utf-8"),
    )
    assert len(found) >= 3
    for name, *row in found:
        recipe = load_recipe(root / "recipes" / f"{name}.toml", [])
        tasks, wide = recipe.data.train_tasks + recipe.data.test_tasks, make("critic", "conservative")
        sac = wide.model_copy(update={"hidden": recipe.collect.hidden})
        plan = plan_collection(
            recipe.tasks, sac, recipe.collect, tasks, recipe.data.episodes, [recipe.data.quality] * tasks, since=0
        )
        shape = str(recipe.collect.batch_size), " × ".join(map(str, recipe.collect.hidden))
        rows, disk = f"{plan.rows:,}", bytes_text(plan.peak_bytes)
        assert row == [str(tasks), f"{recipe.collect.steps:,}", *shape, rows, disk], name
