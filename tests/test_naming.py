"""Names from files, recipes and plugins become paths in one function, `inside`: read from the source, and tried."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "merpo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])

# Words that paths are called by; a division of anything else is one of numbers.
PATHS = {
    "base", "final", "folder", "half", "into", "out", "parent", "path", "paths", "place", "root", "run", "saved",
    "source", "staged", "target", "temporary", "there",
}  # fmt: skip
MAKING = {  # functions and methods with paths as their results
    "Path", "PurePath", "PurePosixPath", "PureWindowsPath", "glob", "join", "joinpath", "rglob", "with_name",
    "with_stem", "with_suffix",
}  # fmt: skip

# Every place where something that is not written in the source becomes a part of a path, with the reason why it may.
ALLOWED = {
    ("merpo/support/paths.py", "folder.joinpath(*names)"): "this is `inside`",
    ("merpo/support/files.py", "path.with_name(f'.{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}')"): "its own",
    ("merpo/support/files.py", "Path(temporary)"): "its own",
    ("merpo/support/read.py", "path.parent.glob(f'*{path.suffix}')"): "lists names for a hint",
    ("merpo/artifacts/run_folder.py", "self.path / name"): "names written there",
    ("merpo/artifacts/finished_run.py", "path / name"): "one of two constants",
    ("merpo/artifacts/run_manifest.py", "folder / name"): "a file's name that its callers have written",
    ("merpo/artifacts/run_manifest.py", "folder / one"): "names written there",
    ("merpo/support/machine.py", "Path(path)"): "one of two constants",
    ("merpo/artifacts/checkpoints.py",
     "final.with_name(f'{final.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}')"): "the name of a checkpoint",
    ("merpo/data/minari/exports.py",
     "place.with_name(f'.{place.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}')"): "the name of a dataset",
    ("merpo/cli/plugins.py", "folder.with_name(f'.{name}.tmp-{secrets.token_hex(4)}')"): "a name that `inside` took",
    ("merpo/sweep/plan.py", "self.folder.with_name(f'{self.folder.name}.log')"): "a name that `inside` took",
    ("merpo/data/minari/arrow.py", "folder.glob(f'*.{form}')"): "one of two formats",
    ("merpo/data/minari/unused.py", "(dataset.folder / '0').glob(f'*.{dataset.format}')"): "one of two formats",
    ("merpo/data/minari/local.py", "Path(folder)"): "a folder that was found there",
    ("merpo/collect/behavior_policies.py",
     "store_root().glob(f'{recipe.tasks.name}-*/{POLICIES_RECORD}')"): "a component's name: letters, digits, hyphens",
    ("merpo/recipe/extends.py", "file.parent / value"): "a relative path by design: of a recipe, which is only read",
    ("merpo/recipe/extends.py", "PurePosixPath(path)"): "asks whether it is absolute",
    ("merpo/recipe/extends.py", "PureWindowsPath(path)"): "asks whether it is absolute",
    ("merpo/policies/given.py", "Path(settings.path)"): "a path by design: of policies, which are only read",
    ("merpo/cli/plugins.py",
     "files('merpo').joinpath('templates', 'plugin', f'{template}.tmpl')"): "merpo's own templates",
    ("merpo/testing/runner.py", "self.folder / name"): "of a test's author",
    # the user's own, from the command line, the environment or a call of the library
    ("merpo/data/import_any.py", "Path(source)"): "the user's",
    ("merpo/data/minari/files.py", "Path(chosen)"): "the user's",
    ("merpo/data/named.py", "Path(text)"): "the user's",
    ("merpo/data/places.py", "Path(chosen)"): "the user's",
    ("merpo/policies/policy.py", "Path(path)"): "the user's",
    ("merpo/recipe/recipe.py", "Path(path)"): "the user's",
    ("merpo/reproduce/files.py", "Path(name)"): "the user's",
    ("merpo/run/run.py", "Path(meta)"): "the user's",
    ("merpo/run/run.py", "Path(out)"): "the user's",
    # of installed packages, merpo's own among them, and of a folder of the process's own
    ("merpo/run/profile.py", "Path(folder)"): "a temporary folder",
    ("merpo/recipe/shipped.py", "Path(__file__)"): "merpo's own",
    ("merpo/reproduce/files.py", "Path(__file__)"): "merpo's own",
    ("merpo/recipe/shipped.py", "Path(sysconfig.get_path('data', scheme))"): "merpo's own",
    ("plugins/merpo_tasks/ant_fwd_back_env.py", "Path(gymnasium.__file__)"): "an installed package",
    ("plugins/merpo_tasks/mujoco/bodies.py", "Path(gymnasium.__file__)"): "an installed package",
    ("plugins/merpo_tasks/mujoco/bodies.py",
     "Path(gymnasium.__file__).parent / 'envs' / 'mujoco' / 'assets' / name"): "an installed package",
}  # fmt: skip
TWICE = (
    ("merpo/policies/given.py", "Path(settings.path)"),
    ("merpo/data/import_any.py", "Path(source)"),
    ("merpo/data/minari/local.py", "Path(folder)"),
    ("merpo/artifacts/run_manifest.py", "folder / name"),
    ("merpo/artifacts/run_manifest.py", "folder / name"),
    ("merpo/artifacts/run_manifest.py", "folder / one"),
)


def joins(source: str) -> Iterator[str]:
    """Every expression of a source in which something that is not written there becomes a part of a path."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if is_path(node.left) and not written(node.right):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of_text = name == "join" and ast.unparse(node.func) != "os.path.join"
            if name in MAKING and not of_text and not all(map(written, node.args)):
                yield ast.unparse(node)


