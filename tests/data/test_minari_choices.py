"""Minari's datasets by a pattern of their ids, without some of their episodes or keys."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
from command import Answer

from merpo.data.catalog import DatasetEntry, find
from merpo.data.minari.files import open_minari
from merpo.data.minari.imports import import_minari
from merpo.data.minari.local import is_minari_pattern, matching_ids
from merpo.data.store import read_dataset
from merpo.errors import DatasetError, MerpoError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer

Cli = Callable[..., Answer]
FORMATS = ["hdf5", "arrow", "parquet"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's folder, empty."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def create(dataset_id: str, form: str = "hdf5") -> Path:
    """Three episodes of 2, 3 and 4 steps with a dictionary of observations, one key of which is an image."""
    box = gymnasium.spaces.Box
    episodes = [
        EpisodeBuffer(
            id=e,
            observations={
                "at": np.full((n + 1, 2), e, np.float64),
                "camera": {"image": np.zeros((n + 1, 3), np.uint8), "time": np.full((n + 1, 1), e, np.float64)},
            },
            actions=np.zeros((n, 1), np.float32),
            rewards=[float(e)] * n,
            terminations=[False] * n,
            truncations=[False] * (n - 1) + [True],
        )
        for e, n in enumerate((2, 3, 4))
    ]
    camera = gymnasium.spaces.Dict({"image": box(0, 255, (3,), np.uint8), "time": box(-9, 9, (1,), np.float64)})
    space = gymnasium.spaces.Dict({"at": box(-9, 9, (2,), np.float64), "camera": camera})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            dataset_id, episodes, observation_space=space, action_space=box(-1, 1, (1,), np.float32), data_format=form
        )
    return Path(minari.storage.get_dataset_path(dataset_id)) / "data"


def only(collection: str) -> Any:
    (entry,) = find(collection)
    return read_dataset(entry.folder, entry.name)


def test_ids_are_found_by_a_pattern(merpo_cli: Cli) -> None:
    for name in ("lab/pump/slow-v0", "lab/pump/fast-v0", "lab/pump/fast-v1", "lab/mill/fast-v0", "other-v0"):
        create(name)
    assert matching_ids("lab/pump/*-v0") == ["lab/pump/fast-v0", "lab/pump/slow-v0"]
    assert matching_ids("lab/*fast-v0") == ["lab/mill/fast-v0", "lab/pump/fast-v0"]
    assert matching_ids("*-v[1-9]") == ["lab/pump/fast-v1"]
    assert matching_ids("other-v?") == ["other-v0"]
    done = merpo_cli("data", "import", "minari:lab/pump/*-v0", "lab/pump/slow-v0")
    assert done.code == 0, done.err
    assert [str(entry) for entry in find("minari-lab-pump")] == ["minari-lab-pump/fast-v0", "minari-lab-pump/slow-v0"]
    done = merpo_cli("data", "import", "lab/pmup/*")
    assert done.code == 2
    assert "lab/pmup/*: no dataset of Minari's in" in done.err
    assert "is to be downloaded is named in full" in done.err


@pytest.mark.parametrize("text", ["a/b-v0", "../*", "/etc/*", "a b*", "a\x00*", "*" * 400, ""])
def test_other_texts_are_no_patterns_or_match_nothing(text: str, root: Path) -> None:
    create("lab/x-v0")
    (root.parent / "outside" / "data").mkdir(parents=True)
    (root.parent / "outside" / "data" / "metadata.json").write_text("{}")
    (root / "link").symlink_to(root.parent / "outside")
    if is_minari_pattern(text):
        with pytest.raises(DatasetError, match="no dataset of Minari's"):
            matching_ids(text)
    assert matching_ids("*") == ["lab/x-v0"]


@pytest.mark.parametrize("form", FORMATS)
def test_episodes_are_left_out_unread(form: str, merpo_cli: Cli) -> None:
    folder = create("lab/x-v0", form)
    if form == "hdf5":
        with h5py.File(folder / "main_data.hdf5", "r+") as file:
            del file["episode_1/rewards"]
    else:
        shutil.rmtree(folder / "1")
        (folder / "1").mkdir()  # of which the file was lost
    assert merpo_cli("data", "import", "lab/x-v0").code == 2
    for episode in ("1", "x-v0/1", "lab/x-v0/1"):
        done = merpo_cli("data", "import", "lab/x-v0", "--leave-out", episode)
        assert done.code == 0, done.err
        assert "left out: lab/x-v0/1" in done.out
    data, manifest = only("minari-lab")
    assert data.rewards.tolist() == [0.0] * 2 + [2.0] * 4
    assert manifest.settings["left out"] == ["1"]
    done = merpo_cli("data", "import", "lab/x-v0", "--leave-out", "3")
    assert "no episode 3 to leave out, expected a number from 0 to 2" in done.err
    done = merpo_cli("data", "import", "lab/x-v0", *(f"--leave-out={i}" for i in range(3)))
    assert "all of its 3 episodes are left out" in done.err


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["camera"], ["at"]),
        (["camera.image"], ["at", "camera.time"]),
        (["at", "camera.image"], ["camera.time"]),
    ],
)
def test_keys_of_a_dictionary_are_left_out(form: str, keys: list[str], names: list[str], merpo_cli: Cli) -> None:
    create("lab/x-v0", form)
    done = merpo_cli("data", "import", "lab/x-v0", *(f"--leave-out-key={key}" for key in keys))
    assert done.code == 0, done.err
    data, manifest = only("minari-lab")
    assert manifest.settings["observations"] == names
    assert manifest.settings["left out"] == keys
    assert data.observations.shape == (9, 2 * ("at" in names) + ("camera.time" in names))
    assert "camera" in merpo_cli("data", "show", "minari-lab").out


def test_a_key_that_merpo_cannot_read_does_not_matter_if_it_is_left_out() -> None:
    folder = create("lab/x-v0")
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    space = json.loads(metadata["observation_space"])
    space["subspaces"]["mission"] = {"type": "Text", "max_length": 9}
    path.write_text(json.dumps({**metadata, "observation_space": json.dumps(space)}))
    with pytest.raises(DatasetError, match=r"observation_space.mission is 'Text', expected Box"):
        open_minari("lab/x-v0")
    import_minari(["lab/x-v0"], note=lambda _: None, leave_out_keys=["mission"])
    assert DatasetEntry("minari-lab", "x-v0").manifest().observation_dim == 6


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            ["camra"],
            r"observation_space has no key 'camra' to leave out \(did you mean 'camera'\?\); it has at, camera",
        ),
        (["camera.x"], "observation_space.camera has no key 'x' to leave out"),
        (["at.x"], "observation_space.at is no dictionary"),
        (["at", "camera"], "observation_space has no key but 'camera'"),
        (["camera", "camera.image"], "observation_space has no key 'camera.image' to leave out"),
    ],
)
def test_keys_that_are_not_there_are_refused(keys: list[str], message: str) -> None:
    create("lab/x-v0")
    with pytest.raises(DatasetError, match=message):
        import_minari(["lab/x-v0"], note=lambda _: None, leave_out_keys=keys)


def test_files_have_no_keys(merpo_cli: Cli, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", observations=np.zeros((3, 1)), actions=np.zeros((3, 1)), rewards=np.zeros(3))
    done = merpo_cli("data", "import", "a.npz", "--leave-out-key", "at")
    assert done.code == 2
    assert "--leave-out-key applies to Minari datasets only" in done.err
    assert issubclass(DatasetError, MerpoError)
