"""Episodes that an import leaves out, by the labels or numbers that they have in their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from merpo.errors import DatasetError, RecipeError, nearest

__all__ = ["left_out", "left_out_lines", "require_labels", "require_numbers"]


def left_out(texts: Sequence[str], datasets: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The episodes to leave out of each dataset: `DATASET/EPISODE`, or `EPISODE` of a single dataset.

    A dataset is given by all its names. Raises `RecipeError` for an episode of no dataset that is imported.
    """
    found: list[list[str]] = [[] for _ in datasets]
    owners = {name: i for i, names in enumerate(datasets) for name in names}
    for text in texts:
        owner = max((name for name in owners if text.startswith(f"{name}/")), key=len, default="")
        if not owner and len(datasets) > 1:
            raise RecipeError(
                f"--leave-out: got {text[:80]!r}, expected DATASET/EPISODE, as {len(datasets)} datasets are imported"
                f"{nearest(text.rpartition('/')[0], owners)}"
            )
        found[owners[owner] if owner else 0].append(text.removeprefix(f"{owner}/") if owner else text)
    return [tuple(dict.fromkeys(labels)) for labels in found]


def left_out_lines(names: Sequence[str], without: Sequence[Sequence[str]]) -> list[str]:
    """A line that names the episodes that are left out of datasets; none if there are none."""
    named = [f"{name}/{label[:80]}" for name, labels in zip(names, without, strict=True) for label in labels]
    return [f"left out: {', '.join(named[:20])}{', ...' * (len(named) > 20)}"] if named else []


def require_labels(wanted: Iterable[str], known: Sequence[str], place: str) -> None:
    """Raise `DatasetError` for a label that no episode has."""
    for label in wanted:
        if label not in known:
            some = ", ".join(known[:10])
            raise DatasetError(f"{place}: no episode {label[:80]!r} to leave out{nearest(label, known)}; it has {some}")


def require_numbers(wanted: Sequence[str], place: str) -> list[int]:
    """The numbers of episodes that texts give; raises `DatasetError` for other texts."""
    for text in wanted:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise DatasetError(
                f"{place}: no episode {text[:80]!r} to leave out, expected a number from 0, as its episodes have no "
                "labels"
            )
    return list(map(int, wanted))
