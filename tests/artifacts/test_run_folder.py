"""merpo.artifacts.run_folder: names of stages come from plugins and manifests, and lead nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import tiny_recipe

from merpo.artifacts.artifact import save_artifact
from merpo.artifacts.finished_run import FinishedRun
from merpo.artifacts.run_folder import RunFolder
from merpo.errors import ArtifactError, PluginError

HOSTILE = ("../x", "../../x", "/tmp/x", "a/b", "", ".", "..", "a\0b", "a b", "\x1b[2J", "x" * 200)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stage_of_a_plugin_is_a_plain_name(tmp_path: Path, name: str) -> None:
    recipe = tiny_recipe()
    folder = RunFolder(tmp_path / "runs" / "a", recipe, 0, {}, print)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PluginError, match=r"the file of a stage is .*expected letters, digits"):
        folder.save(name, {"group": {"w": torch.zeros(1)}})
    with pytest.raises(PluginError, match="the file of a stage is"):
        folder.stage(name, lambda: {"group": {"w": torch.zeros(1)}})
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"
    run = FinishedRun(tmp_path / "runs" / "a", recipe, 0, {"artifacts": {name: "0" * 64}})
    with pytest.raises(ArtifactError, match="the file of a stage is"):
        run.groups(name)


@pytest.mark.parametrize("text", ["", "x", "{}", "1", "[1]", "[" * 5000, "null"])
def test_an_odd_list_of_groups_is_refused(tmp_path: Path, text: str) -> None:
    run = FinishedRun(tmp_path, tiny_recipe(), 0, {"artifacts": {}})
    header = {"stage": "meta", "groups": text}
    run.manifest["artifacts"]["meta"] = save_artifact(run.path / "artifacts" / "meta.safetensors",
                                                      {"a": {"w": torch.zeros(1)}}, header)  # fmt: skip
    with pytest.raises(ArtifactError, match=r"meta\.safetensors: groups"):
        run.groups("meta")
