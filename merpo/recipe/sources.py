"""Names of existing datasets in recipes: `store:COLLECTION/DATASET` or `minari:NAMESPACE/NAME-v0`."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from merpo.errors import nearest
from merpo.support.files import FILE_NAME, NAME_CHARACTERS

__all__ = ["MINARI_ID", "Source", "is_minari_id", "minari_place", "parse_source"]

# Minari's form: namespaces of at least two characters, a name, a version; without dots and empty parts as in paths.
MINARI_ID = r"(?:[A-Za-z0-9_-]{2,100}/){0,8}[A-Za-z0-9_-]{1,100}-v[0-9]{1,9}"
_PATTERN = rf"[{NAME_CHARACTERS}*?\[\]!]{{1,200}}"  # a dataset's name, with *, ? and [0-9]


class Source(NamedTuple):
    """A dataset's scheme and its name in it."""

    scheme: Literal["store", "minari"]
    name: str


def parse_source(text: str) -> Source:
    """The source that a recipe's text names; raises `ValueError` with the expected form if it is invalid."""
    scheme, _, name = text.partition(":")
    if scheme == "minari" and is_minari_id(name):
        return Source("minari", name)
    collection, slash, dataset = name.partition("/")
    if scheme == "store" and re.fullmatch(FILE_NAME, collection) and (not slash or re.fullmatch(_PATTERN, dataset)):
        return Source("store", name)
    hint = nearest(scheme, ["store", "minari"]) if scheme not in ("store", "minari") else ""
    raise ValueError(
        f"got {text[:80]!r}, expected 'store:COLLECTION', 'store:COLLECTION/DATASET' or "
        f"'minari:NAMESPACE/NAME-v0'{hint}"
    )


def is_minari_id(text: str) -> bool:
    """Whether a text is a Minari dataset id, such as `D4RL/door/human-v2`."""
    return re.fullmatch(MINARI_ID, text) is not None


def minari_place(dataset_id: str) -> tuple[str, str]:
    """The collection and the name of a Minari dataset in the store."""
    *namespaces, name = dataset_id.split("/")
    return "-".join(["minari", *namespaces])[:150], name
