"""From figures to runs: recipes, overrides, shared folders, data that is collected first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from figure_files import figure_tables, write_figure
from tiny import write_tiny

from merpo.data.needed import collection_folder
from merpo.errors import RecipeError
from merpo.reproduce.figure import Figure
from merpo.reproduce.files import read_source
from merpo.reproduce.plan import Experiment, plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "tiny.toml")
    write_tiny(tmp_path / "other.toml", {"method": {"adaptation": {"steps": 2}}})
    return tmp_path


def planned(folder: Path, seeds: tuple[int, ...] = (0, 1), fresh: bool = False, **changes: Any) -> Experiment:
    source = read_source(str(write_figure(folder / "mine.toml", **changes)))
    assert isinstance(source.content, Figure)
    return plan(source, source.content, "winds", "small", seeds, folder / "out", fresh)


def family(**changes: Any) -> list[dict[str, Any]]:
    return [{**figure_tables()["families"][0], **changes}]


def test_arms_with_a_meta_artifact_of_another_follow_its_seeds(folder: Path) -> None:
    experiment = planned(folder)
    assert experiment.name == "mine-winds-small"
    low, high = experiment.jobs_of("low"), experiment.jobs_of("high")
    assert [job.meta for job in low] == [None, None]
    assert [job.meta for job in high] == [job.folder for job in low]
    assert [job.seed for job in high] == [0, 1]
    assert all(job.folder.parent.parent == folder / "out" for job in experiment.runs)
    assert low[0].folder.parent == low[1].folder.parent
    assert low[0].folder.parent.name.startswith("tiny-")
    assert low[0].recipe.method.alpha.initial == 0.1  # type: ignore[attr-defined]


def test_the_last_override_counts_family_size_arm_and_the_arm_there(folder: Path) -> None:
    one = [f"evaluate.episodes={i}" for i in range(1, 5)]
    arms = [{"id": "low", "label": "low", "set": one[2:3]}]
    claims: list[Any] = []

    def episodes(**changes: Any) -> int:
        return planned(folder, (0,), **changes).jobs["low", 0].recipe.evaluate.episodes

    assert episodes(families=family(set=one[:1]), arms=[{**arms[0], "set": []}], claims=claims) == 1
    sizes = [{"name": "small", "set": one[1:2]}]
    assert episodes(families=family(set=one[:1], sizes=sizes), arms=[{**arms[0], "set": []}], claims=claims) == 2
    assert episodes(families=family(set=one[:1], sizes=sizes), arms=arms, claims=claims) == 3
    here = [{"id": "low", "set": one[3:]}]
    assert episodes(families=family(set=one[:1], sizes=sizes, arms=here), arms=arms, claims=claims) == 4


def test_whose_recipe_it_is(folder: Path) -> None:
    arms = [{"id": "low", "label": "low"}]

    def name(arm: dict[str, Any], **changes: Any) -> str:
        job = planned(folder, (0,), families=family(**changes), arms=[{**arms[0], **arm}], claims=[]).jobs["low", 0]
        return job.source.name

    sized = [{"name": "small", "recipe": "other.toml"}]
    assert name({}) == "tiny.toml"
    assert name({}, sizes=sized) == "other.toml"
    assert name({"recipe": "tiny.toml"}, sizes=sized) == "tiny.toml"
    assert name({"recipe": "tiny.toml"}, arms=[{"id": "low", "recipe": "other.toml"}]) == "other.toml"


def test_equal_recipes_share_runs_and_others_do_not(folder: Path) -> None:
    def arm(name: str, *overrides: str, **more: Any) -> dict[str, Any]:
        return {"id": name, "label": name, "set": list(overrides), **more}

    arms = [
        arm("a"), arm("b"), arm("title", "title=Another"), arm("c", "evaluate.episodes=3"),
        arm("d", "evaluate.episodes=3", meta="a"), arm("e", "evaluate.episodes=3", meta="c"),
    ]  # fmt: skip
    experiment = planned(folder, (0,), arms=arms, claims=[])
    folders = {name: experiment.jobs[name, 0].folder for name in ("a", "b", "title", "c", "d", "e")}
    assert folders["a"] == folders["b"] == folders["title"]
    assert len({folders[name] for name in "acde"}) == 4
    assert len(experiment.runs) == 4


def test_every_seed_has_data_of_its_own_if_asked(folder: Path) -> None:
    def jobs(fresh: bool) -> list[Any]:
        return planned(folder, fresh=fresh).jobs_of("low")

    assert [job.recipe.collect.seed for job in jobs(fresh=False)] == [0, 0]
    fresh = jobs(fresh=True)
    assert [job.recipe.collect.seed for job in fresh] == [0, 1]
    assert len({collection_folder(job.recipe) for job in fresh}) == 2
    assert len({job.folder.parent for job in fresh}) == 2


def test_a_need_gives_its_collections_name(folder: Path) -> None:
    needs = [{"name": "logs", "recipe": "tiny.toml", "set": ["data.episodes=5"], "qualities": ["expert", "random"]}]
    overrides = ["data.test=['store:{logs}/task-002.expert','store:{logs}/task-003.expert']"]
    named = [*overrides, "data.train=['store:{logs}/task-000.random','store:{logs}/task-001.random']"]
    experiment = planned(folder, (0,), families=family(needs=needs, set=named))
    (collection,) = experiment.collections
    assert collection.recipe.data.episodes == 5
    assert collection.qualities == ("expert", "random")
    name = collection.folder.name
    assert experiment.jobs["low", 0].recipe.data.test == (
        f"store:{name}/task-002.expert",
        f"store:{name}/task-003.expert",
    )
    twice = planned(folder, fresh=True, families=family(needs=needs, set=named))
    assert len(twice.collections) == 2, "one for each seed"


def test_what_is_no_recipe_names_its_arm(folder: Path) -> None:
    arms = [{"id": "low", "label": "low", "set": ["method.alpha.initial=7"]}]
    with pytest.raises(RecipeError, match=r"alpha\.initial: got 7.*\(in mine: arms\.low on winds\)"):
        planned(folder, arms=arms, claims=[])
    needs = [{"name": "logs", "recipe": "tiny.toml", "set": ["data.episodes=0"], "qualities": ["expert"]}]
    with pytest.raises(RecipeError, match=r"data\.episodes.*\(in mine: needs\.logs\)"):
        planned(folder, families=family(needs=needs))
