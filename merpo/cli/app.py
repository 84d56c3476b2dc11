"""The `merpo` command; torch is imported only by the commands that need it."""

from __future__ import annotations

import errno
import json
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from merpo.cli import after_training
from merpo.cli.data import data_app
from merpo.cli.options import Overrides, RecipePath, Strict, Trust, parse_seeds
from merpo.cli.plugins import new_plugin_command
from merpo.errors import MerpoError, RecipeError, StoppedError
from merpo.support.machine import passive_waiting
from merpo.version import __version__

__all__ = ["app", "main"]

# What a disk says that is full, may not be written, or is gone, wherever in a run it says so,
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOENT}
# and of a path that is none.
REFUSALS |= {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EPERM, errno.ELOOP}

app = typer.Typer(
    name="merpo",
    help="Model-based offline meta-reinforcement learning: run recipes, collect data, look at components.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(data_app)


def _version(requested: bool) -> None:
    if requested:
        print(f"merpo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command; `--debug` is read by `main`."""


@app.command()
def run(
    recipe: RecipePath,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder; else a new one under runs/.")] = None,
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Annotated[int | None, typer.Option(min=0, help="Seed instead of the recipe's.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="A:B", help="Seeds A, A+1, ..., B-1, one run each.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda, instead of the recipe's.")] = None,
    no_collect: Annotated[bool, typer.Option("--no-collect", help="Refuse to collect data that is missing.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Show where time goes, by stage; write traces.")] = False,
    meta: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Begin with the meta-artifact of another run, instead of meta-training."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, which must exist.")] = False,
    trust: Trust = False,
    strict: Strict = False,
) -> None:
    """Run a recipe: data, meta-training, adaptation to unseen tasks, evaluation, report."""
    from merpo.recipe.recipe import load_recipe

    if resume and (out is None or not out.is_dir()):
        raise RecipeError(f"--resume: got --out {out}, expected the folder of the run that is to go on")
    loaded = load_recipe(recipe, overrides)
    chosen = parse_seeds(seed, seeds, loaded.seed)
    if device not in (None, "auto", "cpu", "cuda"):
        raise RecipeError(f"--device: got {device!r}, expected auto, cpu or cuda")
    from merpo.run.run import run_recipe

    run_recipe(loaded, out, chosen, device, not no_collect, profile, meta=meta, trust=trust, strict=strict)


@app.command()
def collect(
    recipe: RecipePath,
    overrides: Overrides = [],  # noqa: B006
    quality: Annotated[
        str, typer.Option(metavar="Q,...", help="Qualities instead of the recipe's, e.g. random,medium,expert.")
    ] = "",
) -> None:
    """Collect the offline data that a recipe needs, where the store lacks it."""
    from merpo.recipe.recipe import load_recipe

    loaded = load_recipe(recipe, overrides)
    from merpo.collect.collect import collect_recipe

    collect_recipe(loaded, [word.strip() for word in quality.split(",")] if quality else [])


@app.command()
def check(
    recipe: RecipePath,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print every value as TOML.")] = False,
    data: Annotated[
        bool, typer.Option("--data", help="Check the data, too: that it is there, fits and is enough.")
    ] = False,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Validate a recipe without running it."""
    from merpo.recipe.recipe import load_recipe, to_toml

    loaded = load_recipe(recipe, overrides)
    if resolved:
        print(to_toml(loaded), end="")
    else:
        names = f"method {loaded.method.name}, tasks {loaded.tasks.name}, seed {loaded.seed}"
        print(f"{recipe}: valid; {loaded.title} ({names})")
    if data:
        from merpo.run.check_data import data_lines

        for line in data_lines(loaded):
            print(line, file=sys.stderr if resolved else sys.stdout)


@app.command("list-components")
def list_components(
    kind: Annotated[str | None, typer.Option(metavar="K", help="Only this kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List the components of all installed plugins, with the reason where one cannot be used."""
    from merpo.cli.components import component_table, entry_record
    from merpo.components.registry import components

    entries = components(kind)
    if as_json:
        print(json.dumps([entry_record(entry) for entry in entries], indent=2, ensure_ascii=False))
    else:
        component_table(entries)


@app.command()
def show(
    component: Annotated[str, typer.Argument(metavar="KIND/NAME", help="Such as alpha/fixed.", show_default=False)],
) -> None:
    """Show a component: every field with type, bound, default, meaning and source."""
    from merpo.cli.components import component_page

    component_page(component)


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from merpo.recipe.recipe import recipe_schema

    print(json.dumps(recipe_schema(), indent=2, ensure_ascii=False))


app.command("new-plugin")(new_plugin_command)
after_training.register(app)


def main() -> None:
    """Entry point of `merpo`: exit code 2 and a message for user errors, 75 for a stopped run that can resume."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no α still gets its table
    passive_waiting()
    try:
        app()
    except MerpoError as error:
        if "--debug" in sys.argv[1:]:
            traceback.print_exc()
        else:
            from merpo.support.tables import printable

            if not isinstance(error, StoppedError):
                typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
            typer.echo("\n".join(printable(line) for line in str(error).split("\n")), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in REFUSALS or "--debug" in sys.argv[1:]:
            raise
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(f"{error.filename or 'the disk'}: {error.strerror}", err=True)
        sys.exit(2)
