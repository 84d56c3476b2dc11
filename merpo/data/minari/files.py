"""Minari's local datasets on disk: ids, folders and metadata; code that a dataset refers to is never executed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from merpo.errors import DatasetError, nearest
from merpo.recipe.sources import is_minari_id
from merpo.support.paths import inside
from merpo.support.read import FileKind

__all__ = [
    "Box",
    "MinariDataset",
    "Space",
    "check_env_spec",
    "dataset_folder",
    "minari_root",
    "open_minari",
    "require_id",
    "require_inside",
]

_KIND = FileKind("the JSON of a Minari dataset", DatasetError, limit=16 << 20)
MAX_DEPTH = 8  # of spaces in spaces
# Packages whose classes an env_spec may name as entry points. merpo runs none of them; Minari's own tools would.
ENVIRONMENTS = ("ale_py", "gymnasium", "gymnasium_robotics", "merpo_tasks", "metaworld", "minigrid", "shimmy")


class Box(NamedTuple):
    """A block of numbers in an episode: its path, size and bounds; of an image, its shape and type, too."""

    path: tuple[str, ...]
    size: int
    low: list[float]
    high: list[float]
    image: tuple[int, ...] = ()
    dtype: str = ""


Space = tuple[Box, ...]  # concatenated in this order, keys of a Dict alphabetically


class MinariDataset(NamedTuple):
    """A Minari dataset on this machine."""

    dataset_id: str
    folder: Path  # with metadata.json and the data
    metadata: Mapping[str, Any]
    observations: Space
    actions: Space
    left_out: tuple[str, ...] = ()  # keys of observations

    @property
    def format(self) -> str:
        """`hdf5`, `arrow` or `parquet`; HDF5 for older datasets, which do not state it."""
        return str(self.metadata.get("data_format", "hdf5"))


def minari_root() -> Path:
    """The folder of Minari's datasets: `MINARI_DATASETS_PATH`, or by default a folder in the user's home."""
    chosen = os.environ.get("MINARI_DATASETS_PATH")
    return Path(chosen) if chosen else Path.home() / ".minari" / "datasets"


def require_id(text: str) -> str:
    """`text` if it is a Minari dataset id; raises `DatasetError` otherwise, e.g. for a path."""
    if not is_minari_id(text):
        raise DatasetError(f"{text[:100]!r} is not a Minari dataset id, expected one such as 'D4RL/door/human-v2'")
    return text


def dataset_folder(dataset_id: str) -> Path:
    """The folder of a dataset under Minari's root; raises `DatasetError` for another id, and for a link elsewhere."""
    parts = require_id(dataset_id).split("/")
    return inside(minari_root(), *parts, what="dataset id", error=DatasetError, pattern=r"[A-Za-z0-9_-]{1,120}")


def open_minari(dataset_id: str, ignore_env_spec: bool = False, leave_out_keys: Sequence[str] = ()) -> MinariDataset:
    """The metadata of a local dataset, checked; raises `DatasetError` that names file and key.

    `leave_out_keys` are keys of a dictionary observation that is not read, `KEY` or `KEY.KEY`, whatever they hold.
    """
    folder = require_inside(dataset_folder(dataset_id) / "data")
    path = require_inside(folder / "metadata.json")
    if not path.is_file():
        near = _nearest_dataset(path.parent.parent)
        raise DatasetError(f"{path}: no such dataset of Minari's on this machine{near}")
    metadata = _KIND.read_json(path)
    if not ignore_env_spec:
        for key in ("env_spec", "eval_env_spec"):
            check_env_spec(path, key, metadata.get(key))
    try:
        observations = tuple(_space(path, "observation_space", metadata.get("observation_space"), leave_out_keys))
        actions = tuple(_space(path, "action_space", metadata.get("action_space")))
    except (RecursionError, OverflowError) as error:
        raise DatasetError(f"{path}: a space is too deep or too large ({type(error).__name__})") from None
    return MinariDataset(dataset_id, folder, metadata, observations, actions, tuple(leave_out_keys))


