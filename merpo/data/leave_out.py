"""Episodes that an import leaves out, by the labels or numbers that they have in their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from merpo.errors import DatasetError, RecipeError, nearest

__all__ = ["left_out", "require_labels", "require_numbers"]


def left_out(texts: Sequence[str], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The episodes to leave out of each dataset, by its name: `DATASET/EPISODE`, or `EPISODE` of a single dataset.

    Raises `RecipeError` for an episode of no dataset that is imported.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    for text in texts:
        owner = max((name for name in names if text.startswith(f"{name}/")), key=len, default=None)
        if owner is None and len(names) > 1:
            dataset = text.rpartition("/")[0]
            raise RecipeError(
                f"--leave-out: got {text[:80]!r}, expected DATASET/EPISODE, as {len(names)} datasets are imported"
                f"{nearest(dataset, names)}"
            )
        found[names[0] if owner is None else owner].append(text if owner is None else text.removeprefix(f"{owner}/"))
    return {name: tuple(dict.fromkeys(labels)) for name, labels in found.items()}


def require_labels(wanted: Iterable[str], known: Sequence[str], place: str) -> None:
    """Raise `DatasetError` for a label that no episode has."""
    for label in wanted:
        if label not in known:
            some = ", ".join(known[:10])
            raise DatasetError(f"{place}: no episode {label[:80]!r} to leave out{nearest(label, known)}; it has {some}")


def require_numbers(wanted: Iterable[str], count: int | None, place: str) -> list[int]:
    """The numbers (from 0) that texts give; raises `DatasetError` for one that none of `count` episodes has."""
    numbers = []
    for text in wanted:
        if not (text.isascii() and text.isdigit() and len(text) < 10) or (count is not None and int(text) >= count):
            last = "" if count is None else f" to {count - 1}"
            raise DatasetError(
                f"{place}: no episode {text[:80]!r} to leave out, expected a number from 0{last}, as its episodes have "
                "no labels"
            )
        numbers.append(int(text))
    return numbers
