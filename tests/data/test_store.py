"""merpo.data.store: what is stored comes back bit for bit; whatever is damaged is a `DatasetError` naming the file."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save
from strategies import make_dataset, task_datasets

from merpo import __version__
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import FORMAT_VERSION, write_manifest
from merpo.data.store import (
    Manifest,
    collection_dir,
    data_path,
    fingerprint,
    has_dataset,
    manifest_path,
    policy_path,
    read_dataset,
    read_manifest,
    read_policy,
    store_root,
    write_dataset,
)
from merpo.data.validate import ARRAYS
from merpo.errors import DatasetError, MerpoError

DATA = make_dataset([3, 4], [True, False], 2, 1, seed=5)
POLICY = {"w0": torch.arange(6.0).view(2, 3), "b0": torch.tensor([0.5])}


def store(folder: Path, name: str = "task-5", data: TaskDataset = DATA, **changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "family": "toy",
        "family_settings": {"horizon": 4},
        "task_index": 5,
        "quality": "medium",
        "step": 1000,
        "return_mean": -1.5,
        "return_std": 0.25,
        "seed": 7,
        "settings": {"episodes": 2, "hidden": (8, 8)},
        "policy": POLICY,
    }
    return write_dataset(folder, name, data, **{**fields, **changes})


def same(one: TaskDataset, other: TaskDataset) -> bool:
    return one.task == other.task and all(getattr(one, key).equal(getattr(other, key)) for key in ARRAYS)


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The content of the three files of one good dataset."""
    folder = tmp_path_factory.mktemp("good")
    store(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- round trip


@given(task_datasets())
def test_a_dataset_comes_back_bit_for_bit(data: TaskDataset) -> None:
    with TemporaryDirectory() as folder:
        written = store(Path(folder), "x", data)
        loaded, manifest = read_dataset(Path(folder), "x")
        assert manifest == written
        assert same(loaded, data)
        assert loaded.name == "x"
        assert read_policy(Path(folder), "x").keys() == POLICY.keys()
        assert all(value.equal(POLICY[key]) for key, value in read_policy(Path(folder), "x").items())


def test_the_manifest_says_where_the_data_came_from(tmp_path: Path) -> None:
    manifest = store(tmp_path)
    assert manifest == read_manifest(manifest_path(tmp_path, "task-5"))
    assert manifest.format_version == FORMAT_VERSION
    assert (manifest.family, manifest.quality, manifest.task_index, manifest.seed) == ("toy", "medium", 5, 7)
    assert manifest.task == {"wind": [0.25, -0.5], "seed": 5}
    assert (manifest.episodes, manifest.transitions, manifest.observation_dim, manifest.action_dim) == (2, 7, 2, 1)
    assert manifest.behavior.checkpoint == "task-5.policy.safetensors"
    assert (manifest.behavior.step, manifest.behavior.return_mean, manifest.behavior.return_std) == (1000, -1.5, 0.25)
    assert manifest.settings == {"episodes": 2, "hidden": [8, 8]}
    assert manifest.size == data_path(tmp_path, "task-5").stat().st_size
    assert manifest.versions["torch"] == torch.__version__
    assert "python" in manifest.versions
    assert manifest.versions["merpo"] == __version__


def test_equal_data_makes_equal_files(files: dict[str, bytes], tmp_path: Path) -> None:
    store(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_the_stored_file_does_not_change_with_what_was_loaded(tmp_path: Path) -> None:
    store(tmp_path)
    loaded, _ = read_dataset(tmp_path, "task-5")
    loaded.rewards.zero_()
    assert same(read_dataset(tmp_path, "task-5")[0], DATA)


def test_a_dataset_can_be_replaced_while_it_is_in_use(tmp_path: Path) -> None:
    store(tmp_path)
    old, _ = read_dataset(tmp_path, "task-5")
    new = make_dataset([1], [True], 2, 1, seed=6)
    store(tmp_path, data=new)
    assert same(old, DATA)
    assert same(read_dataset(tmp_path, "task-5")[0], new)


def test_rows_that_share_memory_are_stored(tmp_path: Path) -> None:
    rows = torch.rand(3, 5) * 2 - 1
    zeros = torch.zeros(3)
    data = TaskDataset(rows[:, :2], rows[:, 2:3], rows[:, 3], rows[:, 3:], zeros, zeros, torch.tensor([0, 3]))
    store(tmp_path, "x", data)
    assert same(read_dataset(tmp_path, "x")[0], data)


# --- damage


def damage_is_refused(folder: Path, name: str = "task-5") -> None:
    """Only a `DatasetError` leaves, or the same data, policy and manifest as were written."""
    try:
        data, manifest = read_dataset(folder, name)
        policy = read_policy(folder, name)
    except DatasetError as error:
        assert str(folder) in str(error)
        return
    assert same(data, DATA)
    assert manifest.sha256 in (folder / f"{name}.json").read_text()
    assert manifest == STORED[0]
    assert all(policy[key].equal(POLICY[key]) for key in POLICY)


STORED: list[Manifest] = []


@pytest.fixture(scope="module", autouse=True)
def _stored(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("reference")
    put(folder, files)
    STORED[:] = [read_manifest(folder / "task-5.json")]


NAMES = ["task-5.json", "task-5.safetensors", "task-5.policy.safetensors"]


@given(st.sampled_from(NAMES), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_is_detected_or_harmless(files: dict[str, bytes], name: str, at: float, flip: int) -> None:
    content = bytearray(files[name])
    content[int(at * len(content))] ^= flip
    with TemporaryDirectory() as folder:
        put(Path(folder), {**files, name: bytes(content)})
        damage_is_refused(Path(folder))


@given(st.sampled_from(NAMES), st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(files: dict[str, bytes], name: str, at: float) -> None:
    kept, lost = files[name][: int(at * len(files[name]))], files[name][int(at * len(files[name])) :]
    with TemporaryDirectory() as folder:
        put(Path(folder), {**files, name: kept})
        if name == "task-5.json" and lost == b"\n":
            damage_is_refused(Path(folder))
            return
        with pytest.raises(DatasetError, match=name):
            read_dataset(Path(folder), "task-5")
            read_policy(Path(folder), "task-5")
        assert has_dataset(Path(folder), "task-5") == (name == "task-5.policy.safetensors")


def test_every_flipped_bit_of_the_transitions_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path, files)
    path = tmp_path / "task-5.safetensors"
    for at in range(len(files[path.name])):
        content = bytearray(files[path.name])
        content[at] ^= 1 << at % 8
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="sha256 is"):
            read_dataset(tmp_path, "task-5")


@given(st.sampled_from(NAMES), st.binary(max_size=200))
@example("task-5.json", b"[" * 100_000)
@example("task-5.json", b'{"format_version": 1, "task": ' + b'{"a":' * 900 + b"0" + b"}" * 901)
@example("task-5.json", b'{"format_version": ' + b"[" * 900 + b"]" * 900 + b"}")
@example("task-5.json", b'{"format_version": 1, "checksum": ' + b"[" * 900 + b"]" * 900 + b"}")
@example("task-5.json", b'{"format_version": 1, "seed": NaN}')
@example("task-5.json", b'{"format_version": ' + b"9" * 5000 + b"}")
@example("task-5.json", b'{"format_version": true}')
@example("task-5.json", b'{"format_version": 1, "family": "\\ud800"}')
@example("task-5.json", b" " * 1_000_001)
@example("task-5.json", b"\xff\xfe{}")
@example("task-5.json", b"[]")
def test_a_foreign_file_is_refused(files: dict[str, bytes], name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        put(Path(folder), {**files, name: content})
        with pytest.raises(DatasetError) as caught:
            read_dataset(Path(folder), "task-5")
            read_policy(Path(folder), "task-5")
        assert str(Path(folder) / name) in str(caught.value)
        assert "merpo collect" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["missing", "folder", "empty"])
def test_a_file_that_is_not_there_is_named(files: dict[str, bytes], tmp_path: Path, name: str, what: str) -> None:
    put(tmp_path, files)
    (tmp_path / name).unlink()
    if what == "folder":
        (tmp_path / name).mkdir()
    elif what == "empty":
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=f"{name}: .*merpo collect RECIPE"):
        read_dataset(tmp_path, "task-5")
        read_policy(tmp_path, "task-5")


def rewritten(folder: Path, **changes: Any) -> None:
    """A manifest with other fields and a valid checksum, as a writer with a bug or bad intentions would make it."""
    path = manifest_path(folder, "task-5")
    content = {key: value for key, value in json.loads(path.read_text()).items() if key != "checksum"} | changes
    path.write_text(json.dumps({**content, "checksum": fingerprint(content)}))


def test_a_newer_format_asks_for_a_newer_merpo(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path, files)
    rewritten(tmp_path, format_version=FORMAT_VERSION + 1, unheard_of=1)
    with pytest.raises(DatasetError, match=r"task-5.json: format 2, this merpo reads up to 1; upgrade merpo"):
        read_dataset(tmp_path, "task-5")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "a/b", "a\\b", "", ".hidden", "x\n", "C:x"])
