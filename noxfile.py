"""Nox sessions: tests, lint and types by default, as in CI; slow, plugin, docs, bench and golden by name."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("-c", "constraints.txt")
# One thread is fastest for the tests' small networks.
ONE_THREAD = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}

# A worker per core, at most four; tests of a file run in the same worker, as they share module-scoped runs.
WORKERS = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")

PLUGIN_KINDS = ("alpha", "method", "regularizer", "tasks")  # the kinds that the session `plugin` scaffolds and tests


def install(session: nox.Session, *requirements: str) -> None:
    """Install requirements at the tested versions."""
    session.install(*CONSTRAINTS, *requirements)


def install_uncompiled(session: nox.Session, *requirements: str) -> None:
    """Install without compiling all bytecode, for sessions that import little of PyTorch."""
    session.install("--no-compile", *CONSTRAINTS, *requirements)


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite, with branch coverage of at least 90 %; a part of it by e.g. `nox -s tests -- -k critic`."""
    install(session, "-e", ".[bench,test,tensorboard]")
    chosen = session.posargs or [*WORKERS, "--cov", "--cov-report=term", "--durations=10"]
    session.run("pytest", *chosen, env=ONE_THREAD)


@nox.session(venv_backend="none")
def slow(session: nox.Session) -> None:
    """The slow tests, which take a minute or more each; runs in the environment of `tests`."""
    session.notify("tests", [*WORKERS, "-m", "slow", *session.posargs])


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff and the import contracts, without changing files; `nox -s lint -- --fix` applies Ruff's fixes."""
    install(session, "ruff", "import-linter")
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy on merpo/ and plugins/."""
    install_uncompiled(session, "-e", ".[types]")
    session.run("mypy", *session.posargs)


@nox.session
def plugin(session: nox.Session) -> None:
    """Tests, types and runs of the example and scaffolded plugins with merpo's wheel, in a bare environment."""
    with tempfile.TemporaryDirectory() as folder:  # outside of the repository, so that its files are not imported
        _plugins_in(session, Path(folder))


def _plugins_in(session: nox.Session, work: Path) -> None:
    wheels, packages = work / "wheels", work / "packages"
    leftovers = shutil.ignore_patterns("*.egg-info", "build", "__pycache__")
    shutil.copytree(Path("docs", "example_plugin"), packages / "example", ignore=leftovers)
    shutil.rmtree("build", ignore_errors=True)  # setuptools would include files deleted since the last build
    _wheel(session, wheels, Path.cwd())
    names = ("merpo-example", *(f"merpo-fresh-{kind}" for kind in PLUGIN_KINDS))
    session.run("python", "-m", "pip", "uninstall", "-q", "-y", "merpo", *names)  # left by an earlier session
    install_uncompiled(session, *map(str, wheels.glob("merpo-*.whl")), "pytest", "mypy")
    session.env.update({**ONE_THREAD, "MERPO_DATA": str(work / "data")})
    session.chdir(work)
    for kind in PLUGIN_KINDS:
        session.run("merpo", "new-plugin", f"merpo-fresh-{kind}", "--kind", kind, "--into", str(packages))
    folders = sorted(packages.iterdir())
    _wheel(session, wheels, *folders)
    modules = [name.replace("-", "_") for name in names]
    session.install("--no-deps", *(str(wheel) for module in modules for wheel in wheels.glob(f"{module}-*.whl")))
    session.run("merpo", "list-components")
    all_ok = "from merpo.components.registry import components as c; assert {e.status for e in c()} == {'ok'}, c()"
    session.run("python", "-c", all_ok)
    session.run("pytest", "-q", "--import-mode=importlib", *(str(folder / "tests") for folder in folders))
    for folder, module in zip(folders, modules, strict=True):
        session.chdir(folder)
        session.run("mypy", "--strict", f"--cache-dir={work / 'mypy'}", module)
    session.chdir(work)
    recipes = [str(packages / f"merpo-fresh-{kind}" / "recipe.toml") for kind in PLUGIN_KINDS]
    for recipe in recipes:
        session.run("merpo", "check", recipe)
        session.run("merpo", "run", recipe)
    example = ("--set", "method.alpha.component=halving", "--set", "method.regularizer.component=jeffreys")
    session.run("merpo", "run", recipes[0], *example)


def _wheel(session: nox.Session, into: Path, *projects: Path) -> None:
    """Build wheels without dependencies."""
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(into), *map(str, projects))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site in site/; every warning, such as a broken link, is an error."""
    install_uncompiled(session, "-e", ".[docs]")
    session.env["NO_MKDOCS_2_WARNING"] = "1"  # silences the theme's note on its successor
    session.run("mkdocs", *(session.posargs or ["build", "--strict"]))


@nox.session
def bench(session: nox.Session) -> None:
    """All timings under bench/, or one script (`nox -s bench -- sac_parity --seeds 3`), written to bench/results/.

    Scripts that train to convergence take hours and run only by name: `checkpoints`, `sac_parity` and `results`; so
    does `imports`, which compares with the code of a revision.
    """
    install(session, "-e", ".[bench]")
    name, *arguments = session.posargs or [""]
    scripts = [Path("bench", f"{name}.py")] if name else sorted(Path("bench").glob("[!_]*.py"))
    if not name:
        apart = {"checkpoints", "imports", "sac_parity", "results", "goals"}
        scripts = [script for script in scripts if script.stem not in apart]
        scripts.append(Path("bench", "goals.py"))  # summarises the results of the other scripts
    for script in scripts:
        session.run("python", str(script), *arguments)


@nox.session
def golden(session: nox.Session) -> None:
    """Rewrite the golden files; review the diff, as every changed number is a decision."""
    install(session, "-e", ".[test]")
    session.run("pytest", "tests/test_golden.py", *session.posargs, env={**ONE_THREAD, "MERPO_GOLDEN": "write"})
