"""Artifacts: what goes in comes out, the same bits give the same file, and nothing damaged is let in."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from merpo.artifacts.artifact import FORMAT_VERSION, load_artifact, save_artifact
from merpo.errors import ArtifactError
from merpo.types import Params

HEADER = {"stage": "meta-policy", "recipe": json.dumps({"method": {"component": "merpo"}}), "versions": "{}"}


def groups() -> dict[str, Params]:
    shared = torch.arange(6.0).view(2, 3)
    return {
        "meta_policy": {"0.weight": shared.mT, "0.bias": shared[0]},  # strided, and sharing memory
        "meta_q": {"w/deep": torch.ones(2, 1, dtype=torch.float64), "n": torch.tensor(3)},
    }


def test_groups_and_header_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "meta.safetensors"
    digest = save_artifact(path, groups(), HEADER)
    found, header = load_artifact(path, digest)
    assert {g: set(p) for g, p in found.items()} == {g: set(p) for g, p in groups().items()}
    for group, params in groups().items():
        for key, value in params.items():
            torch.testing.assert_close(found[group][key], value, rtol=0, atol=0)
    assert header == {**HEADER, "format_version": str(FORMAT_VERSION)}
    assert [entry.name for entry in path.parent.iterdir()] == ["meta.safetensors"], "no temporary files are left"


def test_the_same_content_is_the_same_file_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from merpo.artifacts.artifact import save_artifact;"
        "print(save_artifact(Path(sys.argv[1]), {'b': {'x': torch.ones(3)}, 'a': {'y': torch.zeros(2)}},"
        " {'stage': 's', 'recipe': '{}', 'versions': '{}', 'seed': '0'}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "one")], capture_output=True, text=True, check=True, timeout=120
    )
    header = {"seed": "0", "versions": "{}", "recipe": "{}", "stage": "s"}
    params = {"a": {"y": torch.zeros(2)}, "b": {"x": torch.ones(3)}}
    digests = {save_artifact(tmp_path / str(i), params, header) for i in range(8)}
    assert digests == {run.stdout.strip()}


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_artifact(path, groups(), HEADER)
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_loaded_tensors_own_their_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_artifact(path, groups(), HEADER)
    found, _ = load_artifact(path)
    path.write_bytes(b"")  # in place, which would kill a process that still reads a memory map
    torch.testing.assert_close(found["meta_policy"]["0.bias"], torch.arange(3.0))
    found["meta_policy"]["0.bias"].add_(1.0)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="No such file"):
        load_artifact(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="not a file"):
        load_artifact(tmp_path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_artifact(path, groups(), HEADER)
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(ArtifactError, match="damaged"):
            load_artifact(path)


def test_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = save_artifact(path, groups(), HEADER)
    content = bytearray(path.read_bytes())
    assert digest == hashlib.sha256(content).hexdigest()
    content[-3] ^= 1  # of a weight: safetensors itself cannot notice
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"its checksum is sha256:\w+, but its content has sha256:\w+: damaged"):
        load_artifact(path)
    with pytest.raises(ArtifactError, match=f"content has changed.*{digest}"):
        load_artifact(path, digest)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_is_let_in(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    save_artifact(path, groups(), HEADER)
    whole = path.read_bytes()
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    if content == whole:
        load_artifact(path)
        return
    with pytest.raises(ArtifactError) as refused:
        load_artifact(path)
    assert str(path) in str(refused.value)


def test_every_flipped_bit_of_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_artifact(path, groups(), HEADER)
    whole = path.read_bytes()
    for place in range(8 + int.from_bytes(whole[:8], "little")):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(ArtifactError):
            load_artifact(path)


def test_an_artifact_from_before_there_were_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    header = {**HEADER, "format_version": "1"}
    save_file({"a/b": torch.ones(1)}, path, {"merpo-artifact": json.dumps(header)})
    found, read = load_artifact(path)
    assert (float(found["a"]["b"]), read) == (1.0, header)


@pytest.mark.parametrize("checksum", [None, "", "sha256:", f"sha256:{'0' * 64}", f"sha256:{'g' * 64}", "0" * 64])
def test_an_artifact_of_now_needs_its_checksum(tmp_path: Path, checksum: str | None) -> None:
    path = tmp_path / "a.safetensors"
    header = {**HEADER, "format_version": "2"} | ({} if checksum is None else {"checksum": checksum})
    save_file({"a/b": torch.ones(1)}, path, {"merpo-artifact": json.dumps(header)})
    with pytest.raises(ArtifactError, match="its checksum is"):
        load_artifact(path)


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {"merpo-artifact": "[1]"}, {"merpo-artifact": '{"a": 1}'}]
)
def test_a_foreign_safetensors_file_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"a/b": torch.ones(1)}, path, metadata)
    with pytest.raises(ArtifactError, match="not an artifact of merpo"):
        load_artifact(path)


@pytest.mark.parametrize(
    "text", ["nonsense", '{"format_version": "3"}', '{"format_version": "02"}', '{"format_version": "1.5"}', "{}"]
)
def test_another_format_version_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "newer.safetensors"
    save_file({"a/b": torch.ones(1)}, path, {"merpo-artifact": text})
    with pytest.raises(ArtifactError, match=r"format version|damaged"):
        load_artifact(path)


def test_a_tensor_outside_of_a_group_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"loose": torch.ones(1)}, path, {"merpo-artifact": '{"format_version": "1"}'})
    with pytest.raises(ArtifactError, match="expected 'group/parameter'"):
        load_artifact(path)


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_group_whose_name_could_not_be_read_back_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="expected a name"):
        save_artifact(tmp_path / "a", {name: {"x": torch.ones(1)}}, HEADER)
    with pytest.raises(ArtifactError, match="with 0 tensors"):
        save_artifact(tmp_path / "a", {"empty": {}}, HEADER)
    assert not (tmp_path / "a").exists()


def test_a_header_that_is_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="header 'seed' is int"):
        save_artifact(tmp_path / "a", groups(), {"seed": 0})  # type: ignore[dict-item]
