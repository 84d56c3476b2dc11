"""Cost of checkpoints: the seconds of a complete run spent in `Context.save_state`, and the size of each loop's."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _options import parse
from _timing import parser, write
from _tiny import tiny_overrides

from merpo.artifacts.keeper import Keeper
from merpo.recipe.recipe import load_recipe
from merpo.run.run import run_recipe

LOOPS = ("collect", "meta-model", "behavior", "meta-policy", "adapt")


def main() -> None:
    """Run the recipe, print a table and write the results."""
    arguments = _arguments()
    spent: dict[str, dict[str, float]] = {}
    keep = Keeper.save_state

    def timed(self: Keeper, label: str, step: int, state: Callable[[], Any]) -> None:
        loop, last, began = spent.setdefault(label, _nothing()), self.last, time.perf_counter()
        keep(self, label, step, state)
        seconds = time.perf_counter() - began
        loop["calls"] += 1
        loop["seconds"] += seconds
        if self.last is not None and self.last != last:
            loop["checkpoints"] += 1
            loop["longest"] = max(loop["longest"], seconds)
            loop["bytes"] = max(loop["bytes"], (self.last / "state.safetensors").stat().st_size)

    Keeper.save_state = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MERPO_DATA"] = str(Path(folder, "data"))
        recipe = load_recipe(arguments.recipe, [f"run.threads={arguments.threads}", *arguments.set])
        began = time.perf_counter()
        run_recipe(recipe, Path(folder, "run"), [0], "cpu", True)
        whole = time.perf_counter() - began
    share = sum(loop["seconds"] for loop in spent.values()) / whole
    for label, loop in spent.items():
        kept = f"{loop['checkpoints']:.0f} checkpoints in {loop['calls']:.0f} steps, {loop['seconds']:.3f} s"
        print(f"  {label:16} {kept}, longest {1e3 * loop['longest']:.0f} ms, {loop['bytes'] / 1e6:.2f} MB")
    print(f"  {100 * share:.2f} % of {whole:.0f} s")
    found = {"recipe": arguments.recipe, "set": arguments.set, "seconds": whole, "share": share, "loops": spent}
    write(arguments, found, missing=[f"loop {label}" for label in LOOPS if label not in spent], optional=("set",))


def _nothing() -> dict[str, float]:
    return {"calls": 0, "checkpoints": 0, "seconds": 0.0, "longest": 0.0, "bytes": 0}


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, 1)
    made.add_argument("--recipe", default="recipes/merpo_adp.toml")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
    return parse(made, threads=1, set=tiny_overrides())


if __name__ == "__main__":
    main()
