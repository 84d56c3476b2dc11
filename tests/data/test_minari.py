"""Minari's datasets in and out of the store, and everything that a foreign dataset may try."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pyarrow as pa
import pytest
from command import Answer
from hypothesis import HealthCheck, given, settings
from logs_recipes import logs_tables
from mutations import mutated
from strategies import make_dataset, task_datasets

from merpo.collect.collect import ensure_data
from merpo.components.context import Context
from merpo.data.catalog import DatasetEntry, collections, find, has_minari
from merpo.data.dataset import TaskDataset
from merpo.data.import_logs import Imported, store_imported
from merpo.data.minari import imports as minari_import
from merpo.data.minari.exports import export_minari
from merpo.data.minari.files import open_minari
from merpo.data.minari.imports import import_minari, read_minari
from merpo.data.named import find_datasets
from merpo.data.needed import load_data
from merpo.data.store import read_dataset
from merpo.data.validate import ARRAYS
from merpo.errors import DatasetError, MerpoError
from merpo.recipe.recipe import from_tables

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer

Cli = Callable[..., Answer]
FORMATS = ["hdf5", "arrow", "parquet"]
Spaces = gymnasium.spaces


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's folder, empty."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def silent(text: str) -> None:
    pass


def chained(lengths: list[int], ends: list[bool], seed: int = 0) -> TaskDataset:
    """A dataset in which every next observation is the next row's observation."""
    made = make_dataset(lengths, ends, 3, 2, seed)
    after = made.observations.roll(-1, 0).clone()
    after[made.episode_offsets[1:] - 1] = made.next_observations[made.episode_offsets[1:] - 1]
    return TaskDataset(**{**vars(made), "next_observations": after})


def keep(data: TaskDataset, collection: str = "mine", family: str = "point-robot-wind") -> DatasetEntry:
    store_imported(collection, [Imported(data, {})], family, silent)
    return DatasetEntry(collection, data.name)


def create(dataset_id: str = "test/foreign-v0", form: str = "hdf5", **changes: Any) -> Path:
    """A dataset that Minari itself wrote: two episodes with a Dict of observations and actions in ±2."""
    random = np.random.default_rng(0)
    buffers = [
        EpisodeBuffer(
            id=e,
            observations={"speed": random.normal(size=(n + 1, 2)), "at": random.normal(size=(n + 1, 1))},
            actions=random.uniform(-2, 2, (n, 1)).astype(np.float32),
            rewards=list(random.normal(size=n)),
            terminations=[False] * (n - 1) + [e == 0],
            truncations=[False] * (n - 1) + [e == 1],
        )
        for e, n in enumerate((4, 3))
    ]
    box = Spaces.Box
    space = Spaces.Dict({"speed": box(-9, 9, (2,), np.float64), "at": box(-np.inf, np.inf, (1,), np.float64)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            dataset_id, buffers, observation_space=space, action_space=box(-2, 2, (1,), np.float32), data_format=form,
        )  # fmt: skip
    folder = Path(minari.storage.get_dataset_path(dataset_id)) / "data"
    if changes:
        path = folder / "metadata.json"
        metadata = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in metadata.items() if value is not None}))
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_a_dataset_of_minaris_is_what_minari_itself_reads(form: str) -> None:
    create(form=form)
    assert import_minari(["test/foreign-v0"], note=silent) == ["minari-test"]
    data, manifest = read_dataset(DatasetEntry("minari-test", "x").folder, "foreign-v0")
    rows = 0
    for episode in minari.load_dataset("test/foreign-v0").iterate_episodes():
        n = len(episode.rewards)
        seen = np.concatenate([episode.observations["at"], episode.observations["speed"]], 1).astype(np.float32)
        here = slice(rows, rows + n)
        np.testing.assert_array_equal(data.observations[here], seen[:-1])
        np.testing.assert_array_equal(data.next_observations[here], seen[1:])
        np.testing.assert_allclose(data.actions[here], episode.actions / 2, rtol=1e-6)
        np.testing.assert_array_equal(data.rewards[here], episode.rewards.astype(np.float32))
        np.testing.assert_array_equal(data.terminations[here], episode.terminations)
        np.testing.assert_array_equal(data.truncations[here], episode.truncations)
        rows += n
    assert rows == len(data) == 7
    assert data.task == {"minari": "test/foreign-v0"}
    assert (manifest.family, manifest.quality) == ("logs", "imported")
    assert manifest.settings["observations"] == ["at", "speed"]
    assert manifest.settings["action_high"] == [2.0]


