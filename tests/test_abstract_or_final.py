"""Abstract or final (docs/design.md): no class derives from a concrete one of ours. Read from the source."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from merpo.cli.plugins import TEMPLATES, new_plugin
from merpo.components.interfaces import KINDS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("merpo", "plugins", "docs/example_plugin/merpo_example", "docs/example_family")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def bases(cls: ast.ClassDef) -> list[str]:
    """Names of the base classes, without modules and type arguments."""
    plain = [base.value if isinstance(base, ast.Subscript) else base for base in cls.bases]
    return [base.attr if isinstance(base, ast.Attribute) else ast.unparse(base) for base in plain]


def marked(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, decorator: str) -> bool:
    return any(ast.unparse(one).rpartition(".")[2] == decorator for one in node.decorator_list)


def is_abstract(cls: ast.ClassDef) -> bool:
    """It is declared abstract (ABC, protocol, an abstract method), or has neither methods nor fields."""
    methods = [node for node in cls.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    declared = {"ABC", "Protocol"} & set(bases(cls)) or any(marked(method, "abstractmethod") for method in methods)
    fields = [node for node in cls.body if isinstance(node, ast.AnnAssign)]
    return bool(declared) or not (methods or fields)


def classes_of(sources: Iterable[str]) -> list[ast.ClassDef]:
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    return [node for node in nodes if isinstance(node, ast.ClassDef)]


def faults(sources: Iterable[str]) -> list[str]:
    """Classes that derive from a concrete class of the sources, exceptions apart, and components with more than a kind.

    Classes are known by name only, so of several with one name all must be abstract.
    """
    classes = classes_of(sources)
    known: dict[str, list[ast.ClassDef]] = defaultdict(list)
    for cls in classes:
        known[cls.name].append(cls)
    kinds = {kind.__name__ for kind in KINDS.values()}
    found = []
    for cls in classes:
        above = bases(cls)
        for base in above:
            if not base.endswith("Error") and not all(map(is_abstract, known[base])):
                found.append(f"{cls.name}: its base {base} is concrete")
            if any(kinds & set(bases(one)) for one in known[base]):
                found.append(f"{cls.name}: {base} stands between it and its kind")
        if kinds & set(above) and len(above) > 1:
            found.append(f"{cls.name}: has bases beside its kind")
    return found


def test_no_class_derives_from_a_concrete_one() -> None:
    assert faults(path.read_text("utf-8") for path in SOURCES) == []


@pytest.mark.parametrize("kind", list(TEMPLATES))
def test_fresh_packages_keep_to_it(kind: str, tmp_path: Path) -> None:
    folder = new_plugin("merpo-try-it", kind, tmp_path)
    assert faults(path.read_text("utf-8") for path in folder.rglob("*.py")) == []


def test_every_concrete_class_of_the_plugins_is_marked_final() -> None:
    classes = classes_of(path.read_text("utf-8") for path in SOURCES if path.is_relative_to(ROOT / "plugins"))
    assert len(classes) > 20
    assert [cls.name for cls in classes if not is_abstract(cls) and not marked(cls, "final")] == []


ABSTRACT = "class Base(ABC):\n    @abstractmethod\n    def f(self): ...\n"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (ABSTRACT + "class Leaf(Base):\n    def f(self): ...", 0),
        ("class Base(Protocol):\n    def f(self): ...\nclass Leaf(Base[int]):\n    x: int", 0),
        ("class Base(BaseModel):\n    model_config = {}\nclass Leaf(Base):\n    x: int", 0),
        ("class Base(BaseModel):\n    y: int\nclass Leaf(Base):\n    x: int", 1),
        (ABSTRACT + "class Leaf(Base):\n    def f(self): ...\nclass Second(Leaf): ...", 1),
        ("class Base(gymnasium.Env):\n    def f(self): ...\nclass Leaf(own.Base): ...", 1),
        ("class AError(Exception): ...\nclass BError(AError):\n    code = 1\nclass CError(BError): ...", 0),
        ("class A(Critic): ...", 0),
        ("class A(Critic, Mixin): ...", 1),
        ("class Base(Method, ABC):\n    @abstractmethod\n    def f(self): ...\nclass Leaf(Base): ...", 2),
        ("class Base(Method):\n    def f(self): ...\nclass Leaf(Base): ...", 2),
    ],
)
def test_the_reader_of_classes_sees_faults(source: str, found: int) -> None:
    assert len(faults([source])) == found
