"""The `merpo` command; torch is imported only by the commands that need it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merpo.cli import after_training, reproduce
from merpo.cli.data import data_app
from merpo.cli.guard import guarded
from merpo.cli.options import Overrides, RecipePath, Strict, Trust, parse_seeds
from merpo.cli.plugins import new_plugin_command
from merpo.errors import ArtifactError, RecipeError
from merpo.support.terminal import say, say_json, say_toml
from merpo.version import __version__

__all__ = ["app"]

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
        say(f"merpo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command; `--debug` is read by `merpo.cli.app`."""


@app.command()
@guarded
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

    if resume:
        _require_folder(out)
    loaded = load_recipe(recipe, overrides)
    chosen = parse_seeds(seed, seeds, loaded.seed)
    if device not in (None, "auto", "cpu", "cuda"):
        raise RecipeError(f"--device: got {device!r}, expected auto, cpu or cuda")
    from merpo.run.run import run_recipe

    run_recipe(loaded, out, chosen, device, not no_collect, profile, meta=meta, trust=trust, strict=strict)


def _require_folder(out: Path | None) -> None:
    """Refuse to resume what is not there."""
    from merpo.artifacts.finished_run import require_there

    expected = "expected the folder of the run that is to go on"
    if out is None:
        raise RecipeError(f"--resume: got no --out, {expected}")
    try:
        require_there(out)
    except ArtifactError as error:
        raise RecipeError(f"--resume: {error}; {expected}") from None
    if not out.is_dir():
        raise RecipeError(f"--resume: {out} is no folder, {expected}")


@app.command()
@guarded
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
@guarded
def check(
    recipe: RecipePath,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print every value as TOML.")] = False,
    data: Annotated[
        bool, typer.Option("--data", help="Check the data, too: that it is there, fits and is enough.")
    ] = False,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Validate a recipe without running it."""
    from merpo.recipe.memory import lacking_memory
    from merpo.recipe.recipe import load_recipe, to_toml

    loaded = load_recipe(recipe, overrides)
    if resolved:
        say_toml(to_toml(loaded))
    else:
        names = f"method {loaded.method.name}, tasks {loaded.tasks.name}, seed {loaded.seed}"
        say(f"{recipe}: valid; {loaded.title} ({names})")
    if data:
        from merpo.run.check_data import data_lines

        say(*data_lines(loaded), err=resolved)
    else:
        from merpo.run.notes import notes_on_recipe

        say(*(f"note: {text}" for text in notes_on_recipe(loaded)), err=resolved)
    if lacking := lacking_memory(loaded):
        say(f"note: {lacking}", err=resolved)


@app.command("list-components")
@guarded
def list_components(
    kind: Annotated[str | None, typer.Option(metavar="K", help="Only this kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List the components of all installed plugins, with the reason where one cannot be used."""
    from merpo.cli.components import component_table, entry_record
    from merpo.components.registry import components

    entries = components(kind)
    if as_json:
        say_json([entry_record(entry) for entry in entries])
    else:
        component_table(entries)


@app.command()
@guarded
def show(
    component: Annotated[
        str,
        typer.Argument(
            metavar="KIND/NAME", help="Such as alpha/fixed; a kind alone lists its components.", show_default=False
        ),
    ],
) -> None:
    """Show a component: every field with type, bound, default, meaning and source."""
    from merpo.cli.components import component_page

    component_page(component)


@app.command()
@guarded
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from merpo.recipe.recipe import recipe_schema

    say_json(recipe_schema())


app.command("new-plugin")(guarded(new_plugin_command))
after_training.register(app)
reproduce.register(app)
