"""The statistics of imported data, which `merpo data show` prints before anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer
from logs import machine, write_csv, write_machines
from tiny import tiny_recipe

from merpo.data.catalog import find
from merpo.data.column_table import column_lines
from merpo.data.columns import read_columns
from merpo.data.import_logs import import_logs
from merpo.data.needed import collection_folder


def test_every_column_has_a_line_with_the_names_of_the_file(tmp_path: Path) -> None:
    folder = write_machines(tmp_path / "pumps", [0.1, 0.2])
    write_csv(folder / "pump-2.csv", machine(0.0, seed=2))  # its flow is constant, the others' is not
    import_logs([folder], None, read_columns(tmp_path / "columns.toml"), {})
    size, head, *lines = column_lines(find("pumps"))
    assert size == "3 datasets, 120 transitions in 12 episodes, 0% of them ended early; actions are scaled to [-1, 1]"
    assert head.split() == ["column", "mean", "std", "min", "max"]
    assert [line.split()[0] for line in lines] == ["level", "flow", "valve", "reward"]
    (flow,) = (line for line in column_lines(find("pumps/pump-2")) if line.startswith("flow"))
    assert flow.split() == ["flow", "0", "0", "0", "0", "constant"]
    stored = [entry.manifest() for entry in find("pumps")]
    assert len(stored) == 3
    numbers = [float(text) for text in lines[2].split()[1:]]
    assert abs(numbers[0]) < 0.2
    assert -1 <= numbers[2] < numbers[3] <= 1


def test_imported_data_is_shown_before_its_origin(
    merpo_cli: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "own"))
    folder = write_machines(tmp_path / "pumps", [0.1, 0.2])
    import_logs([folder], None, read_columns(tmp_path / "columns.toml"), {})
    shown = merpo_cli("data", "show", "pumps").out
    places = [shown.index(text) for text in ("pumps: 2 datasets", "level ", "quality", "from file", "in a recipe:")]
    assert places == sorted(places)
    assert shown.startswith("pumps: 2 datasets")
    assert merpo_cli("collect", "tiny.toml").code == 0
    collected = merpo_cli("data", "show", collection_folder(tiny_recipe()).name).out
    assert collected.startswith("point-robot-wind-")
    assert "actions are scaled" not in collected, "collected data is not read from a file"


def test_datasets_of_other_dims_have_a_table_of_their_own(merpo_cli: Callable[..., Answer], tmp_path: Path) -> None:
    folder = write_machines(tmp_path / "pumps", [0.1])
    write_csv(tmp_path / "wide.csv", {**machine(0.1), "heat": machine(0.2)["level"]})
    (tmp_path / "wide.toml").write_text((tmp_path / "columns.toml").read_text().replace('"flow"]', '"flow", "heat"]'))
    for source, mapping in ((folder, "columns.toml"), (tmp_path / "wide.csv", "wide.toml")):
        assert merpo_cli("data", "import", str(source), "--columns", mapping, "--name", "mixed").code == 0
    shown = merpo_cli("data", "show", "mixed").out
    assert shown.count("mixed: 1 datasets, 40 transitions") == 2
    assert "heat" in shown