def test_a_manifest_cannot_point_out_of_its_folder(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    put(tmp_path, files)
    behavior = json.loads(files["task-5.json"])["behavior"]
    rewritten(tmp_path, behavior={**behavior, "checkpoint": name})
    with pytest.raises(DatasetError, match=r"task-5.json: behavior.checkpoint: "):
        read_policy(tmp_path, "task-5")


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"seed": "7"}, "seed: .*integer, got '7'"),
    ({"seed": True}, "seed: .*integer, got True"),
    ({"extra": 1}, "extra: "),
    ({"sha256": "ab"}, "sha256: "),
    ({"size": 0}, "size: "),
    ({"transitions": 8}, r"are \(7, 2, 2, 1\), expected \(8, 2, 2, 1\) as in its manifest"),
    ({"action_dim": 2}, r"expected \(7, 2, 2, 2\) as in its manifest"),
    ({"sha256": "0" * 64}, "sha256 is .*, expected 0000"),
    ({"size": 10}, "bytes, expected 10: truncated or changed"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_a_manifest_that_does_not_fit_is_refused(
    files: dict[str, bytes], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    put(tmp_path, files)
    rewritten(tmp_path, **changes)
    with pytest.raises(DatasetError, match=message):
        read_dataset(tmp_path, "task-5")


def test_a_huge_manifest_is_refused_unread(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path, {**files, "task-5.json": files["task-5.json"] + b" " * 1_000_000})
    with pytest.raises(DatasetError, match=r"task-5.json: larger than 1000000 bytes"):
        read_dataset(tmp_path, "task-5")


def test_a_hand_edited_manifest_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path, files)
    path = tmp_path / "task-5.json"
    path.write_text(path.read_text().replace('"medium"', '"expert"'))
    with pytest.raises(DatasetError, match=r"task-5.json: checksum is .*damaged or edited"):
        read_dataset(tmp_path, "task-5")
    assert not has_dataset(tmp_path, "task-5")


ARRAY_CHANGES: list[tuple[Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], str]] = [
    (lambda a: {k: v for k, v in a.items() if k != "rewards"}, r"holds \['actions'.*expected \['actions'.*'rewards'"),
    (lambda a: {**a, "../../x": torch.zeros(1)}, r"holds \['../../x'"),
    (lambda a: {}, r"holds \[\], expected"),
    (lambda a: {**a, "rewards": a["rewards"].half()}, "rewards is torch.float16, expected torch.float32"),
    (lambda a: {**a, "rewards": a["rewards"] * float("nan")}, "rewards is nan at row 0"),
    (lambda a: {**a, "actions": a["actions"] + 5}, r"expected within \[-1, 1\]"),
    (lambda a: {**a, "episode_offsets": a["episode_offsets"] + 1}, r"episode_offsets begin and end at \(1, 8\)"),
    (lambda a: {k: v[:0] for k, v in a.items()}, "is empty"),
]


