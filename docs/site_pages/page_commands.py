"""The command line reference, generated from the commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from page_markdown import code, table, text

from merpo.cli.app import app

__all__ = ["commands_page"]

HEAD = """# Command line reference

Generated from the commands when this page was built; `merpo COMMAND --help` prints the same. The exit code is 0 for
success, 75 for a run that a signal stopped and that [can be continued](../resume.md), or 2 for an error that the user
can fix, with a message that states how. [Commands by example](../commands.md) shows typical calls.

"""


def commands_page() -> str:
    """The page."""
    return HEAD + "\n".join(_group(typer.main.get_command(app), "merpo", 2))


def _group(group: Any, path: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{path}`\n\n{text(group.help or '')}\n"
    yield _parameters(group)
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _group(command, f"{path} {name}", level)
        else:
            yield from _command(command, f"{path} {name}", level)


def _command(command: Any, path: str, level: int) -> Iterator[str]:
    names = " ".join(_usage(parameter) for parameter in command.params if parameter.param_type_name == "argument")
    yield f"{'#' * level} `{path}`\n\n{text(command.help or '')}\n"
    yield f"```text\n{' '.join(filter(None, [path, '[OPTIONS]', names]))}\n```\n"
    yield _parameters(command)


def _usage(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return f"{name if parameter.required else f'[{name}]'}{'...' if parameter.nargs == -1 else ''}"


def _parameters(command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return table(("option", "default", "meaning"), rows) if rows else ""


def _row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        shown = _usage(parameter)
    else:
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
        shown = names if parameter.is_flag else f"{names} {parameter.metavar or parameter.name.upper()}"
    default = parameter.default
    said = "" if default in (None, False, [], ()) or parameter.required else str(default)
    return code(shown), code(said), text(getattr(parameter, "help", "") or "")
