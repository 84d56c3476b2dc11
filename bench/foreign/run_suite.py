"""`recipes/your_data.toml` on the foreign suite: every family and quality, several seeds, with other arms beside it.

    python bench/foreign/run_suite.py --families heating cart --qualities medium --seeds 4 --jobs 2

Needs the data of make_data.py in the store. A run that is finished is not repeated, an interrupted one is resumed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import _bench  # noqa: F401 - makes the modules of bench/ importable
import tomli_w
from _command import merpo
from _options import options, parse
from merpo_foreign.suite import FAMILIES, QUALITIES

from merpo.recipe.extends import read_tables
from merpo.support.files import atomic_write_text

ROOT = Path(__file__).resolve().parents[2]
EPISODES = 20  # of every evaluation
SNAPSHOTS = (0, 500, 1000, 2000, 5000)  # steps of adaptation after which policies are evaluated
NAMES = tuple(family.name.removeprefix("foreign-") for family in FAMILIES)

SCRATCH = ("method.adaptation.init_policy=false", "method.adaptation.init_critic=false")
COMBO = (*SCRATCH, "method.rac.lambda_initial=0.0", "method.adaptation.candidates=0")
ARMS = {  # adaptations of the same run's unseen tasks: what `merpo adapt --set` is for
    "combo": COMBO,
    "combo-10000": (*COMBO, "method.adaptation.steps=10000"),
}


class Job(NamedTuple):
    """One run of the suite."""

    family: str
    quality: str
    seed: int
    folder: Path

    @property
    def recipe(self) -> Path:
        """The recipe's file, common to the seeds."""
        return self.folder.parent / "recipe.toml"


def main() -> None:
    """Run what is missing."""
    arguments = _arguments()
    for job in jobs(arguments):
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(job.recipe, tomli_w.dumps(recipe(job.family, job.quality)))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for _ in pool.map(lambda job: run(job, arguments.set, arguments.arms), jobs(arguments)):
            pass


def jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    """Every run, all families and qualities of a seed before the next seed."""
    for seed in range(arguments.seeds):
        for quality in arguments.qualities:
            for family in arguments.families:
                yield Job(family, quality, seed, arguments.runs / f"{family}-{quality}" / f"seed-{seed}")


def recipe(family: str, quality: str) -> dict[str, object]:
    """`recipes/your_data.toml` with a family's environment, its logs, and an evaluation; nothing else differs."""
    tables = read_tables(ROOT / "recipes" / "your_data.toml")
    tables["title"] = f"{family}, {quality} logs"
    tables["tasks"] = {"component": f"foreign-{family}"}
    name = f"store:foreign-{family}-{quality}"
    tables["data"] = {"train": [f"{name}/train-*"], "test": [f"{name}/test-*"]}
    tables["evaluate"] = {"episodes": EPISODES, "videos": 0, "during_training": 0, "snapshots": list(SNAPSHOTS)}
    tables["run"] = {"threads": 1, "tensorboard": False, "device": "cpu"}
    return tables


def run(job: Job, overrides: list[str], arms: list[str]) -> None:
    """A run and its policies with drawn actions; then the arms that adapt its meta-artifact in other ways."""
    report = job.folder / "report.json"
    if not report.is_file():
        sets = [word for text in overrides for word in ("--set", text)]
        merpo(
            "run", str(job.recipe), "--seed", str(job.seed), "--out", str(job.folder), *sets, makes=report, quiet=True
        )
    drawn = job.folder.parent / f"{job.folder.name}-drawn.json"
    if not drawn.is_file():
        merpo("evaluate", str(job.folder), "--stochastic", "--out", str(drawn), makes=drawn, quiet=True)
    for arm in arms:
        folder = job.folder.parent / f"{job.folder.name}-{arm}"
        measured = folder / "evaluation.json"
        if not measured.is_file():
            sets = [word for text in ARMS[arm] for word in ("--set", text)]
            merpo("adapt", str(job.folder), "--out", str(folder), *sets, makes=folder / "summary.json", quiet=True)
            merpo("evaluate", str(folder), "--out", str(measured), makes=measured, quiet=True)
    print(f"{job.folder}: finished", flush=True)


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("--families", nargs="+", choices=NAMES, default=list(NAMES))
    made.add_argument("--qualities", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    made.add_argument("--seeds", type=int, default=4)
    made.add_argument("--jobs", type=int, default=2)
    made.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    made.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="override the recipe, for experiments")
    made.add_argument("--runs", type=Path, default=ROOT / "runs" / "foreign", metavar="FOLDER")
    return parse(made, seeds=1)


if __name__ == "__main__":
    main()