@pytest.mark.parametrize("form", FORMATS)
def test_tuples_and_matrices_become_one_vector(form: str) -> None:
    random, box = np.random.default_rng(1), Spaces.Box
    parts = random.normal(size=(3, 2, 2)), random.normal(size=(3, 1))
    episode = EpisodeBuffer(
        id=0, observations=parts, actions=np.zeros((2, 1), np.float32), rewards=[1.0, 2.0],
        terminations=[False, True], truncations=[False, False],
    )  # fmt: skip
    space = Spaces.Tuple((box(-9, 9, (2, 2), np.float64), box(-9, 9, (1,), np.float64)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            "test/tuple-v0", [episode], observation_space=space, action_space=box(-1, 1, (1,)), data_format=form
        )
    data = read_minari(open_minari("test/tuple-v0"), {}, "x").data
    expected = np.concatenate([parts[0].reshape(3, 4), parts[1]], axis=1).astype(np.float32)
    np.testing.assert_array_equal(data.observations, expected[:-1])
    np.testing.assert_array_equal(data.next_observations, expected[1:])
    assert data.terminations.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_exported_comes_back_with_its_task_and_family(form: str) -> None:
    entry = keep(chained([3, 1, 4], [True, False, False], seed=5))
    assert export_minari([entry], "out/side", form, silent) == ["out/side/task-5-v0"]
    loaded = minari.load_dataset("out/side/task-5-v0")
    assert loaded.total_steps == 8
    assert loaded.total_episodes == 3
    assert "out/side" in minari.namespace.list_local_namespaces()
    assert "out/side/task-5-v0" in minari.list_local_datasets()
    assert import_minari(["out/side/task-5-v0"], note=silent) == ["minari-out-side"]
    (again,) = find("minari-out-side")
    old, new = (read_dataset(one.folder, one.name)[0] for one in (entry, again))
    for key in ARRAYS:
        np.testing.assert_allclose(getattr(new, key), getattr(old, key), rtol=1e-6, atol=1e-7, err_msg=key)
    assert new.task == old.task == {"wind": [0.25, -0.5], "seed": 5}
    assert again.manifest().family == "point-robot-wind"


def test_export_refuses_what_it_would_lose_or_overwrite(root: Path) -> None:
    chain, loose = keep(chained([3], [True])), keep(make_dataset([3], [True], 3, 2, seed=1))
    with pytest.raises(DatasetError, match="task-1: episode 0: the next observation of row 0 is not the observation"):
        export_minari([loose], "out", note=silent)
    assert not list(root.glob("out/*-v0"))
    export_minari([chain], None, note=silent)
    assert (root / "mine" / "task-0-v0").is_dir()
    with pytest.raises(DatasetError, match="already exists; delete it with: minari delete mine/task-0-v0"):
        export_minari([chain], None, note=silent)
    with pytest.raises(DatasetError, match="is not a Minari dataset id"):
        export_minari([chain], "../out", note=silent)
    with pytest.raises(DatasetError, match="got 'zip', expected one of hdf5"):
        export_minari([chain], "out", "zip", silent)
    assert not list(root.rglob(".*"))


def test_the_command_line_goes_there_and_back(merpo_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "own"))
    keep(chained([3], [True]), "there")
    done = merpo_cli("data", "export", "there", "--namespace", "back", "--format", "arrow")
    assert done.out == "there/task-0: exported as back/task-0-v0 (arrow)\n", done.err
    (tmp_path / "tasks.toml").write_text("[task-0-v0]\nwind = [1.0, 2.0]\n")
    done = merpo_cli("data", "import", "back/task-0-v0", "--task-params", "tasks.toml", "--family", "point-robot-wind")
    assert done.code == 0, done.err
    shown = merpo_cli("data", "show", "minari-back").out
    assert "wind = [1.0, 2.0]" in shown
    assert "back/task-0-v0" in shown
    for words in (["../x-v0"], ["t/x-v0"], ["x-v0/../../y-v0"], ["back/task-0-v0", "--columns", "tasks.toml"]):
        assert merpo_cli("data", "import", *words).code == 2
    assert merpo_cli("data", "import", "back/task-0-v0", "tasks.toml").code == 2


