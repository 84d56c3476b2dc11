"""merpo.data.needed: what a recipe needs is found, collected, or refused by name before anything is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ensured import ensure, hashes
from tiny import tiny_recipe

from merpo.artifacts.artifact import load_artifact, save_artifact
from merpo.collect import behavior_policies as collect_train
from merpo.collect import collect as collect_module
from merpo.collect import episodes as episodes_module
from merpo.collect.collect import collect_recipe
from merpo.components.context import Context
from merpo.data.needed import collection_folder, load_data, needed
from merpo.data.store import read_policy
from merpo.errors import ArtifactError, DatasetError, MerpoError, RecipeError
from merpo.support.files import fingerprint
from merpo.types import Params

NAMES = [f"task-00{i}.medium" for i in range(4)]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with what the tiny recipe needs; tests get copies."""
    root = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(root))
        ensure(tiny_recipe())
    return root


@pytest.fixture
def folder(collected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny recipe's collection, in a store of this test's own."""
    monkeypatch.setenv("MERPO_DATA", str(shutil.copytree(collected, tmp_path / "store")))
    return collection_folder(tiny_recipe())


def forbid_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("behaviour policies were trained again")

    monkeypatch.setattr(collect_train, "train_behavior", refuse)


def test_what_a_recipe_needs() -> None:
    recipe = tiny_recipe({"data": {"quality": "expert", "test_quality": "random"}})
    train, unseen = needed(recipe)
    assert [source.name for source in train] == ["task-000.expert", "task-001.expert"]
    assert [source.name for source in unseen] == ["task-002.random", "task-003.random"]
    assert [source.task for source in train + unseen] == [task for part in recipe.tasks.tasks(2, 2) for task in part]


def test_what_is_lacking_is_collected_and_reused(tmp_path: Path) -> None:
    recipe, path = tiny_recipe(), collection_folder(tiny_recipe())
    assert path.parent == tmp_path / "merpo-data"
    made, said = ensure(recipe)
    assert made == NAMES
    assert said[0] == f"data: collecting 4 datasets into {path}"
    before = hashes(path)
    times = {file.name: file.stat().st_mtime_ns for file in path.iterdir()}
    made, said = ensure(recipe)
    assert made == []
    assert said == [f"data: 2 + 2 datasets found in {path}"]
    assert times == {file.name: file.stat().st_mtime_ns for file in path.iterdir()}
    train, test = load_data(recipe, 2)
    for (data, manifest), name in zip(train + test, NAMES, strict=True):
        assert data.name == name
        assert len(data) == 40
        assert manifest.episodes == 4
        assert manifest.behavior.return_mean == pytest.approx(float(data.episode_returns().mean()))
        assert before[f"{name}.safetensors"] == manifest.sha256


def test_the_same_data_comes_again_all_at_once_or_one_by_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashes(folder)
    forbid_training(monkeypatch)
    (folder / "task-002.medium.json").unlink()
    (folder / "task-002.medium.safetensors").unlink()
    assert ensure(tiny_recipe())[0] == ["task-002.medium"]
    assert hashes(folder) == before


def test_training_from_nothing_gives_the_same_data(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes(folder)
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "another"))
    ensure(tiny_recipe())
    assert hashes(collection_folder(tiny_recipe())) == before
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "third"))
    other = tiny_recipe({"collect": {"seed": 1}})
    ensure(other)
    assert not set(hashes(collection_folder(other)).values()) & set(before.values())


def test_no_collect_names_the_first_that_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ensure(tiny_recipe(), collect=False)[0] == []
    for name in NAMES[1:3]:
        (folder / f"{name}.json").unlink()
    with pytest.raises(DatasetError, match=r"2 of 4 datasets are missing, the first is task-001\.medium.*--no-collect"):
        ensure(tiny_recipe(), collect=False)
    monkeypatch.setenv("MERPO_DATA", str(folder / "nowhere"))
    with pytest.raises(DatasetError, match="4 of 4 datasets are missing"):
        ensure(tiny_recipe(), collect=False)
    assert not (folder / "nowhere").exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def garble(path: Path) -> None:
    path.write_text("{", "utf-8")


DAMAGE: list[tuple[str, Callable[[Path], None], str]] = [
    ("task-001.medium.safetensors", flip, "sha256 is"),
    ("task-001.medium.safetensors", cut, "truncated or changed"),
    ("task-001.medium.safetensors", Path.unlink, "is missing although its manifest exists"),
    ("task-001.medium.json", garble, "not valid JSON"),
    ("task-001.medium.json", flip, ""),
]


@pytest.mark.parametrize(("name", "damage", "reason"), DAMAGE)
def test_damage_is_refused_by_name_and_mended_only_on_demand(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: Callable[[Path], None], reason: str
) -> None:
    before = hashes(folder)
    damage(folder / name)
    found = hashes(folder)
    assert ensure(tiny_recipe())[0] == []  # never behind the user's back
    assert hashes(folder) == found
    with pytest.raises(DatasetError) as caught:
        load_data(tiny_recipe(), 2)
    assert str(folder / name) in str(caught.value)
    assert reason in str(caught.value)
    assert "merpo collect RECIPE" in str(caught.value)  # and that does mend it:
    forbid_training(monkeypatch)
    made, said = ensure(tiny_recipe(), repair=True)
    assert made == ["task-001.medium"]
    assert any(str(folder / name) in line for line in said)
    assert hashes(folder) == before
    load_data(tiny_recipe(), 2)


def test_merpo_collect_says_what_it_does(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flip(folder / "task-003.medium.safetensors")
    collect_recipe(tiny_recipe())
    said = capfd.readouterr().err
    assert "task-003.medium.safetensors: sha256 is" in said
    assert "collecting 1 datasets" in said
    collect_recipe(tiny_recipe())
    assert "2 + 2 datasets found" in capfd.readouterr().err
    load_data(tiny_recipe(), 2)


@pytest.mark.parametrize(
    ("key", "value"),
    [("task", {"wind": [0.0, 0.0], "goal": [1.0, 0.0]}), ("family", "other-family"), ("quality", "expert")],
)
def test_data_of_another_task_family_or_quality_is_refused(folder: Path, key: str, value: Any) -> None:
    path = folder / "task-001.medium.json"
    manifest = json.loads(path.read_text("utf-8"))
    del manifest["checksum"]
    manifest[key] = value
    path.write_text(json.dumps({**manifest, "checksum": fingerprint(manifest)}), "utf-8")
    with pytest.raises(DatasetError, match=r"task-001\.medium\.json: holds \(family, task, quality\)") as caught:
        load_data(tiny_recipe(), 2)
    assert repr(value) in str(caught.value)


def test_tasks_and_settings_that_change_the_data_have_a_folder_of_their_own() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"tasks": {"goal": "semicircle"}},
        {"tasks": {"seed": 1}},
        {"data": {"train_tasks": 3}},
        {"data": {"episodes": 5}},
        {"data": {"store": "mine"}},
        {"collect": {"steps": 61}},
    ]
    assert len({collection_folder(tiny_recipe(change)) for change in changes}) == len(changes)
    same: list[dict[str, Any]] = [
        {"data": {"quality": "expert"}},
        {"seed": 3},
        {"method": {"adaptation": {"steps": 9}}},
    ]
    assert {collection_folder(tiny_recipe(change)) for change in same} == {collection_folder(tiny_recipe())}


def test_another_quality_comes_from_the_same_policies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashes(folder)
    forbid_training(monkeypatch)
    for quality, step in (("random", 0), ("mixed", 60)):
        recipe = tiny_recipe({"data": {"quality": quality}})
        assert ensure(recipe)[0] == [f"task-00{i}.{quality}" for i in range(4)]
        train, _ = load_data(recipe, 2)
        assert all(manifest.behavior.step == step for _, manifest in train)
    after = hashes(folder)
    assert {name: after[name] for name in before} == before
    untrained = [read_policy(folder, f"task-00{i}.random") for i in range(4)]
    checkpoints = load_artifact(folder / "checkpoints.safetensors")[0]["policies"]
    for t, policy in enumerate(untrained):
        assert all(torch.equal(policy[key], checkpoints[key][0, t]) for key in policy)


@pytest.mark.parametrize(
    ("episodes", "shares"), [(4, [1, 1, 1, 1]), (8, [2, 2, 2, 2]), (6, [1, 2, 1, 2]), (2, [0, 1, 0, 1])]
)
def test_mixed_data_takes_equal_episodes_of_all_checkpoints(
    monkeypatch: pytest.MonkeyPatch, episodes: int, shares: list[int]
) -> None:
    taken: list[tuple[Params, int]] = []
    roll_out = episodes_module.roll_out_policies

    def listen(family: Any, tasks: Any, policies: Params, count: int, context: Context, before: int) -> Any:
        taken.append((policies, count))
        return roll_out(family, tasks, policies, count, context, before)

    monkeypatch.setattr(episodes_module, "roll_out_policies", listen)
    recipe = tiny_recipe({"data": {"quality": "mixed", "episodes": episodes}})
    ensure(recipe)
    checkpoints = load_artifact(collection_folder(recipe) / "checkpoints.safetensors")[0]["policies"]
    assert [count for _, count in taken] == [share for share in shares if share]
    for (policies, _), k in zip(taken, [k for k, share in enumerate(shares) if share], strict=True):
        assert all(torch.equal(policies[key], checkpoints[key][k]) for key in policies)
    for data, manifest in load_data(recipe, 2)[0]:
        assert data.episode_offsets.tolist() == [10 * e for e in range(episodes + 1)]
        assert manifest.behavior.checkpoint is None


def test_fewer_transitions_than_a_batch_are_refused_by_name(folder: Path) -> None:
    load_data(tiny_recipe(), 40)
    with pytest.raises(DatasetError, match=r"task-000\.medium: 40 transitions, fewer than a batch of 41"):
        load_data(tiny_recipe(), 41)


@pytest.mark.parametrize("section", ["meta_model", "behavior", "rac"])
def test_merpo_needs_its_largest_batch(section: str) -> None:
    assert tiny_recipe().method.min_transitions == 16
    assert tiny_recipe({"method": {section: {"batch_size": 41}}}).method.min_transitions == 41
    without = {"method": {"rac": {"use_model": False}, "meta_model": {"batch_size": 41}}}
    assert tiny_recipe(without).method.min_transitions == 16


def test_checkpoints_that_are_damaged_are_refused(folder: Path) -> None:
    path = folder / "checkpoints.safetensors"
    cut(path)
    with pytest.raises(ArtifactError, match=r"checkpoints\.safetensors.*delete it"):
        ensure(tiny_recipe({"data": {"quality": "expert"}}))
    path.write_bytes((folder / "task-000.medium.policy.safetensors").read_bytes())
    with pytest.raises(ArtifactError, match=r"checkpoints\.safetensors.*delete it"):
        ensure(tiny_recipe({"data": {"quality": "expert"}}))
    path.unlink()
    before = hashes(folder)
    ensure(tiny_recipe({"data": {"quality": "expert"}}))
    assert before.items() <= hashes(folder).items()


def test_a_store_that_is_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "file"))
    with pytest.raises(MerpoError, match="cannot be written"):
        ensure(tiny_recipe())


def test_a_collection_that_was_interrupted_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, write = tiny_recipe({"data": {"quality": "random"}}), collect_module.write_dataset
    done: list[str] = []

    def interrupt(path: Path, name: str, *rest: Any, **fields: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(name)
        return write(path, name, *rest, **fields)

    monkeypatch.setattr(collect_module, "write_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ensure(recipe)
    monkeypatch.setattr(collect_module, "write_dataset", write)
    assert ensure(recipe)[0] == ["task-002.random", "task-003.random"]
    load_data(recipe, 2)


def test_several_qualities_are_made_by_one_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_training(monkeypatch)
    recipe = tiny_recipe({"data": {"test_quality": "random"}})
    made, _ = ensure(recipe, qualities=["expert", "medium", "expert"])
    assert made == [f"task-00{i}.expert" for i in range(4)]
    assert ensure(recipe)[0] == ["task-002.random", "task-003.random"]
    assert ensure(recipe, qualities=["random", "mixed"])[0] == sorted(
        [f"task-00{i}.mixed" for i in range(4)] + [f"task-00{i}.random" for i in range(2)]
    )


def test_qualities_that_cannot_be_collected_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"--quality: got 'meduim', expected random, .*did you mean 'medium'"):
        collect_recipe(tiny_recipe(), ["random", "meduim"])
    named = tiny_recipe({"data": {"train": ["store:a"], "test": ["store:b"]}})
    with pytest.raises(RecipeError, match=r"--quality: .*data\.train"):
        collect_recipe(named, ["random"])


@pytest.mark.parametrize("change", [{"data": {"episodes": 3}}, {"collect": {"medium_fraction": 1.0}}])
def test_policies_that_were_trained_alike_are_not_trained_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    other = tiny_recipe(change)
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "another"))
    ensure(other)
    expected = hashes(collection_folder(other))
    monkeypatch.setenv("MERPO_DATA", str(folder.parent))
    forbid_training(monkeypatch)
    _, said = ensure(other)
    assert f"data: behaviour policies copied from {folder}, which was trained with the same settings" in said
    assert hashes(collection_folder(other)) == expected


def test_policies_that_were_trained_otherwise_are_not_taken(folder: Path) -> None:
    _, said = ensure(tiny_recipe({"collect": {"learning_rate": 0.01}}))
    assert any("SAC of 4 tasks" in line for line in said)


def test_policies_are_compared_with_their_hash(folder: Path) -> None:
    flip(folder / "checkpoints.safetensors")
    with pytest.raises(ArtifactError, match=r"checkpoints\.safetensors: the content has changed.*delete it"):
        ensure(tiny_recipe({"data": {"quality": "expert"}}))


@pytest.mark.parametrize("content", ["", "format_version = 2\n", "sha256 = [", "x" * 10_001])
def test_a_record_of_policies_that_is_damaged_is_refused(folder: Path, content: str) -> None:
    record = folder / "checkpoints.toml"
    record.write_text(content, "utf-8")
    with pytest.raises(ArtifactError, match=r"checkpoints\.toml: .*delete it"):
        ensure(tiny_recipe({"data": {"quality": "expert"}}))


def test_policies_whose_record_a_kill_prevented_get_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_training(monkeypatch)
    record = folder / "checkpoints.toml"
    before = record.read_text("utf-8")
    record.unlink()
    ensure(tiny_recipe({"data": {"quality": "expert"}}))
    assert record.read_text("utf-8") == before


def test_policies_of_an_unknown_training_are_refused(folder: Path) -> None:
    path = folder / "checkpoints.safetensors"
    groups, header = load_artifact(path)
    del header["training"]
    save_artifact(path, groups, header)
    (folder / "checkpoints.toml").unlink()
    with pytest.raises(
        ArtifactError, match=r"neither checkpoints\.toml beside it .* says of which training.*delete it"
    ):
        ensure(tiny_recipe({"data": {"quality": "expert"}}))
    assert not (folder / "checkpoints.toml").exists()


@pytest.mark.parametrize("recorded", [True, False])
def test_policies_of_another_training_are_refused(folder: Path, recorded: bool) -> None:
    other = tiny_recipe({"collect": {"learning_rate": 0.01}})
    ensure(other)
    for name in ("checkpoints.safetensors", "checkpoints.toml"):
        shutil.copy(collection_folder(other) / name, folder / name)
    if not recorded:
        (folder / "checkpoints.toml").unlink()
    with pytest.raises(ArtifactError, match=r"checkpoints\.safetensors: is of another training: .*delete it"):
        ensure(tiny_recipe({"data": {"quality": "expert"}}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"collect": {"discount": 0.5}}, r"collect\.discount \(0\.5 there, 0\.99 here\)"),
        ({"tasks": {"horizon": 9}}, r"tasks\.horizon \(9 there, 10 here\)"),
        ({"data": {"episodes": 5}}, r"episodes \(5 there, 4 here\)"),
        ({"collect": {"seed": 1}}, r"collect\.seed \(1 there, 0 here\)"),
        ({"collect": {"medium_fraction": 0.9}}, r"collect\.medium_fraction \(0\.9 there, 0\.5 here\)"),
    ],
)
def test_a_dataset_of_another_collection_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], named: str
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(tmp_path))
    own, other = tiny_recipe(), tiny_recipe(changes)
    ensure(own)
    ensure(other)
    for path in collection_folder(other).glob("task-003.medium.*"):
        shutil.copy(path, collection_folder(own) / path.name)
    with pytest.raises(
        DatasetError, match=rf"task-003\.medium\.json: is of another collection: {named}.*merpo collect"
    ):
        load_data(own, 2)
    assert ensure(own, repair=True)[0] == ["task-003.medium"]
    load_data(own, 2)


def test_a_manifest_without_the_digest_of_its_policy_is_refused(folder: Path) -> None:
    path = folder / "task-003.medium.json"
    content = json.loads(path.read_text("utf-8"))
    del content["checksum"]
    content["behavior"]["sha256"] = None
    path.write_text(json.dumps({**content, "checksum": fingerprint(content)}), "utf-8")
    with pytest.raises(DatasetError, match="checkpoint and sha256: expected both or neither"):
        load_data(tiny_recipe(), 2)