def require_inside(path: Path) -> Path:
    """`path` if it resolves to a path inside Minari's root; raises `DatasetError` otherwise."""
    try:
        target = path.resolve()
        good = target.is_relative_to(minari_root().resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from None
    if not good:
        raise DatasetError(f"{path}: links to {target}, outside of {minari_root()}; refused")
    return path


def check_env_spec(path: Path, key: str, text: Any) -> None:
    """Raise `DatasetError` for a spec with entry points outside the known packages, although merpo runs none."""
    if text is None:
        return
    spec = _KIND.parse_json(text, f"{path}: {key}") if isinstance(text, str) else text
    if not isinstance(spec, dict):
        raise DatasetError(f"{path}: {key} is a {type(spec).__name__}, expected an object")
    for place, entry in _entry_points(spec, key):
        package = entry.partition(":")[0].split(".")[0] if isinstance(entry, str) else ""
        if package not in ENVIRONMENTS:
            raise DatasetError(
                f"{path}: {place} is {entry!r:.80}, expected an entry point in {', '.join(ENVIRONMENTS)}; merpo does "
                "not run it, but Minari's own tools would. If you trust it, import the arrays with --ignore-env-spec"
            )


def _entry_points(spec: dict[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    for name in ("entry_point", "vector_entry_point"):
        if spec.get(name) is not None:
            yield f"{key}.{name}", spec[name]
    wrappers = spec.get("additional_wrappers") or []
    for i, wrapper in enumerate(wrappers if isinstance(wrappers, list) else []):
        entry = wrapper.get("entry_point") if isinstance(wrapper, dict) else wrapper
        yield f"{key}.additional_wrappers[{i}].entry_point", entry


def _space(path: Path, key: str, text: Any, leave_out: Sequence[str] = ()) -> Iterator[Box]:
    if text is None:
        raise DatasetError(
            f"{path}: {key} is missing; merpo does not run the env_spec to find it, as Minari would. "
            "If you trust the dataset, load and save it with Minari"
        )
    space = _KIND.parse_json(text, f"{path}: {key}")
    for name in leave_out:
        space = _without(path, key, space, name)
    yield from _boxes(path, key, space, (), 0)


def _without(path: Path, key: str, space: dict[str, Any], name: str) -> dict[str, Any]:
    """A dictionary space without one of its keys, `KEY` or `KEY.KEY`; raises `DatasetError` if it has no such key."""
    below = space.get("subspaces") if space.get("type") == "Dict" else None
    if not isinstance(below, dict):
        raise DatasetError(f"{path}: {key} is no dictionary, expected one with the key {name[:80]!r} to leave out")
    first, _, rest = (name, "", "") if name in below else name.partition(".")
    if first not in below or (rest and not isinstance(below[first], dict)):
        raise DatasetError(
            f"{path}: {key} has no key {name[:80]!r} to leave out{nearest(name, below)}; it has "
            f"{', '.join(below)[:200]}"
        )
    kept = {one: part for one, part in below.items() if one != first}
    if rest:
        kept[first] = _without(path, f"{key}.{first}", below[first], rest)
    if not kept:
        raise DatasetError(f"{path}: {key} has no key but {name[:80]!r}, expected one that is not left out")
    return {**space, "subspaces": kept}


def _boxes(path: Path, key: str, space: Any, place: tuple[str, ...], depth: int) -> Iterator[Box]:
    """Yield the boxes of a space; `place` is the path of its arrays in an episode."""
    kind = space.get("type") if isinstance(space, dict) else None
    below = space.get("subspaces") if isinstance(space, dict) else None
    if depth > MAX_DEPTH:
        raise DatasetError(f"{path}: {key} nests deeper than {MAX_DEPTH}")
    if kind == "Dict" and isinstance(below, dict):
        for name in sorted(below):
            if not name or "/" in name or name.startswith("."):
                raise DatasetError(f"{path}: {key} has the key {name[:40]!r}, expected a plain name")
            yield from _boxes(path, key, below[name], (*place, name), depth + 1)
    elif kind == "Tuple" and isinstance(below, list):
        for i, part in enumerate(below):
            yield from _boxes(path, key, part, (*place, f"_index_{i}"), depth + 1)
    elif kind == "Box":
        yield _box(path, key, space, place)
    else:
        where = ".".join((key, *place))
        raise DatasetError(f"{path}: {where} is {kind!r:.40}, expected Box, or Dict or Tuple of Box")


def _box(path: Path, key: str, space: dict[str, Any], place: tuple[str, ...]) -> Box:
    shape, where = space.get("shape"), ".".join((key, *place))
    good = isinstance(shape, list) and all(isinstance(n, int) and 0 < n <= 10**6 for n in shape)
    size = 1
    for length in shape if good and shape is not None else [0]:
        size *= length
    if not 0 < size <= 10**6:
        raise DatasetError(f"{path}: {where}.shape is {shape!r:.60}, expected a list of positive lengths")
    bounds = [_flat(space.get(end)) for end in ("low", "high")]
    if any(len(bound) not in (1, size) for bound in bounds):
        raise DatasetError(f"{path}: {where} has bounds whose sizes do not match its shape {shape}")
    low, high = (bound * size if len(bound) == 1 else bound for bound in bounds)
    dtype = space.get("dtype")
    if isinstance(dtype, str) and dtype.startswith("uint") and shape is not None and len(shape) > 1:
        return Box(place, size, low, high, tuple(shape), dtype[:20])
    return Box(place, size, low, high)


def _flat(value: Any, depth: int = 0) -> list[float]:
    """The numbers in nested lists; lists nested deeper than 32 levels are ignored."""
    if isinstance(value, list) and depth < 32:
        return [number for item in value for number in _flat(item, depth + 1)]
    return [float(value)] if isinstance(value, int | float) else []


def _nearest_dataset(folder: Path) -> str:
    """A hint at the nearest name or version beside a missing dataset."""
    try:
        return nearest(folder.name, [one.name for one in folder.parent.iterdir() if one.is_dir()])
    except OSError:
        return ""
