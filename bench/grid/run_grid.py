"""The grid: where each regularizer pays, by episodes per unseen task, steps, data, meta-policy, λ and α.

    python bench/grid/run_grid.py
    python bench/grid/run_grid.py --families heating cart     # needs `pip install -e bench/foreign`
    python bench/grid/run_grid.py --tables                    # the page of the cells that there are

`grid_plan.py` says which cells are measured and why the others are not. Every run (meta-training by `merpo run`) and
every cell (an adaptation by the library from the run's meta-artifact) is stored when it ends and not repeated, so that
the script can be interrupted and resumed; the cells of the first seed come first. Data is collected before, into
merpo's store, once for every data seed. Writes grid.json, grid.md and grid.png, of as many cells as there are, and
fails if there are none. With `--stored` page and picture are made anew from grid.json, without any run.

Two cores that do nothing else take about four and a half hours for the default, and one more for the two foreign
families: a cell of Point-Robot-Wind takes 57 s of one core, a run 100 s (README.md).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import _bench  # noqa: F401 - makes the modules of bench/ importable
from _command import merpo
from _options import options, parse, recorded
from _results import RESULTS, write_results
from _stored import own_store
from _tiny import tiny_overrides
from grid_page import page
from grid_picture import picture
from grid_plan import FAMILIES, FOREIGN, Job, jobs, tiny
from grid_stored import stored
from grid_unit import RECIPES, work

from merpo.errors import MerpoError
from merpo.support.files import atomic_write_bytes

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "grid/run_grid"
OWN = tuple(name for name in FAMILIES if name not in FOREIGN)


def main() -> None:
    """Measure what is missing, then write the page of all cells that there are."""
    arguments = _arguments()
    if arguments.stored:
        write(json.loads(arguments.stored.read_text("utf-8")), arguments.out, again=True)
        return
    failed: list[str] = []
    with own_store() if arguments.tiny else contextlib.nullcontext():
        planned = plan(arguments, arguments.families)
        if not arguments.tables:
            failed = measure_all(planned, arguments.jobs)
    others = plan(arguments, [name for name in FAMILIES if name not in arguments.families])
    write(_content(arguments, [*planned, *_begun(others)]), arguments.out)
    if failed:
        raise SystemExit("\n".join([f"{len(failed)} of {len(planned)} runs failed:", *failed]))


def plan(arguments: argparse.Namespace, families: Sequence[str]) -> list[Job]:
    """The jobs of these families, with `--tiny` the smallest."""
    chosen = [FAMILIES[name] for name in families]
    overrides: Sequence[str] = ()
    if arguments.tiny:
        chosen, overrides = [tiny(family) for family in chosen], tiny_overrides()
    return list(jobs(chosen, arguments.seeds, arguments.data_seeds, arguments.runs, overrides))


def measure_all(planned: Sequence[Job], at_once: int) -> list[str]:
    """Do all jobs that have cells to measure; returns what failed, whose other jobs were done all the same."""
    left = [job for job in planned if job.missing()]
    cells = sum(len(unit.cells) for job in planned for unit in job.units)
    print(f"{sum(len(job.missing()) for job in left)} of {cells} cells to measure, {len(left)} runs", flush=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # of what is started from here
    make_data(left, at_once)
    if at_once == 1:
        return [problem for job in left for problem in _problems(lambda: work(job))]  # noqa: B023
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn")) as pool:
        begun = [pool.submit(work, job) for job in left]
        return [problem for future in as_completed(begun) for problem in _problems(future.result)]


def _problems(finish: Callable[[], str]) -> list[str]:
    """What a job raised: a finding such as a loss that is not finite must not stop the others."""
    try:
        print(f"{finish()}: finished", flush=True)
    except (MerpoError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"failed: {error}", file=sys.stderr, flush=True)
        return [str(error)]
    return []


def make_data(left: Sequence[Job], at_once: int) -> None:
    """Collect, or write the logs of bench/foreign, before runs go in parallel: two must not collect the same."""
    foreign = list(dict.fromkeys(job.family.name for job in left if not job.family.collected))
    if foreign:
        _require_foreign(foreign)
        script = ROOT / "bench" / "foreign" / "make_data.py"
        subprocess.run([sys.executable, str(script), "--families", *foreign, "--qualities", "medium"], check=True)
    sets: dict[tuple[str, int], dict[str, Job]] = {}
    for job in left:
        if job.family.collected:
            sets.setdefault((job.family.name, job.data_seed), {})[job.quality] = job
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(_collect, sets.values()))


def _collect(by_quality: dict[str, Job]) -> None:
    """All qualities of one family and data seed, by the same behaviour policies."""
    one = next(iter(by_quality.values()))
    words = [word for text in one.settings for word in ("--set", text)]
    recipe = str(RECIPES / f"{one.family.recipe}.toml")
    merpo("collect", recipe, *words, "--quality", ",".join(by_quality), quiet=True, env={"OMP_NUM_THREADS": "1"})
    print(f"{one.family.name}, data seed {one.data_seed}: {', '.join(by_quality)} data is there", flush=True)


def _require_foreign(names: Iterable[str]) -> None:
    try:
        importlib.metadata.distribution("merpo-foreign")
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit(
            f"--families {' '.join(names)}: their package is not installed; run: pip install -e bench/foreign"
        ) from None


def _begun(others: Sequence[Job]) -> list[Job]:
    """The jobs of families that were measured earlier, which stay in the results."""
    begun = {job.family.name for job in others if len(job.missing()) < sum(len(unit.cells) for unit in job.units)}
    return [job for job in others if job.family.name in begun]


def _content(arguments: argparse.Namespace, planned: Sequence[Job]) -> dict[str, Any]:
    left_out = ("runs", "stored", "tables", "jobs", "families")
    given = {key: value for key, value in recorded(arguments).items() if key not in left_out}
    return {"arguments": given, **stored(planned)}


def write(content: dict[str, Any], out: Path, again: bool = False) -> None:
    """Write page and picture, and the JSON unless it was read; raises `IncompleteResultsError` without any cell."""
    there = bool(content.get("units"))
    text = page(content) if there else ""
    files: dict[Path, Any] = {out / "grid.md": text} if again else {out / "grid.json": content, out / "grid.md": text}
    write_results(SCRIPT, files, [] if there else ["no cell was measured"], indent=None)
    atomic_write_bytes(out / "grid.png", picture(content))


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("--families", nargs="+", choices=FAMILIES, default=list(OWN))
    made.add_argument("--seeds", type=int, default=5, help="of meta-training and adaptation")
    made.add_argument("--data-seeds", type=int, default=2, help="collections of data, which the seeds have in turn")
    made.add_argument("--jobs", type=int, default=2, help="runs at once, with one thread each")
    made.add_argument(
        "--tables", action="store_true", help="measure nothing: only the page of the cells that there are"
    )
    made.add_argument(
        "--stored", nargs="?", type=Path, const=RESULTS / "grid.json", metavar="FILE",
        help="only make page and picture anew from this file (grid.json in bench/results)",
    )  # fmt: skip
    made.add_argument("--runs", type=Path, metavar="FOLDER", help="folder of runs and cells (runs/grid)")
    found = parse(made, families=["point-robot-wind"], seeds=1, data_seeds=1, jobs=1)
    found.runs = found.runs or (found.out / "runs" if found.tiny else ROOT / "runs" / "grid")
    return found


if __name__ == "__main__":
    main()