@pytest.mark.parametrize(("change", "message"), ARRAY_CHANGES)
@pytest.mark.parametrize("verify", [True, False])
def test_a_file_with_a_valid_digest_is_still_checked(
    files: dict[str, bytes],
    tmp_path: Path,
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
    message: str,
    verify: bool,
) -> None:
    put(tmp_path, files)
    content = save(change({key: getattr(DATA, key) for key in ARRAYS}))
    data_path(tmp_path, "task-5").write_bytes(content)
    rewritten(tmp_path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    with pytest.raises(DatasetError, match=rf"task-5.safetensors: .*{message}.*merpo collect RECIPE"):
        read_dataset(tmp_path, "task-5", verify=verify)


def test_without_verify_the_digest_alone_is_left_out(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path, files)
    rewritten(tmp_path, sha256="0" * 64)
    assert same(read_dataset(tmp_path, "task-5", verify=False)[0], DATA)


# --- writing


def test_data_that_would_be_refused_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"task-5: rewards is nan at row 0"):
        store(tmp_path, data=replace(DATA, rewards=DATA.rewards * float("nan")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("settings", [{"x": float("nan")}, {"x": Path("y")}, {"x": torch.zeros(1)}])
def test_settings_that_json_cannot_hold_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="expected plain JSON values"):
        store(tmp_path, settings=settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("killed_at", range(3))
def test_a_killed_write_leaves_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int) -> None:
    """Also where there was one before: old manifest and new data never stand side by side."""
    store(tmp_path)
    replaced: list[str] = []
    real = os.replace

    def replace_or_die(source: Path, target: Path) -> None:
        if len(replaced) == killed_at:
            raise KeyboardInterrupt
        replaced.append(Path(target).name)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path, seed=8)
    assert replaced == ["task-5.safetensors", "task-5.policy.safetensors"][:killed_at]
    assert not has_dataset(tmp_path, "task-5")
    with pytest.raises(DatasetError, match="no such dataset"):
        read_dataset(tmp_path, "task-5")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking beside torch's idle threads
