"""`merpo new-plugin`: scaffold a plugin package."""

from __future__ import annotations

import importlib.util
import keyword
import re
import secrets
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer

from merpo.components.plugins import API_VERSION
from merpo.components.registry import names
from merpo.errors import MerpoError, PluginError, nearest
from merpo.support.files import atomic_write_text
from merpo.support.paths import inside
from merpo.support.terminal import printable, say
from merpo.version import __version__

__all__ = ["TEMPLATES", "new_plugin", "new_plugin_command"]


def new_plugin_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as merpo-halving.", show_default=False)],
    kind: Annotated[
        str, typer.Option(metavar="K", help="alpha, regularizer, method, tasks, critic, dynamics or meta_learner.")
    ] = "alpha",
    into: Annotated[Path, typer.Option(metavar="DIR", help="Where the package's folder goes.")] = Path(),
) -> None:
    """Scaffold a plugin package: a working component, its tests and a recipe. Needs no network."""
    folder = new_plugin(name, kind, into)
    say(f"{folder}: written; next:\n")
    say(f"  cd {folder}\n  pip install -e '.[test]'\n  pytest\n  merpo run recipe.toml")


PREFIX = "merpo-"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME = 50

# Kind -> where a recipe names a component of it.
TEMPLATES = {
    "alpha": "method.alpha",
    "regularizer": "method.regularizer",
    "method": "method",
    "tasks": "tasks",
    "critic": "method.critic",
    "dynamics": "method.dynamics",
    "meta_learner": "method.meta_learner",
}

SMALL: dict[str, dict[str, Any]] = {
    "method": {"hidden": [8, 8], "iterations": 3, "steps": 3, "batch_size": 16},
    "tasks": {"horizon": 10},
    "critic": {"hidden": [8, 8]},
    "dynamics": {"members": 3, "elites": 2, "hidden": [8, 8]},
}
RECIPE = "# A run through every stage in seconds. It shows that {place} works; it is too small to learn anything.\n\n"


def new_plugin(name: str, kind: str, into: Path) -> Path:
    """Write the package `into/name` with one component of `kind`, and return its folder: whole, or not at all.

    `name` is the distribution's; the component is called the same without a leading `merpo-`. Raises `PluginError`
    for a name that cannot be used, a kind without a template, or a folder that exists already.
    """
    if kind not in TEMPLATES:
        raise PluginError(f"--kind: got {printable(kind[:80])!r}, expected {_choices(kind)}")
    words = _words(name, kind)
    folder = inside(into, name, what="NAME", error=PluginError)
    half = folder.with_name(f".{name}.tmp-{secrets.token_hex(4)}")
    try:
        if folder.exists() or folder.is_symlink():
            raise PluginError(f"{folder}: exists already; nothing is overwritten, give another name or --into")
        for path, text in _files(words).items():
            atomic_write_text(inside(half, *path.split("/"), pattern=r"[A-Za-z0-9_.-]{1,100}"), text)
        half.rename(folder)
    except OSError as error:
        raise MerpoError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return folder


def _words(name: str, kind: str) -> dict[str, str]:
    """The values of the templates' variables."""
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise PluginError(f"NAME: got {printable(name[:80])!r}, expected {_rule()}{_mended(name)}")
    component, module = name.removeprefix(PREFIX), name.replace("-", "_")
    source = component.replace("-", "_")
    cls = "".join(part.capitalize() for part in component.split("-"))
    if not cls.isidentifier() or keyword.iskeyword(cls) or keyword.iskeyword(module) or keyword.iskeyword(source):
        raise PluginError(f"NAME: got {name!r}, which gives no name of a Python class; expected {_rule()}")
    if module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None:
        raise PluginError(f"NAME: got {name!r}, but a module {module!r} is installed already; expected another name")
    if component in names(kind):
        raise PluginError(f"NAME: got {name!r}, but {kind} {component!r} is installed already; expected another name")
    return {
        "distribution": name,
        "module": module,
        "component": component,
        "source": source,
        "cls": cls,
        "kind": kind,
        "section": TEMPLATES[kind],
        "api": str(API_VERSION),
        "merpo_version": __version__,
    }


def _files(words: dict[str, str]) -> dict[str, str]:
    """Path in the package -> text."""
    module, kind = words["module"], words["kind"]
    sources = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}/__init__.py": "init.py",
        f"{module}/{words['source']}.py": f"{kind}/component.py",
        f"tests/test_{module}.py": f"{kind}/test.py",
    }
    if kind == "tasks":
        sources[f"{module}/environment.py"] = "tasks/environment.py"
    rendered = {path: Template(_read(source)).substitute(words) for path, source in sources.items()}
    return {**rendered, f"{module}/py.typed": "", "recipe.toml": _recipe(words)}


def _read(template: str) -> str:
    return files("merpo").joinpath("templates", "plugin", f"{template}.tmpl").read_text("utf-8")


def _recipe(words: dict[str, str]) -> str:
    """The tiny recipe, using the new component."""
    import tomli_w

    from merpo.recipe.tiny import tiny_tables

    kind, component = words["kind"], words["component"]
    section: dict[str, Any] = {"component": component, **SMALL.get(kind, {})}
    place = {kind: section} if kind == words["section"] else {"method": {kind: section}}
    tables = tiny_tables({"title": f"A try of {component}", "requires": [words["distribution"]], **place})
    return RECIPE.format(place=f"{kind}/{component}") + tomli_w.dumps(tables)


def _choices(kind: str) -> str:
    return f"one of {', '.join(TEMPLATES)}{nearest(kind[:80], TEMPLATES)}"


def _rule() -> str:
    return f"lower-case letters, digits and single hyphens, such as merpo-halving, at most {MAX_NAME} long"


def _mended(name: str) -> str:
    """A suggestion of a valid name."""
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_NAME].strip("-")
    return f" (did you mean {better!r}?)" if NAME.fullmatch(better) else ""
