"""merpo.support.paths: whatever a name is, its path is in its folder, or it is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merpo.errors import ArtifactError, MerpoError
from merpo.support.paths import OWN_NAME, inside, is_name

HOSTILE = (
    "", ".", "..", " x", "../x", "../../x", "/x", "//x", "a/b", "a\\b", "..\\x", "C:x", "C:\\x", "~", "~/x", "a\0b",
    "x\u2215y", "\0", "a\n", "\x1b[2J", "-rf", ".hidden", "<b>x</b>", "x" * 200, "a b", "$HOME", "%00", "\u202etxt",
)  # fmt: skip
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(), st.text(st.sampled_from("./\\a:\0-_~ "), max_size=8))
FAST = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@FAST
@given(names=st.lists(NAMES, min_size=1, max_size=3), pattern=st.sampled_from([None, OWN_NAME, ".*"]))
def test_a_path_is_in_its_folder_or_the_name_is_refused(tmp_path: Path, names: list[str], pattern: str | None) -> None:
    more = {} if pattern is None else {"pattern": pattern}
    try:
        path = inside(tmp_path, *names, **more)
    except MerpoError as error:
        assert str(error).isprintable(), "a name is shown without what would reach the terminal"
        return
    assert path.parts == (*tmp_path.parts, *names)
    assert Path(os.path.normpath(path)).is_relative_to(tmp_path)
    assert all(names)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_name(tmp_path: Path, name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ArtifactError, match=r"^the name of task 2 is .*, expected letters, digits"):
        inside(tmp_path, name, what="the name of task 2", error=ArtifactError)


@pytest.mark.parametrize("name", ["task-000.medium", "a", "0", "A_b+c-d.e", "x" * 151])
def test_a_plain_name_is_one(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) == tmp_path / name


def test_the_users_own_names_may_be_of_any_script(tmp_path: Path) -> None:
    for name in ("Prüfstand 3", "実験", "-x", ".x"):
        assert inside(tmp_path, name, pattern=OWN_NAME) == tmp_path / name


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_folder_that_is_a_link_elsewhere_is_refused(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "link").symlink_to(other)
    (folder / "own").mkdir()
    (folder / "near").symlink_to("own")
    for names in (("link",), ("link", "x"), ("link", "a", "b")):
        with pytest.raises(MerpoError, match="is a link to a folder outside of"):
            inside(folder, *names)
    assert inside(folder, "near", "x") == folder / "near" / "x"
    (tmp_path / "moved").symlink_to(folder)  # the folder itself may be a link: it is the user's
    assert inside(tmp_path / "moved", "own") == tmp_path / "moved" / "own"