def test_a_write_killed_at_any_moment_leaves_whole_datasets_only(tmp_path: Path) -> None:
    delays, data, seen = random.Random(0), make_dataset([400], [True], 2, 1), 0
    for trial in range(15):
        folder = tmp_path / str(trial)
        if not (child := os.fork()):
            try:
                for i in range(1000):
                    store(folder, f"x-{i}", data)
            finally:
                os._exit(1)
        begun = time.monotonic()
        while not folder.exists() and time.monotonic() < begun + 30.0:  # a loaded machine starts it late
            time.sleep(0.001)
        time.sleep(delays.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for manifest in folder.glob("*.json"):
            assert same(read_dataset(folder, manifest.stem)[0], data)
            seen += 1
        store(folder, "x-0", data)  # what was left behind is in nobody's way
    assert seen > 0


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MerpoError, match=r"file.*cannot be"):
        store(tmp_path / "file")


def test_a_policy_is_optional(tmp_path: Path) -> None:
    assert store(tmp_path, policy=None).behavior.checkpoint is None
    assert has_dataset(tmp_path, "task-5")
    assert not policy_path(tmp_path, "task-5").exists()
    with pytest.raises(DatasetError, match="no behaviour policy was stored"):
        read_policy(tmp_path, "task-5")


def test_a_manifest_with_a_wrong_field_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="format_version"):
        write_manifest(tmp_path / "x.json", {"format_version": 0})
    assert not list(tmp_path.iterdir())


# --- places


def test_has_dataset(files: dict[str, bytes], tmp_path: Path) -> None:
    assert not has_dataset(tmp_path / "nowhere", "task-5")
    put(tmp_path, files)
    assert has_dataset(tmp_path, "task-5")
    assert not has_dataset(tmp_path, "task-6")
    data_path(tmp_path, "task-5").write_bytes(files["task-5.safetensors"][:-1])
    assert not has_dataset(tmp_path, "task-5")
    data_path(tmp_path, "task-5").unlink()
    assert not has_dataset(tmp_path, "task-5")


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".x", "x y", "x.policy", "x" * 200, "ü" * 91, "ü/x", "x\u202e", "\u0308x", "x\n"]
)
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    for place in (manifest_path, data_path, policy_path):
        with pytest.raises(DatasetError, match="is not a valid name in the data store"):
            place(tmp_path, name)
    with pytest.raises(DatasetError, match="not a valid name"):
        has_dataset(tmp_path, name)


def test_the_store_is_where_merpo_data_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MERPO_DATA", str(tmp_path))
    assert store_root() == tmp_path
    monkeypatch.setenv("MERPO_DATA", "~/x")
    assert store_root() == Path.home() / "x"
    monkeypatch.setenv("MERPO_DATA", "~no-such-user-here/x")
    with pytest.raises(DatasetError, match="MERPO_DATA"):
        store_root()
    for unset in ("", "  "):
        monkeypatch.setenv("MERPO_DATA", unset)
        assert store_root().parts[-2:] == ("merpo", "data")


def test_a_collection_is_named_by_family_and_fingerprint(tmp_path: Path) -> None:
    digest = fingerprint({"a": 1})
    assert collection_dir(tmp_path, "toy", digest) == tmp_path / f"toy-{digest[:12]}"
    for family, other in [("../toy", digest), ("toy", "../../etc/passwd"), ("toy", "abc")]:
        with pytest.raises(DatasetError, match=r"not a valid name|hexadecimal"):
            collection_dir(tmp_path, family, other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_fingerprint_outlives_json_and_the_order_of_keys(payload: dict[str, Any]) -> None:
    digest = fingerprint(payload)
    assert len(digest) == 64
    assert fingerprint(json.loads(json.dumps(payload))) == digest
    assert fingerprint(dict(reversed(payload.items()))) == digest


@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_different_payloads_have_different_fingerprints(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def test_a_fingerprint_is_the_same_for_ever() -> None:
    """Else every collection in every user's store would be collected again."""
    payload = {"b": [1, 2.5, None, True], "a": {"x": "naïve"}, 3: ()}
    assert fingerprint(payload) == "7dd208fb5c8d00b952d16de781a2d7fd7e65d97449b0819954ded64a9799e47c"


def test_importing_the_store_imports_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "gymnasium", "safetensors")
    code = f"import sys, merpo.data.store; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
