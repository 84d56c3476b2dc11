"""merpo data import, list, show, verify and delete: files of logs become checked entries of the store."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from command import Answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logs import COLUMNS, machine, write_csv, write_machines
from mutations import mutated

from merpo.data.catalog import collections, delete, entries, find
from merpo.data.columns import Columns, read_columns
from merpo.data.import_logs import Imported, _store, import_logs, slug
from merpo.data.places import LOCK, collection_path, store_root
from merpo.data.store import read_dataset
from merpo.data.table_files import read_table
from merpo.errors import DatasetError, MerpoError, RecipeError
from merpo.support.lock import folder_lock

Cli = Callable[..., Answer]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def pumps(tmp_path: Path) -> Path:
    return write_machines(tmp_path / "pumps", [0.1, 0.2])


def columns(path: Path) -> Columns:
    path.write_text(COLUMNS, "utf-8")
    return read_columns(path)


def test_a_folder_of_csv_files_becomes_a_collection(merpo_cli: Cli, pumps: Path, store: Path) -> None:
    done = merpo_cli("data", "import", str(pumps), "--columns", "columns.toml")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"pumps: 2 datasets stored in {store / 'pumps'}"
    assert lines[1].startswith("  left out: 8 of 88 rows, after which the log has no observation, with a reward of -")
    assert lines[-1] == "look at it: merpo data show pumps"
    for i, gain in enumerate((0.1, 0.2)):
        data, manifest = read_dataset(store / "pumps", f"pump-{i}")
        log = machine(gain, seed=i)
        keep = np.arange(44) % 11 != 10  # an episode's last row has no next one
        np.testing.assert_allclose(data.observations[:, 0], log["level"][keep], rtol=1e-6)
        np.testing.assert_allclose(data.next_observations[:, 0], np.roll(log["level"], -1)[keep], rtol=1e-6)
        np.testing.assert_allclose(data.actions[:, 0], log["valve"][keep] / 50 - 1, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(data.rewards, log["profit"][keep], rtol=1e-6)
        assert data.episode_offsets.tolist() == [0, 10, 20, 30, 40]
        assert data.task == {"name": f"pumps/pump-{i}"}
        assert (manifest.family, manifest.quality, manifest.task_index) == ("logs", "imported", i)
        assert manifest.behavior.checkpoint is None
        assert manifest.behavior.return_mean == pytest.approx(float(data.episode_returns().mean()))
        assert manifest.settings["columns"]["action_high"] == [100.0]


def test_what_is_in_the_store_is_listed_shown_verified_and_deleted(merpo_cli: Cli, pumps: Path, store: Path) -> None:
    assert "no data yet" in merpo_cli("data", "list").out
    (pumps.parent / "tasks.toml").write_text("[pump-1]\nload = 3\n")
    merpo_cli(
        "data", "import", str(pumps), "--columns", "columns.toml", "--task-params", "tasks.toml", "--name", "mine"
    )
    assert merpo_cli("data", "list").out.splitlines()[1].split() == ["mine", "2", "logs", "imported", "80", "0.0"]
    lines = merpo_cli("data", "list", "mine").out.splitlines()
    assert lines[2].split()[:4] == ["pump-1", "imported", "40", "4"]
    assert "{load = 3}" in lines[2]
    shown = merpo_cli("data", "show", "mine/pump-1").out
    assert "40 in 4 episodes" in shown
    assert 'train = ["store:mine/pump-1"]' in shown
    assert "observation_dim = 2" in shown
    assert 'train = ["store:mine"]' in merpo_cli("data", "show", "mine").out
    assert merpo_cli("data", "verify", "mine").code == 0
    damaged = store / "mine" / "pump-1.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    done = merpo_cli("data", "verify", "mine")
    assert done.code == 2
    assert done.out.startswith("ok       mine/pump-0")
    assert "damaged  mine/pump-1" in done.out
    assert "1 datasets are damaged" in done.err
    assert merpo_cli("data", "delete", "mine/pump-1", "--yes").out == "deleted 1 datasets (2 files)\n"
    assert [str(entry) for entry in find("mine")] == ["mine/pump-0"]
    assert merpo_cli("data", "delete", "mine", "-y").code == 0
    assert collections() == []
    assert not (store / "mine").exists()


def test_a_damaged_manifest_does_not_hide_the_others(merpo_cli: Cli, pumps: Path, store: Path) -> None:
    merpo_cli("data", "import", str(pumps), "--columns", "columns.toml")
    (store / "pumps" / "pump-0.json").write_text("{")
    lines = merpo_cli("data", "list", "pumps").out.splitlines()
    assert lines[1].split()[:2] == ["pump-0", "damaged"]
    assert lines[2].split()[:2] == ["pump-1", "imported"]
    assert merpo_cli("data", "list").code == 0
    assert merpo_cli("data", "show", "pumps").code == 2
    assert merpo_cli("data", "delete", "pumps", "--yes").code == 0


def test_importing_again_changes_nothing_and_other_data_is_refused(pumps: Path, tmp_path: Path) -> None:
    mapping, said = columns(tmp_path / "c.toml"), []
    import_logs([pumps], None, mapping, {}, note=said.append)
    before = {path: path.stat().st_mtime_ns for path in entries("pumps")[0].folder.iterdir()}
    write_csv(pumps / "pump-2.csv", machine(0.3))
    import_logs([pumps], None, mapping, {}, note=said.append)
    assert "1 datasets stored" in said[1]
    assert "2 already existed" in said[1]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [entry.manifest().task_index for entry in entries("pumps")] == [0, 1, 2]
    with pytest.raises(DatasetError, match="other data, task or family"):
        import_logs([pumps], None, mapping, {}, "point-robot-wind", said.append)
    write_csv(pumps / "pump-0.csv", machine(0.4))
    with pytest.raises(
        DatasetError, match="pumps/pump-0 is in the store with other data, task or family; run: merpo data delete"
    ):
        import_logs([pumps], None, mapping, {}, note=said.append)


def test_the_next_number_is_no_other_tasks(pumps: Path, tmp_path: Path) -> None:
    mapping = columns(tmp_path / "c.toml")
    import_logs([pumps], None, mapping, {}, note=lambda _: None)
    delete(find("pumps/pump-0"))
    write_csv(pumps / "pump-2.csv", machine(0.3))
    import_logs([pumps / "pump-2.csv"], "pumps", mapping, {}, note=lambda _: None)
    assert [entry.manifest().task_index for entry in entries("pumps")] == [1, 2]


def test_two_imports_at_once_do_not_replace_each_others_data(pumps: Path, tmp_path: Path) -> None:
    """One waits while the other writes, and then looks again at what is there: other data of a name is refused."""
    mapping, said = columns(tmp_path / "c.toml"), []
    folder = collection_path(store_root(), "pumps")
    other = mapping.dataset(read_table(write_csv(tmp_path / "other.csv", machine(0.9))), "other", {}, "pump-0")
    with ThreadPoolExecutor(1) as pool, folder_lock(folder / LOCK):
        second = pool.submit(import_logs, [pumps], None, mapping, {}, note=said.append)
        while not said:
            time.sleep(0.01)
        assert "is writing here; waiting for it" in said[0]
        assert not second.done()
        assert not list(folder.glob("*.json"))
        _store(folder, "pumps", [Imported(other, {})], "logs")
    with pytest.raises(DatasetError, match="pumps/pump-0 is in the store with other data"):
        second.result()
    assert [str(entry) for entry in entries("pumps")] == ["pumps/pump-0"]


def test_a_folder_of_no_collections_name_is_none(pumps: Path, tmp_path: Path) -> None:
    import_logs([pumps], None, columns(tmp_path / "c.toml"), {}, note=lambda _: None)
    for name in ("my backup", "@eaDir", "__MACOSX"):
        (store_root() / name).mkdir()
    assert collections() == ["pumps"]


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_every_format_gives_the_same_data(kind: str, tmp_path: Path) -> None:
    log, mapping = machine(0.1), columns(tmp_path / "c.toml")
    write_csv(tmp_path / "a.csv", log)
    if kind == "npz":
        np.savez_compressed(tmp_path / "a.npz", **log)
    else:
        pyarrow.parquet.write_table(pa.table({**log, "nested": [[1]] * 44}), tmp_path / "a.parquet")
    a = mapping.dataset(read_table(tmp_path / "a.csv"), "a", {}, "a")
    b = mapping.dataset(read_table(tmp_path / f"a.{kind}"), "b", {}, "b")
    assert a.observations.equal(b.observations)
    assert a.actions.equal(b.actions)
    assert a.episode_offsets.equal(b.episode_offsets)


def test_missing_values_matter_only_where_they_are_used(tmp_path: Path) -> None:
    log, mapping = machine(0.1), columns(tmp_path / "c.toml")
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pa.table({**log, "note": [None, 1.0] * 22, "said": ["x", None] * 22}), path)
    assert len(mapping.dataset(read_table(path), "a", {}, "a")) == 40
    profit = pa.array([None, *log["profit"][1:]])
    pyarrow.parquet.write_table(pa.table({**log, "profit": profit}), path)
    with pytest.raises(DatasetError, match="rewards is nan at row 0"):
        mapping.dataset(read_table(path), "a", {}, "a")


def test_a_row_without_a_label_belongs_to_no_episode(tmp_path: Path) -> None:
    log, mapping, path = machine(0.1), columns(tmp_path / "c.toml"), tmp_path / "a.parquet"
    for missing in ([None, *log["day"][1:]], [None, *[0] * 10, *[1] * 33]):
        pyarrow.parquet.write_table(pa.table({**log, "day": pa.array(missing)}), path)
        with pytest.raises(DatasetError, match="episodes has no label in row 0"):
            mapping.dataset(read_table(path), "a", {}, "a")
    stopped = pa.array([None, *[False] * 43])
    pyarrow.parquet.write_table(pa.table({**log, "profit": stopped}), path)
    with pytest.raises(DatasetError, match="rewards is nan at row 0"):
        mapping.dataset(read_table(path), "a", {}, "a")


def test_deleting_leaves_what_is_no_dataset(pumps: Path, tmp_path: Path) -> None:
    import_logs([pumps], None, columns(tmp_path / "c.toml"), {}, note=lambda _: None)
    folder = entries("pumps")[0].folder
    (folder / "notes.txt").write_text("mine")
    assert len(delete(find("pumps"))) == 4
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_merpos_own_names_need_no_mapping(tmp_path: Path) -> None:
    arrays = {"observations": np.zeros((3, 5, 2)), "actions": np.zeros((3, 4, 1)), "rewards": np.ones((3, 4))}
    np.savez(tmp_path / "a.npz", **arrays, terminations=np.zeros((3, 4)))
    data = Columns().dataset(read_table(tmp_path / "a.npz"), "a", {}, "a")
    assert data.episode_returns().tolist() == [4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty, expected names"),
        ("a,a\n1,2\n", "has two columns named 'a'"),
        ("level,flow,valve,profit\n1,2\n", "line 2 has 2 values, expected 4"),
        ("level,flow,valve,profit\n", "is empty, expected at least one transition"),
        ("levl,flow,valve,profit\n1,2,3,4\n", r"no column 'level' \(did you mean 'levl'\?\); columns here: levl, flow"),
        ("level,flow,valve,profit\n1,2,3,4\n1,2,3,\n", "profit is '' in line 3, expected a number"),
        ("level,flow,valve,profit\n\n\n1,2,3,4\n\n1,2,3,x\n", "profit is 'x' in line 6, expected a number"),
        ('level,flow,valve,profit\n1,2,3,4\n"1\n",2,3,x\n', "profit is 'x' in line 4, expected a number"),
        ("level,flow,valve,profit\n1,2,3,nan\n1,2,3,4\n", "rewards is nan at row 0, .*; that is line 2 of the file"),
        ("level,flow,valve,profit\n1,2,3,4\n1,2,3,4\ninf,2,3,4\n", "next_observations is inf.*; that is line 4 of"),
        (
            "level,flow,valve,profit\n1,2,300,1\n1,2,3,4\n",
            r"actions is 300 at row 0, column 0, expected within \[0, 100\], .* line 2 of",
        ),
        ("level,flow,valve,profit\n1,2,3,\xe4\n1,2,3,4\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_bad_csv_file_is_refused_by_name(content: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pump.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "c.toml").write_text(COLUMNS.replace('episodes = "day"\n', ""))
    with pytest.raises(DatasetError, match=message) as caught:
        import_logs([path], "x", read_columns(tmp_path / "c.toml"), {})
    assert "pump.csv" in str(caught.value)
    assert collections() == []


def npz_with(header: dict[str, Any], body: bytes = b"") -> bytes:
    """An archive whose only array has this header."""
    member, archive = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("observations.npy", member.getvalue() + body)
    return archive.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npz_with({"descr": "<f8", "fortran_order": False, "shape": (10**12,)}), "declares shape .* but has"),
        (
            npz_with({"descr": "|O", "fortran_order": False, "shape": (1,)}, b"cos\nsystem\n"),
            "Python objects are not read",
        ),
        (npz_with({"descr": "<f8", "fortran_order": False, "shape": (-4,)}), "declares shape|damaged"),
        (b"PK\x03\x04 nothing", "not a NumPy archive"),
    ],
)
def test_a_hostile_archive_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_table(tmp_path / "a.npz")


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", observations=np.zeros(100_000))
    monkeypatch.setattr("merpo.data.table_files.MAX_BYTES", 500_000)
    with pytest.raises(DatasetError, match="take more than 500000 bytes"):
        read_table(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.csv"], "no such file or folder"),
        (["columns.toml"], r"expected a file that ends in .csv, .npz, .parquet"),
        (
            ["pumps", "--columns", "wrong.toml"],
            r"wrong.toml: observation: unknown key \(did you mean 'observations'\?\)",
        ),
        (["pumps", "--columns", "columns.toml", "--task-params", "wrong.toml"], "expected a table"),
        (["pumps", "--columns", "columns.toml", "--task-params", "other.toml"], "no dataset 'pump-7'"),
        (["pumps", "--columns", "columns.toml", "--name", "../out"], "is not a valid name in the data store"),
        (["pumps", "--columns", "columns.toml", "--family", "point-robot"], "did you mean 'point-robot-wind'"),
        (["empty"], "holds no file that ends in"),
    ],
)
def test_mistakes_on_the_command_line(merpo_cli: Cli, pumps: Path, words: list[str], message: str) -> None:
    here = pumps.parent
    (here / "wrong.toml").write_text('observation = "level"\n')
    (here / "other.toml").write_text("[pump-7]\nload = 1\n")
    (here / "empty").mkdir()
    done = merpo_cli("data", "import", *words)
    assert done.code == 2
    assert re.search(message, done.err), done.err
    assert collections() == []


@pytest.mark.parametrize("name", ["../x", "/etc", "a/../../b", ".hidden", "x\x00y", ""])
def test_names_cannot_leave_the_store(merpo_cli: Cli, name: str) -> None:
    for command in ("show", "verify", "delete"):
        assert merpo_cli("data", command, name, *(["--yes"] if command == "delete" else [])).code == 2


def test_a_link_out_of_the_store_is_not_followed(merpo_cli: Cli, store: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.json").write_text("{}")
    store.mkdir()
    (store / "out").symlink_to(tmp_path / "outside")
    assert "is a link to a folder outside" in merpo_cli("data", "delete", "out", "--yes").err
    assert (tmp_path / "outside" / "x.json").exists()


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a b.csv", machine(0.1))
    write_csv(tmp_path / "a-b.csv", machine(0.2))
    with pytest.raises(DatasetError, match="two datasets would be named 'a-b'"):
        import_logs([tmp_path], "x", columns(tmp_path / "c.toml"), {})


@given(st.text(max_size=200))
def test_a_slug_is_a_name_of_the_store(text: str) -> None:
    from merpo.data.places import manifest_path

    manifest_path(Path("x"), slug(text).removesuffix(".policy"))


def test_parameters_too_large_to_be_read_again_are_not_stored(pumps: Path, tmp_path: Path) -> None:
    task = {"pump-0": {"table": list(range(200_000))}}
    with pytest.raises(DatasetError, match="take more than 1000000 bytes"):
        import_logs([pumps], None, columns(tmp_path / "c.toml"), task, note=lambda _: None)
    assert entries("pumps") == []


def small(kind: str) -> bytes:
    """A small valid file."""
    log = machine(0.1, days=2, rows=3)
    target = io.BytesIO()
    if kind == "npz":
        np.savez(target, **log)
    elif kind == "parquet":
        pyarrow.parquet.write_table(pa.table(log), target)
    else:
        lines = [",".join(log), *(",".join(map(str, row)) for row in zip(*log.values(), strict=True))]
        target.write("\n".join(lines).encode())
    return target.getvalue()


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_no_mutation_lets_another_error_escape(kind: str, tmp_path: Path) -> None:
    mapping, path, seen = columns(tmp_path / "c.toml"), tmp_path / f"a.{kind}", {"refused": 0, "taken": 0}

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    @given(mutated(small(kind)))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            mapping.dataset(read_table(path), str(path), {}, "a")
            seen["taken"] += 1
        except MerpoError:
            seen["refused"] += 1

    check()
    assert seen["refused"] > 20


def test_no_mutation_of_a_manifest_breaks_the_listing(pumps: Path, tmp_path: Path) -> None:
    from merpo.data.listing import print_collections, print_entries, print_entry, verify_all

    import_logs([pumps], None, columns(tmp_path / "c.toml"), {}, note=lambda _: None)
    (entry, _) = entries("pumps")
    path, seen = entry.folder / "pump-0.json", {"refused": 0}
    content = path.read_bytes()

    @settings(max_examples=60)
    @given(mutated(content))
    def check(changed: bytes) -> None:
        path.write_bytes(changed)
        print_collections()
        print_entries("pumps")
        try:
            print_entry(entry)
            verify_all(["pumps/pump-0"])
        except MerpoError:
            seen["refused"] += 1

    check()
    assert seen["refused"] > 20


def test_a_mapping_names_every_problem(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('rewards = ["a"]\nactoins = ["x"]\nactions = []\n')
    with pytest.raises(RecipeError) as caught:
        read_columns(tmp_path / "c.toml")
    assert len(str(caught.value).splitlines()) == 3


def test_the_line_is_right_where_rows_of_a_file_are_left_out(tmp_path: Path) -> None:
    days = [f"1,2,3,{'nan' if line == 8 else 4},{(line - 2) // 3}\n" for line in range(2, 11)]
    path = tmp_path / "pump.csv"
    path.write_text("level,flow,valve,profit,day\n" + "".join(days))
    with pytest.raises(DatasetError, match=r"rewards is nan at row 4, .*; that is line 8 of the file"):
        columns(tmp_path / "c.toml").dataset(read_table(path), "pump", {}, "pump")


def test_names_in_any_script_survive(merpo_cli: Cli, tmp_path: Path) -> None:
    names = ["Pumpe Süd", "泵 1", "泵 2", "насос", "पंप", "Ångström-Œuvre", "مضخة", "ปั๊ม"]
    for i, name in enumerate(names):
        log = machine(0.1 * (i + 1), seed=i)
        log["Füllstand"] = log.pop("level")
        write_csv(tmp_path / "Werk Süd" / f"{name}.csv", log)
    decomposed = COLUMNS.replace("level", "Fu\u0308llstand")  # as another keyboard types it
    (tmp_path / "columns.toml").write_text(decomposed, "utf-8")
    done = merpo_cli("data", "import", "Werk Süd", "--columns", "columns.toml")
    assert done.code == 0, done.err
    assert {entry.name for entry in find("Werk-Süd")} == {name.replace(" ", "-") for name in names}
    shown = merpo_cli("data", "show", "Werk-Süd/Pumpe-Su\u0308d").out
    assert "Werk-Süd/Pumpe-Süd" in shown
    assert "llstand" in shown
    assert len(find("Werk-Süd/泵*")) == 2
    assert merpo_cli("data", "verify", "Werk-Süd").code == 0
    assert merpo_cli("data", "delete", "Werk-Süd", "--yes").code == 0


@pytest.mark.parametrize("text", ["x" * 300, "ü" * 300, "泵" * 300, "\U00020000" * 300, "e\u0301" * 300, "\u0301" * 9])
def test_a_slug_is_short_enough_for_every_file_system(text: str) -> None:
    from merpo.data.places import policy_path

    assert len(policy_path(Path("x"), slug(text)).name.encode()) <= 200


def test_the_format_that_was_found_is_told_and_kept(merpo_cli: Cli, tmp_path: Path) -> None:
    for i in range(2):
        log = machine(0.1, seed=i)
        rows = [log, *zip(*log.values(), strict=True)]
        text = "\n".join(";".join(str(cell).replace(".", ",") for cell in row) for row in rows)
        (tmp_path / "pumps").mkdir(exist_ok=True)
        (tmp_path / "pumps" / f"pump-{i}.csv").write_text(text, "utf-16")
    write_csv(tmp_path / "plain.csv", machine(0.1))
    (tmp_path / "plain.csv").rename(tmp_path / "pumps" / "pump-2.csv")
    (tmp_path / "pumps" / "._pump-2.csv").write_bytes(b"\x00\x05\x16\x07")  # of another system
    (tmp_path / "columns.toml").write_text(COLUMNS)
    done = merpo_cli("data", "import", "pumps", "--columns", "columns.toml")
    assert done.code == 0, done.err
    settings = 'encoding = "utf-16", delimiter = ";", decimal = ","'
    assert f"pumps: format of 2 csv files: {settings}; if it is another, set it under [csv]" in done.out
    first, _, plain = (entry.manifest().settings for entry in find("pumps"))
    assert first["csv"] == {"encoding": "utf-16", "delimiter": ";", "decimal": ","}
    assert "csv" not in plain
    assert "delimiter = ;" in merpo_cli("data", "show", "pumps").out
    (tmp_path / "columns.toml").write_text(COLUMNS + '[csv]\ndelimiter = ","\n')
    done = merpo_cli("data", "import", "pumps", "--columns", "columns.toml", "--name", "again")
    assert done.code == 2
    assert "no column 'level'" in done.err


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (
            "1,2\n3,4\n",
            r"columns here: column 1, column 2; .*Line 1 has values only, .*set header = true under \[csv\]",
        ),
        (
            "day 1,2\nday 2,4\n",
            r"columns here: day 1, 2; .*Line 1 has numbers among the names; .*set header = false under \[csv\]",
        ),
        ("a,b\nc,4\n", r"columns here: a, b; map them with --columns FILE.toml$"),
    ],
)
def test_a_missing_column_of_a_file_without_header(content: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DatasetError, match=f"no column 'observations'; {hint}"):
        import_logs([tmp_path / "a.csv"], None, Columns(), {})


def test_tab_separated_values_have_an_ending_of_their_own(tmp_path: Path) -> None:
    log = machine(0.1)
    (tmp_path / "a.tsv").write_text(
        "\n".join("\t".join(map(str, row)) for row in [log, *zip(*log.values(), strict=True)])
    )
    mapping = columns(tmp_path / "c.toml")
    assert len(mapping.dataset(mapping.table(tmp_path / "a.tsv"), "a", {}, "a")) == 40
