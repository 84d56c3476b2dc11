"""Files that others wrote are opened in one place, which refuses what is no regular file: read from the source."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "merpo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])

# Functions and methods that open or read a file, whatever they belong to; `load` only of these modules.
READERS = {
    "File", "InferenceSession", "ParquetFile", "ReferenceEvaluator", "ZipFile", "fromfile", "genfromtxt", "load_file",
    "load_model", "loadtxt", "memmap", "memory_map", "open", "open_file", "open_text", "read_bytes", "read_csv",
    "read_excel", "read_feather", "read_hdf", "read_json_file", "read_parquet", "read_pickle", "read_text", "safe_open",
}  # fmt: skip
LOADING = {"json", "np", "numpy", "onnx", "pickle", "tomllib", "torch", "yaml"}
COPYING = {"copy", "copy2", "copyfile", "copytree"}

# Every call of these in merpo and its plugins, with the reason why it needs no check of its own.
ALLOWED = {
    ("merpo/cli/plugins.py", "files('merpo').joinpath('templates', 'plugin', f'{template}.tmpl').read_text"):
        "merpo's own template",
    ("merpo/artifacts/versions.py", "Path('/proc/cpuinfo').read_text"): "the machine's own",
    ("merpo/support/machine.py", "Path('/proc/meminfo').read_text"): "the machine's own",
    ("merpo/support/machine.py", "path.read_text"): "the machine's own limits, one of two constants",
    ("merpo/support/terminal.py", "os.open"): "the null device, to write into it",
    ("merpo/run/profile.py", "path.read_bytes"): "written a line above, into a folder of its own",
    ("merpo/data/minari/arrow.py", "parquet.ParquetFile"): "reads from open_regular",
    ("merpo/data/minari/arrow.py", "pa.ipc.open_file"): "reads from memory",
    ("merpo/data/minari/hdf5.py", "h5py.File"): "within open_regular",
    ("merpo/data/minari/unused.py", "h5py.File"): "within open_regular",
    ("merpo/data/minari/unused.py", "pa.ipc.open_file"): "reads from open_regular",
    ("merpo/data/csv_table.py", "np.loadtxt"): "reads lines from open_regular",
    ("merpo/data/hdf5_table.py", "self._h5py.File"): "within open_regular",
    ("merpo/data/npz_table.py", "archive.open"): "a member of an archive from open_regular",
    ("merpo/data/npz_table.py", "zipfile.ZipFile"): "reads from open_regular",
    ("merpo/data/parquet_table.py", "self._parquet.ParquetFile"): "reads from open_regular",
    ("merpo/policies/onnx.py", "ReferenceEvaluator"): "reads from memory",
    ("merpo/policies/onnx.py", "onnxruntime.InferenceSession"): "reads from memory",
    ("merpo/support/files.py", "os.open"): "opens a folder to sync it, and a new file to write it",
    ("merpo/support/read.py", "os.open"): "this is open_regular",
    ("merpo/support/tensors.py", "load_file"): "after open_regular",
    ("merpo/support/tensors.py", "safe_open"): "after open_regular",
}  # fmt: skip
OFTEN = Counter(
    {
        ("merpo/data/npz_table.py", "archive.open"): 2,
        ("merpo/support/files.py", "os.open"): 2,
        ("merpo/support/terminal.py", "os.open"): 2,
    }
)


def reads(source: str) -> Iterator[str]:
    """Every call in a source that opens or reads a file, but for those of `FileKind` and those that write."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        loads = (name == "load" and owner in LOADING) or (name in COPYING and owner == "shutil")
        if (name in READERS or loads) and not writes(node, owner) and not checked(owner):
            yield ast.unparse(node.func)


def writes(call: ast.Call, owner: str) -> bool:
    """Whether a call of `open` has a mode that writes: its first argument, or the second of the function."""
    modes = [*call.args[: 2 if owner in ("", "av", "io") else 1], *(k.value for k in call.keywords if k.arg == "mode")]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return any(text[:1] in ("w", "a", "x") and "+" not in text for text in texts)


def checked(owner: str) -> bool:
    """Whether a reader belongs to a `FileKind`, which checks: it is called `kind` or `_KIND`, or just made."""
    return owner in ("kind", "self") or owner.lstrip("_").isupper() or owner.startswith("FileKind(")


def test_every_file_is_opened_by_the_one_opener() -> None:
    found = Counter((str(path.relative_to(ROOT)), call) for path in SOURCES for call in reads(path.read_text("utf-8")))
    expected = Counter(dict.fromkeys(ALLOWED, 1)) | OFTEN
    assert found - expected == Counter(), "read these through merpo.support.read, or give the reason in ALLOWED"
    assert expected - found == Counter(), "no longer needed in ALLOWED"


@pytest.mark.parametrize(
    "source",
    [
        "open(path)", "io.open(path)", "path.open()", "path.open('rb')", "path.open('r+b')", "path.open('w+')",
        "path.open(encoding='utf-8')", "open(path, 'rb')", "os.open(path, 0)", "path.read_text()", "a.b.read_bytes()",
        "safe_open(path, framework='np')", "safetensors.torch.load_file(path)", "np.load(path)", "torch.load(path)",
        "onnx.load(path)", "onnx.load_model(path)", "onnxruntime.InferenceSession(path)", "h5py.File(path, 'r')",
        "zipfile.ZipFile(path)", "pq.ParquetFile(path)", "np.fromfile(path)", "np.memmap(path)", "json.load(file)",
        "tomllib.load(file)", "pd.read_csv(path)", "shutil.copyfile(a, b)", "av.open(path)",
    ],
)  # fmt: skip
def test_another_way_of_reading_is_noticed(source: str) -> None:
    assert len(list(reads(source))) == 1


@pytest.mark.parametrize(
    "source",
    ["path.open('wb')", "path.open('a', encoding='utf-8')", "av.open(file, 'w', format='mp4')", "open(path, mode='x')",
     "_KIND.read_text(path)", "FileKind('a point').read_bytes(path)", "json.loads(text)", "self.load(name)"],
)  # fmt: skip
def test_writing_and_the_opener_itself_are_not(source: str) -> None:
    assert list(reads(source)) == []
