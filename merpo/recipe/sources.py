"""How a recipe names data that was not collected for it: `store:COLLECTION/DATASET` or `minari:NAMESPACE/NAME-v0`."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from merpo.errors import nearest
from merpo.support.files import FILE_NAME

__all__ = ["MINARI_ID", "Source", "is_minari_id", "minari_place", "parse_source"]

# Minari's own form: namespaces of at least two characters, a name, a version. Never a path: no dots, no empty part.
MINARI_ID = r"(?:[A-Za-z0-9_-]{2,100}/){0,8}[A-Za-z0-9_-]{1,100}-v[0-9]{1,9}"
_PATTERN = r"[A-Za-z0-9._+*?\[\]!-]{1,200}"  # a dataset's name, with *, ? and [0-9]


class Source(NamedTuple):
    """Where data comes from, and its name there."""

    door: Literal["store", "minari"]
    name: str


def parse_source(text: str) -> Source:
    """The source that a recipe's text names; raises `ValueError` that says what is expected."""
    door, _, name = text.partition(":")
    if door == "minari" and is_minari_id(name):
        return Source("minari", name)
    collection, slash, dataset = name.partition("/")
    if door == "store" and re.fullmatch(FILE_NAME, collection) and (not slash or re.fullmatch(_PATTERN, dataset)):
        return Source("store", name)
    hint = nearest(door, ["store", "minari"]) if door not in ("store", "minari") else ""
    raise ValueError(
        f"got {text[:80]!r}, expected 'store:COLLECTION', 'store:COLLECTION/DATASET' or "
        f"'minari:NAMESPACE/NAME-v0'{hint}"
    )


def is_minari_id(text: str) -> bool:
    """Whether a text is an id of Minari's, such as `D4RL/door/human-v2`."""
    return re.fullmatch(MINARI_ID, text) is not None


def minari_place(dataset_id: str) -> tuple[str, str]:
    """The collection and the name under which the store keeps a dataset of Minari's."""
    *namespaces, name = dataset_id.split("/")
    return "-".join(["minari", *namespaces])[:150], name
