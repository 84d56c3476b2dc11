"""The command for authors of plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["new_plugin_command"]


def new_plugin_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as merpo-halving.", show_default=False)],
    kind: Annotated[
        str, typer.Option(metavar="K", help="alpha, regularizer, method, tasks, critic, dynamics or meta_learner.")
    ] = "alpha",
    into: Annotated[Path, typer.Option(metavar="DIR", help="Where the package's folder goes.")] = Path(),
) -> None:
    """Write a plugin package to begin with: a component that works, its tests, a recipe. Needs no network."""
    from merpo.cli.new_plugin import new_plugin

    folder = new_plugin(name, kind, into)
    print(f"{folder}: written; next:\n")
    print(f"  cd {folder}\n  pip install -e '.[test]'\n  pytest\n  merpo run recipe.toml")
