"""Plugins as tiny real distributions: good, outside, broken, clashing, blocked."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wheels import TOYS, build_wheel, unpack

from merpo.components import registry
from merpo.components.interfaces import KINDS, AlphaScheduler, Method
from merpo.components.plugins import API_VERSION
from merpo.errors import MerpoError, PluginError, RecipeError

Install = Callable[..., Path]

ALPHA = '''
from pydantic import Field
from merpo import AlphaScheduler, hookimpl
class {cls}(AlphaScheduler):
    """{doc}"""
    name = "{name}"
    {body}
    def update(self, {arguments}):
        return alpha
@hookimpl
def {hook}():
    return [{offered}]
'''
FIELD = 'initial: float = Field(0.4, ge=0, le=1, description="First alpha.")'


def alpha(cls: str = "Mine", **changes: str) -> str:
    defaults = {
        "doc": "An alpha.",
        "name": "mine",
        "body": FIELD,
        "arguments": "alpha, to_behavior, to_meta",
        "hook": "merpo_components",
        "offered": cls,
    }
    return ALPHA.format(cls=cls, **(defaults | changes))


def rows(**wanted: Any) -> list[registry.Entry]:
    return [e for e in registry.components() if all(getattr(e, key) == value for key, value in wanted.items())]


def test_an_outside_plugin_is_found_with_its_distribution(install: Install) -> None:
    install("merpo-toys", {"toys_a": TOYS}, version="0.3")
    (entry,) = rows(kind="alpha", name="even")
    assert (entry.distribution, entry.version, entry.status, entry.reason) == ("merpo-toys", "0.3", "ok", "")
    assert entry.summary == "Alpha that stays."
    assert registry.get("alpha", "even") is entry.cls
    assert registry.names("alpha") == ["even", "odd"]
    assert [e.kind for e in registry.components("method")] == ["method"]


def test_a_plugin_installed_by_pip_is_found(tmp_path: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed here")
    wheel, site = (
        build_wheel(tmp_path, "merpo-toys", {"toys_pip": f"{TOYS}\nMERPO_API = {API_VERSION}\n"}),
        tmp_path / "target",
    )
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-deps",
        "--quiet",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(pip, check=True, timeout=120)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from merpo.components.registry import get\nprint(get('method', 'toy')().alpha.initial)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "0.3", done.stderr


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("raise RuntimeError('first line\\nsecond')", "RuntimeError: first line"),
        ("", "no merpo_components hook"),
        (alpha(hook="merpo_component"), "did you mean 'merpo_components'?"),
        (
            "from merpo import hookimpl\n@hookimpl\ndef merpo_components(): raise KeyError('x')",
            "merpo_components() failed",
        ),
        (
            "from merpo import hookimpl\n@hookimpl\ndef merpo_components(): return 3",
            "merpo_components() failed: TypeError",
        ),
        ("from merpo import hookimpl\n@hookimpl\ndef merpo_components(registry): return []", "cannot be loaded"),
        (alpha(offered="3"), "offered"),
        (alpha(offered="[]"), "offered"),
        (alpha(offered="dict"), "expected a class of a kind"),
        (alpha(name=""), "Mine.name is ''"),
        (alpha(name="Mine One"), "Mine.name is 'Mine One'"),
        (alpha(doc=""), "no docstring"),
        (alpha(body="initial: float = 0.4"), "Mine.initial has no description"),
        (alpha(body='initial: float = Field(description="x")'), "Mine.initial has no default"),
        (alpha(body=FIELD.replace("0.4", "4")), "cannot be built from its defaults"),
        (
            alpha(body=FIELD + '\n    other: list[int] = Field([1], description="x")'),
            "cannot be built from its defaults",
        ),
        (alpha(arguments="alpha"), "Mine.update cannot be called as update(self, alpha, to_behavior, to_meta)"),
        (alpha().replace("def update", "def other"), "Mine does not implement update"),
        (
            alpha()
            .replace("(AlphaScheduler)", "(AlphaScheduler, merpo.Critic)")
            .replace("from m", "import merpo\nfrom m", 1),
            "Mine implements Critic and AlphaScheduler",
        ),
        (alpha().replace("AlphaScheduler", "Component"), "Mine implements none"),
    ],
)
def test_a_broken_plugin_is_shown_with_its_reason_and_others_work(install: Install, source: str, reason: str) -> None:
    install("merpo-toys", {"toys_b": TOYS})
    install("merpo-bad", {"bad_plugin": source})
    bad = rows(distribution="merpo-bad")
    assert [entry.status for entry in bad] == ["broken"]
    assert reason in bad[0].reason
    assert "\n" not in bad[0].reason
    assert len(rows(distribution="merpo-toys", status="ok")) == 4
    assert registry.get("method", "toy")().alpha.name == "even"  # type: ignore[attr-defined]


def test_good_components_of_a_partly_broken_plugin_stay(install: Install) -> None:
    more = "\n@hookimpl\ndef merpo_componentz():\n    return []\n"
    install("merpo-half", {"half": alpha() + more})
    assert [e.status for e in rows(distribution="merpo-half")] == ["ok", "broken"]
    assert registry.get("alpha", "mine").name == "mine"


def test_a_broken_component_cannot_be_used_and_says_why(install: Install) -> None:
    install("merpo-bad", {"bad_two": alpha(doc="")})
    with pytest.raises(PluginError, match=r"alpha 'mine' cannot be used: .* no docstring"):
        registry.get("alpha", "mine")


def test_a_clash_names_both_distributions_and_spoils_only_that_name(install: Install) -> None:
    install("merpo-toys", {"toys_c": TOYS})
    install("merpo-one", {"one": alpha()}, version="1.1")
    install("merpo-two", {"two": alpha()}, version="2.2")
    clashes = rows(status="clash")
    assert [(e.distribution, e.name) for e in clashes] == [("merpo-one", "mine"), ("merpo-two", "mine")]
    assert all("merpo-one 1.1 and merpo-two 2.2" in e.reason for e in clashes)
    with pytest.raises(PluginError, match=r"merpo-one 1\.1 and merpo-two 2\.2"):
        registry.get("alpha", "mine")
    assert registry.names("alpha") == ["even", "odd"]


def test_the_same_name_in_two_kinds_is_no_clash(install: Install) -> None:
    install("merpo-toys", {"toys_d": TOYS})
    install("merpo-one", {"one_b": alpha(name="toy")})
    assert not rows(status="clash")
    assert issubclass(registry.get("alpha", "toy"), AlphaScheduler)
    assert issubclass(registry.get("method", "toy"), Method)


def test_a_class_that_is_broken_clashes_with_nobody(install: Install) -> None:
    install("merpo-one", {"one_c": alpha()})
    install("merpo-two", {"two_c": alpha(doc="")})
    assert {e.distribution: e.status for e in rows() if e.kind == "alpha"} == {"merpo-one": "ok", "merpo-two": "broken"}
    assert registry.get("alpha", "mine").__module__ == "one_c"


@pytest.mark.parametrize(
    ("switch", "loaded"),
    [
        ("", set()),
        ("merpo-one", {"merpo-one"}),
        (" Merpo_One , merpo.two", {"merpo-one", "merpo-two"}),
        ("merpo-x", set()),
    ],
)
def test_the_switch_restricts_what_loads(
    install: Install, monkeypatch: pytest.MonkeyPatch, switch: str, loaded: set[str]
) -> None:
    install("merpo-one", {"one_d": alpha(name="first")})
    install("merpo-two", {"two_d": alpha(name="second")})
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", switch)
    registry.refresh()
    for module in ("one_d", "two_d"):
        sys.modules.pop(module, None)
    ours = [e for e in registry.components() if e.distribution in ("merpo-one", "merpo-two")]
    assert {e.distribution for e in ours if e.status == "ok"} == loaded
    for entry in ours:
        if entry.status == "blocked":
            assert entry.kind == "plugin"
            assert "MERPO_LOAD_PLUGINS" in entry.reason
    assert {m for m in ("one_d", "two_d") if m in sys.modules} == {d.removeprefix("merpo-") + "_d" for d in loaded}


def test_a_distribution_that_is_on_the_path_twice_counts_once(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install("merpo-one", {"one_e": alpha()})
    monkeypatch.setattr(sys, "path", [str(site), *sys.path, str(site)])
    registry.refresh()
    assert [e.status for e in rows(distribution="merpo-one")] == ["ok"]


def test_a_distribution_hides_one_of_its_name_that_comes_later_on_the_path(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("merpo-one", {"one_h": alpha()})
    first = tmp_path / "first"
    unpack(build_wheel(tmp_path, "merpo-one", {}, version="2.0", entry_points=""), first)
    monkeypatch.syspath_prepend(str(first))
    registry.refresh()
    assert not rows(distribution="merpo-one"), "version 2.0, which would be imported, has no plugin"


def test_a_distribution_whose_folder_has_another_name_is_found(install: Install) -> None:
    site = install("merpo-one", {"one_i": alpha()})
    (site / "merpo_one-1.0.dist-info").rename(site / "merpo_of_old-1.0.dist-info")
    registry.refresh()
    assert [e.status for e in rows(distribution="merpo-one")] == ["ok"]


def test_entry_points_that_cannot_be_read_take_nobody_down(install: Install) -> None:
    site = install("merpo-one", {"one_f": alpha()})
    install("merpo-bad", {"bad_f": alpha(name="other")})
    (site / "merpo_bad-1.0.dist-info" / "entry_points.txt").write_bytes(b"[merpo]\nx = \xff\xfe\n")
    registry.refresh()
    (bad,) = rows(distribution="merpo-bad")
    assert bad.status == "broken"
    assert "cannot be read" in bad.reason
    assert registry.names("alpha") == ["mine"]


def test_two_entry_points_of_one_module(install: Install) -> None:
    install("merpo-one", {"one_g": alpha()}, entry_points="[merpo]\na = one_g\nb = one_g\n")
    assert sorted(e.status for e in rows(distribution="merpo-one")) == ["broken", "ok"]
    assert registry.names("alpha") == ["mine"]


def test_a_plugin_that_prints_does_not_spoil_the_output(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("merpo-one", {"one_h": "print('hello')\n" + alpha()})
    assert registry.names("alpha") == ["mine"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err


def test_unknown_names_get_the_nearest_and_the_choices(install: Install) -> None:
    install("merpo-toys", {"toys_e": TOYS})
    install("merpo-bad", {"bad_e": "raise ImportError('gone')"})
    with pytest.raises(
        RecipeError, match=r"unknown alpha 'eve' \(did you mean 'even'\?\); installed: even, odd"
    ) as error:
        registry.get("alpha", "eve")
    assert "merpo-bad (broken)" in str(error.value)
    with pytest.raises(RecipeError, match=r"unknown kind 'alfa' \(did you mean 'alpha'\?\)"):
        registry.components("alfa")


def test_names_that_look_like_imports_are_only_names(install: Install) -> None:
    install("merpo-toys", {"toys_f": TOYS})
    for name in ("os:system", "toys_f.Even", "../even", "", "Even"):
        with pytest.raises(MerpoError, match="unknown alpha"):
            registry.get("alpha", name)


def test_the_built_in_plugins_are_entry_points_and_all_their_components_work(install: Install) -> None:
    root = Path(__file__).resolve().parents[2]
    group = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]["merpo"]
    assert sorted(group.values()) == sorted(path.parent.name for path in (root / "plugins").glob("*/__init__.py"))
    # under a name of its own, so that it holds from a checkout that is not installed too
    lines = "".join(f"{name} = {module}\n" for name, module in group.items())
    install("merpo-checkout", {}, entry_points=f"[merpo]\n{lines}")
    ours = rows(distribution="merpo-checkout")
    assert [entry.reason for entry in ours if entry.status != "ok"] == []
    assert {entry.kind for entry in ours} == set(KINDS)
    wanted = {
        "alpha": ["adaptive", "fixed", "relative"],
        "meta_learner": ["maml", "proximal", "reptile"],
        "regularizer": ["kl", "tv"],
    }
    for kind, names in wanted.items():
        assert set(names) <= set(registry.names(kind))


def test_schema_of_a_kind_offers_each_component(install: Install) -> None:
    install("merpo-toys", {"toys_g": TOYS})
    from merpo.components.schema import kind_schema

    names_only, even, odd = kind_schema(AlphaScheduler)["oneOf"]
    assert names_only == {"type": "string", "enum": ["even", "odd"]}
    assert even["properties"]["component"]["const"] == "even"
    assert even["properties"]["initial"]["maximum"] == 1
    assert odd["required"] == ["component"]
