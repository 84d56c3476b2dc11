"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merpo.errors import RecipeError

__all__ = ["MAX_SEED", "Overrides", "RecipePath", "Strict", "Trust", "parse_seeds"]

MAX_SEED = 2**32  # as in a recipe

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe in TOML.", show_default=False)]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a value, e.g. method.alpha.initial=0.3.")
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Read a run's files although they are not those that its manifest has digests of."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit with 2 if a behaviour policy of the data is missing or cannot be read."),
]


def parse_seeds(seed: int | None, seeds: str | None, default: int) -> list[int]:
    """The seeds given by `--seed` or `--seeds`, else the recipe's."""
    if seeds is None:
        if seed is not None and seed >= MAX_SEED:
            raise RecipeError(f"--seed: got {seed}, expected an integer < {MAX_SEED}")
        return [default if seed is None else seed]
    if seed is not None:
        raise RecipeError("--seed and --seeds: got both, expected one of them")
    first, _, last = seeds.partition(":")
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit() and len(seeds) < 24):
        raise RecipeError(f"--seeds: got {seeds[:80]!r}, expected A:B such as 0:4 for seeds 0, 1, 2, 3")
    if not int(first) < int(last) <= min(int(first) + 10_000, MAX_SEED):
        raise RecipeError(f"--seeds: got {seeds!r}, expected A < B <= {MAX_SEED}, at most 10000 seeds")
    return list(range(int(first), int(last)))
