"""The figures and tables that ship with merpo: each loads, and every arm of each is a valid recipe at every size."""

from __future__ import annotations

from pathlib import Path

import pytest
from figure_files import write_figure

from merpo.errors import RecipeError
from merpo.reproduce.figure import Figure
from merpo.reproduce.files import read_source, shipped_sources, sources
from merpo.reproduce.plan import plan
from merpo.reproduce.table import Table

EVERY = {source.path.stem: source for source in sources()}
FIGURES = {
    name: source.content for name, source in EVERY.items() if isinstance(source.content, Figure) and source.content.arms
}


def test_the_papers_figures_and_tables_are_there() -> None:
    numbers = [f"fig{i}" for i in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11)]
    assert list(shipped_sources()) == [*numbers, "table1", "table2", "theorem1"]
    assert list(FIGURES) == [f"fig{i}" for i in (3, 4, 5, 7, 8, 9, 10)]
    assert [name for name, source in EVERY.items() if isinstance(source.content, Table)] == ["table1", "table2"]
    assert all(source.content.id == name for name, source in EVERY.items())
    later = [s.content.not_yet for s in EVERY.values() if isinstance(s.content, Figure) and s.content.not_yet]
    assert len(later) == 4
    assert sum("FOCAL" in text for text in later) == 3


@pytest.mark.parametrize(
    ("name", "family", "size"),
    [(n, f.name, s.name) for n, figure in FIGURES.items() for f in figure.families for s in f.sizes],
)
def test_every_arm_is_a_recipe(name: str, family: str, size: str, tmp_path: Path) -> None:
    figure = FIGURES[name]
    planned = plan(EVERY[name], figure, family, size, [0, 1], tmp_path)
    assert len(planned.jobs) == 2 * len(figure.arms_of(family))
    assert not any("{data}" in override for job in planned.runs for override in job.overrides)
    assert {job.folder.parent.parent for job in planned.runs} == {tmp_path}
    folders = {arm.id: planned.jobs[arm.id, 0].folder for arm in figure.arms_of(family)}
    for claim in figure.claims_of(family):  # what is compared is not the same
        assert len({folders[arm] for arm in (*claim.first, *claim.second)}) == len({*claim.first, *claim.second})


def test_arms_have_what_their_claims_are_about(tmp_path: Path) -> None:
    """The α, the meta-policy and the data of the arms, read from the recipes and not from the overrides."""
    planned = plan(EVERY["fig5"], FIGURES["fig5"], "half-cheetah", "small", [0], tmp_path)
    (collection,) = planned.collections
    for (arm, _), job in planned.jobs.items():
        group, _, alpha = arm.rpartition("_")
        method = job.recipe.method
        assert method.alpha.initial == float(f"{alpha[0]}.{alpha[1:] or 0}")  # type: ignore[attr-defined]
        source, path = method.meta_policy.source, method.meta_policy.path  # type: ignore[attr-defined]
        policy = {"good": "expert", "expert_worse": "medium"}.get(group)
        assert (source, path) == (
            ("random", "") if policy is None else ("checkpoint", f"{collection.folder.name}/task-000.{policy}")
        )
        assert job.recipe.data.test is not None
        assert job.recipe.data.test[0].endswith("expert" if group.startswith("expert") else "medium")


def test_an_unknown_name_has_a_hint() -> None:
    with pytest.raises(
        RecipeError, match=r"got 'fig55' \(did you mean 'fig5'\?\), expected one of: fig1, .*figure in TOML"
    ):
        read_source("fig55")
    with pytest.raises(RecipeError, match=r"nowhere\.toml: no such file"):
        read_source("nowhere.toml")


def test_a_recipe_that_a_figure_names_is_beside_it_or_ships_with_merpo(tmp_path: Path) -> None:
    source = read_source(str(write_figure(tmp_path / "mine.toml")))
    assert source.recipe("tiny.toml") == tmp_path / "tiny.toml"
    assert source.recipe("table2/ant_fwd_back").name == "ant_fwd_back.toml"
    for name in ("merpo_apd", str(tmp_path / "tiny.toml"), "C:\\tiny.toml", ""):
        with pytest.raises(RecipeError, match=r"mine\.toml: recipe: got .*expected the relative path of a recipe"):
            source.recipe(name)
