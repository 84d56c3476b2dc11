"""merpo.errors: the hint that an error gives with the nearest valid choice."""

from __future__ import annotations

import pytest

import merpo


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("focl", " (did you mean 'focal'?)"),
        ("focal", " (did you mean 'focal'?)"),
        ("coro", " (did you mean 'corro'?)"),
        ("FOCAL", " (did you mean 'focal'?)"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_the_nearest_choice_is_a_hint(word: str, hint: str) -> None:
    assert merpo.nearest(word, ["focal", "corro"]) == hint
    assert merpo.nearest(word, {"corro": 1, "focal": 2}) == hint, "any iterable of names, in any order"


def test_without_choices_there_is_no_hint() -> None:
    assert merpo.nearest("focal", []) == ""
