"""`merpo data`: import, export, list, verify and delete datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merpo.cli.guard import guarded
from merpo.support.terminal import printable, say

__all__ = ["data_app"]

data_app = typer.Typer(
    name="data",
    help="Import, list, show, verify and delete datasets of the store.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="COLLECTION, COLLECTION/DATASET, or one with * and ?.", show_default=False),
]
TaskParams = Annotated[
    Path | None, typer.Option(metavar="FILE", help="TOML: a table of task parameters for every dataset, by its name.")
]
Family = Annotated[
    str | None, typer.Option(help="The family of tasks whose environments these parameters are for; else logs.")
]
ActionLow = Annotated[
    str | None, typer.Option(metavar="NUMBERS", help="Least action, one number or one per dimension: 0,-5.")
]
ActionHigh = Annotated[
    str | None, typer.Option(metavar="NUMBERS", help="Greatest action, one number or one per dimension: 100,5.")
]


@data_app.command("import")
@guarded
def import_data(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders or files (csv, npz, hdf5, parquet), or ids of Minari's, also with * and ?.",
            show_default=False,
        ),
    ],
    name: Annotated[str | None, typer.Option(metavar="COLLECTION", help="Where they go; else by the source.")] = None,
    columns: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML: which columns are observations, actions, rewards.")
    ] = None,
    task_params: TaskParams = None,
    family: Family = None,
    ignore_env_spec: Annotated[
        bool, typer.Option("--ignore-env-spec", help="Import a dataset of Minari's that names unknown code.")
    ] = False,
    action_low: ActionLow = None,
    action_high: ActionHigh = None,
    clip_actions: Annotated[
        bool, typer.Option("--clip-actions", help="Move actions outside of their bounds to these, and count them.")
    ] = False,
    gaps: Annotated[
        str | None, typer.Option(help="Of missing values: refuse, drop the episode, or hold the value before.")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="Numbers that stand for missing values: -9999.")
    ] = None,
    subtract: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=NUMBER", help="Subtract a number from an observation, by its name."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column that tells nothing about episodes.")
    ] = None,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Make one row of numbers of each image or matrix.")
    ] = False,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(metavar="DATASET/EPISODE", help="An episode that is not read, by its label or its number from 0."),
    ] = None,
    leave_out_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A key of a dictionary observation that is not read; of Minari's datasets."),
    ] = None,
) -> None:
    """Import logs, one file per task, or datasets of Minari's into the store."""
    from merpo.data.import_any import import_any
    from merpo.data.import_options import import_options

    changes = import_options(action_low, action_high, clip_actions, gaps, subtract, ignore, flatten, missing)
    keys, episodes = leave_out_key or (), leave_out or ()
    for collection in import_any(sources, name, columns, task_params, family, ignore_env_spec, changes, episodes, keys):
        say(f"look at it: merpo data show {collection}")


@data_app.command("export")
@guarded
def export_data(
    names: Names,
    namespace: Annotated[
        str | None, typer.Option(metavar="NS", help="Minari's namespace; else the collection's name.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="hdf5, arrow or parquet.")] = "hdf5",
) -> None:
    """Export datasets of the store as Minari datasets, NAMESPACE/NAME-v0."""
    from merpo.data.catalog import find
    from merpo.data.minari.exports import export_minari

    found = [entry for name in names for entry in find(name)]
    export_minari(found, namespace, form)


@data_app.command("list")
@guarded
def list_data(
    collection: Annotated[str | None, typer.Argument(help="Only this one's datasets.", show_default=False)] = None,
) -> None:
    """List the collections of the store, or the datasets of one."""
    from merpo.data.listing import print_collections, print_entries

    print_collections() if collection is None else print_entries(collection)


@data_app.command()
@guarded
def show(names: Names) -> None:
    """Show datasets: statistics of imported columns, returns, sizes and origin."""
    from merpo.data.catalog import find
    from merpo.data.listing import imported, print_columns, print_entry, print_qualities, print_snippet

    found = [entry for name in names for entry in find(name)]
    if first := imported(found):  # what was read is looked at before where it came from
        print_columns(first)
        print_qualities(found)
    for entry in found:
        print_entry(entry)
    if not first:
        print_qualities(found)
    print_snippet(found)


@data_app.command()
@guarded
def verify(names: Names) -> None:
    """Verify the checksums of datasets; exit code 2 if one is damaged."""
    from merpo.data.listing import verify_all

    verify_all(list(names))


@data_app.command()
@guarded
def delete(names: Names, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete datasets from the store."""
    from merpo.data.catalog import delete, find

    found = [entry for name in names for entry in find(name)]
    if not yes:
        some = f"{', '.join(map(str, found[:5]))}{', ...' * (len(found) > 5)}"
        typer.confirm(printable(f"delete {len(found)} datasets, {some}?"), abort=True, err=True)
    gone = delete(found)
    say(f"deleted {len(found)} datasets ({len(gone)} files)")