def test_two_ids_of_one_name_do_not_overwrite_each_other() -> None:
    create("one/x-v0")
    create("two/x-v0")
    with pytest.raises(DatasetError, match="both: two datasets would be named 'x-v0'"):
        import_minari(["one/x-v0", "two/x-v0"], "both", note=silent)
    import_minari(["one/x-v0"], "both", note=silent)
    with pytest.raises(DatasetError, match="both/x-v0 is in the store with other data, task or family"):
        import_minari(["two/x-v0"], "both", note=silent)


def test_a_recipe_may_name_minaris_datasets() -> None:
    for i in range(3):
        create(f"test/foreign{i}-v0")
    changes = {"train": ["minari:test/foreign0-v0", "minari:test/foreign1-v0"], "test": ["minari:test/foreign2-v0"]}
    made = logs_tables({"data": changes})
    made["tasks"]["observation_dim"] = 3
    recipe, said = from_tables(made), []
    ensure_data(recipe, Context(), said.append)
    assert said[-1] == "data: 2 + 1 datasets found by name"
    train, test = load_data(recipe, 2)
    assert [data.name for data, _ in train + test] == [f"minari-test/foreign{i}-v0" for i in range(3)]
    shutil.rmtree(Path(minari.storage.get_dataset_path("test")))
    ensure_data(recipe, Context(), said.append, collect=False)  # the store has them now


def test_a_task_without_parameters_comes_back_as_one() -> None:
    entry = keep(dataclasses.replace(chained([3], [True]), task={}), family="locomotion")
    export_minari([entry], "back", note=silent)
    import_minari(["back/task-0-v0"], note=silent)
    (again,) = find("minari-back")
    assert (again.manifest().task, again.manifest().family) == ({}, "locomotion")


def test_another_dataset_in_the_place_of_an_id_is_not_taken_for_it() -> None:
    create("out-side/x-v0")
    import_minari(["out-side/x-v0"], note=silent)
    assert has_minari("out-side/x-v0")
    assert not has_minari("out-side/y-v0")
    with pytest.raises(DatasetError, match="holds out-side/x-v0, expected minari:out/side/x-v0"):
        find_datasets("minari:out/side/x-v0")


def test_without_network_one_line_says_so(monkeypatch: pytest.MonkeyPatch, merpo_cli: Cli) -> None:
    monkeypatch.setattr(minari_import, "_online", lambda: False)
    done = merpo_cli("data", "import", "D4RL/door/human-v2")
    assert done.code == 2
    assert done.err == (
        "error: minari:D4RL/door/human-v2: not on this machine, and there is no network to download it\n"
    )


def test_a_failing_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from minari.storage import hosting

    def fail(dataset_id: str) -> None:
        raise RuntimeError("the server is on fire\n" * 50)

    monkeypatch.setattr(minari_import, "_online", lambda: True)
    monkeypatch.setattr(hosting, "download_dataset", fail)
    with pytest.raises(DatasetError, match=r"cannot be downloaded .RuntimeError: the server is on fire"):
        import_minari(["D4RL/x-v0"], note=silent)


def test_a_download_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from minari.storage import hosting

    monkeypatch.setattr(minari_import, "_online", lambda: True)
    monkeypatch.setattr(hosting, "download_dataset", lambda dataset_id: create(dataset_id))
    import_minari(["D4RL/x-v0"], note=silent)
    assert [str(entry) for entry in find("minari-D4RL")] == ["minari-D4RL/x-v0"]


NESTED = '{"type": "Dict", "subspaces": {"a": ' * 20 + "{}" + "}}" * 20
DEEP: Any = 1.0
for _ in range(700):
    DEEP = [DEEP]
