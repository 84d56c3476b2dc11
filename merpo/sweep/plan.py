"""The runs of a sweep: every combination of the values of `--set`, each with every seed."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from merpo.artifacts.run_folder import REPORT
from merpo.compare.arms import SHARED, numbered, shortened
from merpo.errors import ArtifactError, RecipeError
from merpo.recipe.recipe import Recipe, load_recipe, resolved
from merpo.report.report import report_of
from merpo.support.paths import inside

__all__ = ["Job", "combinations", "common", "is_finished", "plan", "split_values"]

MOST_VARIANTS = 10_000
_NAME = 80  # characters of a folder's name
_PATTERN = r"[A-Za-z0-9.,=_+-]{1,100}"
_OPEN, _CLOSE = "[{", "]}"


class Job(NamedTuple):
    """One run of a sweep: a recipe with overrides, a seed, and the run's folder."""

    source: Path  # the recipe's file
    variant: str
    overrides: tuple[str, ...]
    seed: int
    folder: Path
    recipe: Recipe  # with the overrides
    label: str  # the variant's name among the others: the values in which they differ
    meta: Path | None = None  # a finished run, with whose meta-artifact this one begins

    @property
    def log(self) -> Path:
        """The file with the run's output."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def __str__(self) -> str:
        return f"{self.label} seed {self.seed}"


def plan(recipe: Path, overrides: Sequence[str], seeds: Sequence[int] | None, out: Path) -> list[Job]:
    """All jobs, variant by variant. Every variant's recipe is validated before anything runs.

    `seeds` None means the recipe's own. Raises `RecipeError` with the variant's name for one that is not valid.
    """
    jobs: list[Job] = []
    variants = combinations(overrides)
    for chosen, label in zip(variants, _labels(variants), strict=True):
        name = _folder_name(chosen)
        try:
            loaded = load_recipe(recipe, chosen)
        except RecipeError as error:
            raise RecipeError(f"{error} (in the variant {name})" if chosen else str(error)) from None
        own = [loaded.seed] if seeds is None else seeds
        jobs += [Job(recipe, name, chosen, seed, _folder(out, name, seed), loaded, label) for seed in own]
    return jobs


def combinations(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of the values that `KEY=A,B` overrides name, the last one changing fastest.

    Raises `RecipeError` for a key that is given twice, and for more than 10,000 combinations.
    """
    choices = []
    keys: set[str] = set()
    for text in overrides:
        key, equals, values = text.partition("=")
        if not equals:
            raise RecipeError(f"--set {text[:80]!r}: expected KEY=VALUE or KEY=VALUE,VALUE")
        if key.strip() in keys:
            raise RecipeError(f"--set {text[:80]!r}: {key.strip()} is given twice, expected all values in one --set")
        keys.add(key.strip())
        choices.append([f"{key.strip()}={value}" for value in split_values(values)])
    count = math.prod(len(values) for values in choices)
    if count > MOST_VARIANTS:
        raise RecipeError(f"--set: the values make {count} combinations, expected at most {MOST_VARIANTS}")
    return list(product(*choices))


def common(variants: Sequence[Sequence[str]]) -> list[str]:
    """The overrides that all of several variants share; their labels leave them out."""
    first, *others = variants
    return [text for text in first if all(text in other for other in others)] if others else []


def _labels(variants: Sequence[Sequence[str]]) -> list[str]:
    """Short unique labels of variants: the values in which they differ; all values of a single one."""
    shared, labels = common(variants), []
    for chosen in variants:
        pairs = [text.removeprefix("method.").partition("=") for text in chosen if text not in shared]
        labels.append(", ".join(f"{key}={shortened(value)}" for key, _, value in pairs) or "base")
    return numbered(labels) if len(labels) > 1 else [shortened(labels[0])]


def split_values(text: str) -> list[str]:
    """The values between commas; commas within brackets and quotes belong to a value. Each once, in order."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in _OPEN) - (character in _CLOSE)
        if character == "," and not quote and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return list(dict.fromkeys(part.strip() for part in parts))


def is_finished(job: Job, trust: bool = False) -> bool:
    """Whether the job's folder holds the report of this very run; `merpo run` refuses a folder with another one's.

    With `trust` a report counts although it is not the one in the run's manifest.
    """
    if not (job.folder / REPORT).is_file():
        return False
    try:
        report = report_of(job.folder, trust)
    except ArtifactError:
        return False  # the run writes it anew
    wanted = {key: value for key, value in resolved(job.recipe).items() if key not in SHARED}
    found = {key: value for key, value in report.recipe.items() if key not in SHARED}
    return report.seed == job.seed and found == wanted


def _folder(out: Path, variant: str, seed: int) -> Path:
    """The folder of a run."""
    return inside(out, variant, f"seed-{seed}", what="the name of a variant", error=RecipeError, pattern=_PATTERN)


def _folder_name(overrides: Sequence[str]) -> str:
    """A readable, unique and deterministic folder name for a combination."""
    text = ",".join(override.removeprefix("method.") for override in overrides) or "base"
    name = re.sub(r"[^A-Za-z0-9.,=_+-]+", "_", text)
    if name == text and len(name) <= _NAME and not name.startswith((".", "-")):
        return name
    return f"{name[: _NAME - 9].lstrip('.-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