def is_path(node: ast.expr) -> bool:
    """Whether an expression is a path, by what it is called; text in an f-string makes any division one of paths."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div) and (
            is_path(node.left) or isinstance(node.right, ast.Constant | ast.JoinedStr)
        )
    if isinstance(node, ast.IfExp):
        return is_path(node.body) or is_path(node.orelse)
    if isinstance(node, ast.BoolOp):
        return any(map(is_path, node.values))
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        return name in ("Path", "inside", "resolve") or bool(PATHS & set(name.split("_"))) or "dir" in name.split("_")
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return bool(PATHS & set(name.lower().strip("_").split("_")))


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def written(node: ast.expr) -> bool:
    """Whether a part of a path is written in the source: text, or a constant by its name."""
    if isinstance(node, ast.Constant):
        return True
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.isupper()


def test_every_name_becomes_a_path_in_one_function() -> None:
    found = Counter((str(path.relative_to(ROOT)), text) for path in SOURCES for text in joins(path.read_text("utf-8")))
    expected = Counter([*ALLOWED, *TWICE])
    assert found - expected == Counter(), "use merpo.support.paths.inside, or give the reason in ALLOWED"
    assert expected - found == Counter(), "no longer needed in ALLOWED"


@pytest.mark.parametrize(
    "source",
    [
        "out / f'{task.name}.onnx'", "folder / name", "self._root / label", "self.path / 'artifacts' / f'{name}.bin'",
        "(run if x else run.parent) / name", "(out or base) / name", "minari_root() / dataset_id", "path.parent / name",
        "folder.joinpath('a', name)", "path.with_name(name)", "path.with_suffix(suffix)", "Path(header['name'])",
        "pathlib.Path(name)", "Path('runs') / f'{slug}'", "folder / 'a' / name / 'b'", "folder.glob(name)",
        "collection_dir(name) / file", "os.path.join(folder, name)", "folder / video.file", "inside(a, b) / name",
    ],
)  # fmt: skip
def test_another_place_is_noticed(source: str) -> None:
    assert len(list(joins(source))) >= 1


@pytest.mark.parametrize(
    "source", ["folder / 'report.json'", "folder / REPORT", "total / rows", "sum(values) / len(values)",
               "inside(folder, name)", "(a + b) / 2", "folder.glob('*.json')", "Path('runs')", "Path()"],
)  # fmt: skip
def test_numbers_and_constants_are_not(source: str) -> None:
    assert list(joins(source)) == []