EVIL = {"entry_point": "os:system", "id": "Evil-v0", "kwargs": {"command": "touch pwned"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env_spec": json.dumps(EVIL)}, "metadata.json: env_spec.entry_point is 'os:system', expected an entry"),
        ({"env_spec": EVIL}, "env_spec.entry_point is 'os:system'"),
        ({"eval_env_spec": json.dumps({"vector_entry_point": "evil"})}, "eval_env_spec.vector_entry_point is 'evil'"),
        (
            {"env_spec": json.dumps({"entry_point": "gymnasium.x:Y", "additional_wrappers": [{"entry_point": "a:b"}]})},
            r"env_spec.additional_wrappers\[0\].entry_point is 'a:b'",
        ),
        ({"env_spec": "{"}, "env_spec: not valid JSON"),
        ({"env_spec": "[" * 100_000}, "env_spec: not valid JSON"),
        ({"observation_space": None}, "observation_space is missing; merpo does not run the env_spec"),
        ({"action_space": json.dumps({"type": "Discrete", "n": 3})}, "action_space is 'Discrete', expected Box"),
        ({"action_space": json.dumps({"type": "Box", "shape": [10**9]})}, "action_space.shape is .*expected a list"),
        ({"action_space": json.dumps({"type": "Box", "shape": [1], "low": [-np.inf], "high": [1]})}, "finite bounds"),
        ({"action_space": json.dumps({"type": "Box", "shape": [1], "low": [], "high": [1]})}, "do not match its shape"),
        ({"action_space": json.dumps({"type": "Box", "shape": [1], "low": [10**400], "high": [1]})}, "too large"),
        ({"observation_space": json.dumps({"type": "Dict", "subspaces": {"../x": {}}})}, "has the key '../x'"),
        ({"observation_space": json.dumps({"type": "Dict", "subspaces": {"no": {"type": "Box", "shape": [1], "low": [0], "high": [1]}}})}, "episode_0/observations/no is missing"),  # noqa: E501
        ({"observation_space": "[[]]"}, "observation_space: found a JSON list"),
        ({"observation_space": NESTED}, "nests deeper than 8"),
        ({"observation_space": json.dumps({"type": "Box", "shape": [1], "low": [0], "high": DEEP})}, "do not match"),
        ({"env_spec": "[]"}, "env_spec: found a JSON list"),
        ({"data_format": "pickle"}, "data_format is 'pickle', expected one of hdf5, arrow, parquet"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_used_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    create(**changes)
    with pytest.raises(DatasetError, match=message):
        import_minari(["test/foreign-v0"], note=silent)
    assert collections() == []
    assert not (tmp_path / "pwned").exists()
    assert not Path("pwned").exists()


def test_a_known_environment_may_be_named_and_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    episode = EpisodeBuffer(
        id=0, observations=np.zeros((3, 3), np.float32), actions=np.ones((2, 1), np.float32), rewards=[0.0, 0.0],
        terminations=[False] * 2, truncations=[False, True],
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers("test/pendulum-v0", [episode], env="Pendulum-v1")

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("an environment was made")

    monkeypatch.setattr(gymnasium, "make", refuse)
    import_minari(["test/pendulum-v0"], note=silent)
    (entry,) = find("minari-test")
    assert read_dataset(entry.folder, entry.name)[0].actions.tolist() == [[0.5], [0.5]]  # the torque's box is ±2


def test_a_trusted_dataset_may_name_code_that_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create(env_spec=json.dumps(EVIL))
    import_minari(["test/foreign-v0"], ignore_env_spec=True, note=silent)
    assert collections() == ["minari-test"]
    assert not Path("pwned").exists()


def replaced(folder: Path, name: str, make: Callable[[Any, str], object]) -> None:
    """`make(group, name)` in place of one of the arrays of the first episode."""
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        group = file["episode_0"]
        del group[name]
        make(group, name)


def virtual(group: Any, name: str) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    group.create_virtual_dataset(name, layout)


ATTACKS: dict[str, tuple[Callable[[Any, str], object], str]] = {
    "soft link": (lambda g, n: g.__setitem__(n, h5py.SoftLink("/episode_1/rewards")), "rewards is a SoftLink to"),
    "external link": (lambda g, n: g.__setitem__(n, h5py.ExternalLink("/etc/passwd", "/x")), "ExternalLink to '/etc"),
    "external storage": (
        lambda g, n: g.create_dataset(n, (4,), "f8", external=[("/etc/passwd", 0, 32)]),
        "rewards is stored in another file, '/etc/passwd'",
    ),
    "virtual": (virtual, "rewards is a virtual dataset"),
    "bomb": (lambda g, n: g.create_dataset(n, (10**9,), "f8", chunks=(1000,)), "declares 8000000000 bytes"),
    "small bomb": (lambda g, n: g.create_dataset(n, (10**7,), "f8", chunks=(1000,)), "declares 80000000 .* stores 0"),
    "large chunk": (lambda g, n: g.create_dataset(n, (10**8,), "f8", chunks=(10**8,)), "bytes in memory"),
    "text": (lambda g, n: g.create_dataset(n, data=["a"] * 4), "rewards holds object, expected numbers"),
    "compound": (lambda g, n: g.create_dataset(n, (4,), [("a", "f8")]), "rewards holds .*expected numbers"),
    "group": (lambda g, n: g.create_group(n), "rewards is a Group, expected an array"),
    "itself": (lambda g, n: g.__setitem__(n, g), "rewards is a Group, expected an array"),
    "missing": (lambda g, n: None, "episode_0/rewards is missing"),
    "unequal": (lambda g, n: g.create_dataset(n, data=np.zeros(3)), "episode 0: rewards has 3 rows, expected 4"),
    "scalar": (lambda g, n: g.create_dataset(n, data=1.0), "rewards has shape"),
    "plugin": (
        lambda g, n: g.create_dataset(n, (4,), "f8", chunks=(4,), compression=32015, allow_unknown_filter=True),
        "rewards needs the HDF5 filter 32015, which is a plugin",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_hdf5_file_is_refused_by_file_and_object(attack: str) -> None:
    folder = create()
    make, message = ATTACKS[attack]
    replaced(folder, "rewards", make)
    with pytest.raises(DatasetError, match=message):
        import_minari(["test/foreign-v0"], note=silent)
    assert collections() == []


def test_compressed_data_is_read_and_honest_gzip_is_no_bomb() -> None:
    folder = create()
    values = np.zeros(4)
    replaced(
        folder, "rewards", lambda g, n: g.create_dataset(n, data=values, chunks=(4,), compression="gzip", shuffle=True)
    )
    import_minari(["test/foreign-v0"], note=silent)
    (entry,) = find("minari-test")
    assert not read_dataset(entry.folder, entry.name)[0].rewards[:4].any()


def test_a_hostile_arrow_file_is_refused() -> None:
    folder = create(form="arrow")
    (path,) = (folder / "1").glob("*.arrow")
    with pa.ipc.open_file(path) as file:
        table = file.read_all()
    table = pa.concat_tables([table] * 10)
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
        file.write_table(table)
    with pytest.raises(DatasetError, match=r"1/part-0.arrow: is compressed Arrow"):
        import_minari(["test/foreign-v0"], note=silent)
    (folder / "0").rename(folder / "7")
    with pytest.raises(DatasetError, match=r"expected folders 0, 1, \.\.\. of episodes"):
        import_minari(["test/foreign-v0"], note=silent)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b"{" + b" " * (17 << 20) + b"}"])
def test_a_metadata_file_that_is_none_is_refused(content: bytes) -> None:
    path = create() / "metadata.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"metadata\.json: "):
        import_minari(["test/foreign-v0"], note=silent)
    path.unlink()
    path.mkdir()
    with pytest.raises(DatasetError, match="no such dataset"):
        import_minari(["test/foreign-v0"], note=silent)


@pytest.mark.parametrize("form", FORMATS)
def test_files_that_are_missing_or_too_many_are_named(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = create(form=form)
    monkeypatch.setattr("merpo.data.minari.hdf5.MAX_BYTES", 100)
    monkeypatch.setattr("merpo.data.minari.arrow.MAX_BYTES", 100)
    with pytest.raises(DatasetError, match=r"at most 100"):
        import_minari(["test/foreign-v0"], note=silent)
    for path in [*folder.glob("*.hdf5"), *folder.glob("0/*.arrow"), *folder.glob("0/*.parquet")]:
        path.unlink()
    with pytest.raises(DatasetError, match=r"no such file|holds 0 files that end in"):
        import_minari(["test/foreign-v0"], note=silent)


@pytest.mark.parametrize(
    ("form", "module"), [("hdf5", "h5py"), ("arrow", "pyarrow"), ("hdf5", "minari.dataset.minari_storage")]
)
def test_a_package_that_is_not_installed_is_named(form: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create(form=form)
    entry = keep(chained([3], [True]))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MerpoError, match=rf"needs {module.split('.', maxsplit=1)[0]}, which is not .*pip install 'merpo\[minari\]'"
    ):
        export_minari([entry], "out", note=silent) if module.startswith("minari") else import_minari(
            ["test/foreign-v0"], note=silent
        )


@pytest.mark.parametrize("form", FORMATS)
def test_links_out_of_minaris_folder_are_not_followed(form: str, root: Path, tmp_path: Path) -> None:
    folder = create(form=form)
    target = folder / ("main_data.hdf5" if form == "hdf5" else "0")
    shutil.move(target, tmp_path / "elsewhere")
    target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="outside of"):
        import_minari(["test/foreign-v0"], note=silent)
    shutil.move(root / "test", tmp_path / "other")
    (root / "test").symlink_to(tmp_path / "other")
    with pytest.raises(DatasetError, match="outside of"):
        import_minari(["test/foreign-v0"], note=silent)


@settings(max_examples=15)
@given(task_datasets(3, 2))
def test_any_task_with_chained_rows_survives_the_round_trip(data: TaskDataset) -> None:
    after = data.observations.roll(-1, 0).clone()
    last = data.episode_offsets[1:] - 1
    after[last] = data.next_observations[last]
    data = TaskDataset(**{**vars(data), "next_observations": after})
    shutil.rmtree(Path(minari.storage.get_dataset_path("")), ignore_errors=True)
    entry = keep(data, f"h{abs(hash(data.name))}x{len(collections())}", "logs")
    (dataset_id,) = export_minari([entry], "round", note=silent)
    again = read_minari(open_minari(dataset_id), {}, "again").data
    for key in ("observations", "rewards", "next_observations", "terminations", "episode_offsets"):
        assert getattr(again, key).equal(getattr(data, key)), key
    np.testing.assert_allclose(again.actions, data.actions, rtol=1e-6, atol=1e-7)


def fuzzed(form: str) -> Iterator[tuple[str, Path]]:
    folder = create(form=form)
    yield "metadata", folder / "metadata.json"
    if form == "hdf5":
        yield "data", folder / "main_data.hdf5"
    else:
        yield "data", next((folder / "0").glob(f"*.{form}"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("part", ["metadata", "data"])
def test_no_mutation_lets_another_error_escape(form: str, part: str) -> None:
    path = dict(fuzzed(form))[part]
    seen = {"refused": 0, "taken": 0}

    @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    @given(mutated(path.read_bytes()))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read_minari(open_minari("test/foreign-v0"), {}, "x")
            seen["taken"] += 1
        except MerpoError:
            seen["refused"] += 1

    check()
    assert seen["refused"] > 20


@pytest.fixture
def own_cli(merpo_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line with a store of this test's own."""
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "own"))
    return merpo_cli


def boundless(low: list[float], high: list[float]) -> dict[str, str]:
    return {"action_space": json.dumps({"type": "Box", "dtype": "float32", "shape": [1], "low": low, "high": high})}


@pytest.mark.parametrize(("low", "high"), [([-np.inf], [np.inf]), ([0.0], [np.inf]), ([-np.inf], [2.0])])
@pytest.mark.parametrize("form", FORMATS)
def test_bounds_of_actions_can_be_given_where_the_data_has_none(
    own_cli: Cli, form: str, low: list[float], high: list[float]
) -> None:
    create(form=form, **boundless(low, high))
    refused = own_cli("data", "import", "test/foreign-v0")
    assert refused.code == 2
    assert "expected finite bounds; give those of the machine: --action-low NUMBERS" in refused.err
    assert "expected both" in own_cli("data", "import", "test/foreign-v0", "--action-low=-2").err
    assert collections() == []
    done = own_cli("data", "import", "test/foreign-v0", "--action-low=-4", "--action-high=4", "--name", form)
    assert done.code == 0, done.err
    (entry,) = find(form)
    data, manifest = read_dataset(entry.folder, entry.name)
    assert manifest.settings["action_high"] == 4.0
    actions = np.concatenate([one.actions for one in minari.load_dataset("test/foreign-v0").iterate_episodes()])
    np.testing.assert_allclose(data.actions, actions / 4, rtol=1e-6)


def test_actions_outside_of_their_space_are_clipped_and_counted(own_cli: Cli) -> None:
    create(**boundless([-1.5], [1.5]))
    refused = own_cli("data", "import", "test/foreign-v0")
    assert refused.code == 2
    assert "clip_actions = true (--clip-actions)" in refused.err
    done = own_cli("data", "import", "test/foreign-v0", "--clip-actions", "--name", "clipped")
    assert "actions clipped to their bounds in 1 of 7 rows" in done.out
    assert "actions clipped to their bounds in 1 of 7 rows" in own_cli("data", "show", "clipped").out


@pytest.mark.parametrize("form", FORMATS)
def test_what_episodes_have_besides_is_named(own_cli: Cli, form: str) -> None:
    episode = EpisodeBuffer(
        id=0, observations=np.zeros((3, 2)), actions=np.zeros((2, 1), np.float32), rewards=[1.0, 2.0],
        terminations=[False, True], truncations=[False, False], infos={"speed": np.zeros(3)},
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            "test/infos-v0", [episode], observation_space=Spaces.Box(-9, 9, (2,), np.float64),
            action_space=Spaces.Box(-1, 1, (1,)), data_format=form,
        )  # fmt: skip
    done = own_cli("data", "import", "test/infos-v0", "--name", form)
    assert "not used: infos" in done.out, done.err
    assert "not used: infos" in own_cli("data", "show", form).out


def test_images_are_refused_unless_they_are_flattened(own_cli: Cli) -> None:
    space = {"type": "Box", "dtype": "uint8", "shape": [2, 1], "low": [0], "high": [255]}
    whole = {"type": "Dict", "subspaces": {"camera": space, "at": {**space, "dtype": "float64", "shape": [1]}}}
    folder = create(observation_space=json.dumps(whole))
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        for episode in file.values():
            episode["observations/camera"] = np.full((len(episode["rewards"]) + 1, 2, 1), 200, np.uint8)
    refused = own_cli("data", "import", "test/foreign-v0")
    assert refused.code == 2
    assert "observation_space.camera: its rows are images of 2 x 1 uint8, for which merpo has no encoder" in refused.err
    done = own_cli("data", "import", "test/foreign-v0", "--flatten", "--name", "flat")
    assert done.code == 0, done.err
    (entry,) = find("flat")
    assert read_dataset(entry.folder, entry.name)[0].observations[:, 1].unique().tolist() == [200.0]


def test_offsets_of_minaris_are_subtracted_and_come_back(own_cli: Cli) -> None:
    folder = create()
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        for episode in file.values():
            episode["observations/at"][...] += 1e9
    refused = own_cli("data", "import", "test/foreign-v0")
    assert refused.code == 2
    assert "at: 9 distinct values become" in refused.err
    done = own_cli("data", "import", "test/foreign-v0", "--subtract", "at=1e9", "--name", "shifted")
    assert done.code == 0, done.err
    assert "− 1000000000" in own_cli("data", "show", "shifted").out
    export_minari(find("shifted"), "back", note=silent)
    import_minari(["back/foreign-v0-v0"], note=silent)
    (again,) = find("minari-back")
    assert again.manifest().settings["read"]["subtracted"] == [1e9, 0.0, 0.0]
    assert "observation 0 − 1000000000" in own_cli("data", "show", "minari-back").out


@pytest.mark.parametrize("gaps", ["refuse", "drop", "hold"])
def test_gaps_of_minaris_are_refused_left_out_or_held(own_cli: Cli, gaps: str) -> None:
    folder = create()
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        file["episode_1/observations/speed"][2, 0] = np.nan
    done = own_cli("data", "import", "test/foreign-v0", "--gaps", gaps, "--name", gaps)
    assert done.code == (2 if gaps == "refuse" else 0)
    told = {"refuse": "that is row 2 of episode 1", "drop": "1 of 2 episodes", "hold": "held 1 of speed[0]"}
    assert told[gaps] in done.err + done.out


def test_columns_cannot_be_ignored_where_there_are_none(own_cli: Cli) -> None:
    create()
    assert "--ignore applies to files only" in own_cli("data", "import", "test/foreign-v0", "--ignore", "x").err
