"""Pictures need no backend of the environment's, and labels are text whatever a recipe calls itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.report.figures.style import blank, grid_of, label_text, png

KERNEL = "module://matplotlib_inline.backend_inline"  # what a notebook's kernel exports to its commands
CODE = """
import os, sys
from merpo.report.figures.style import blank, png
assert png(blank(1, 1)).startswith(b"\\x89PNG")
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams._get("backend"))
"""


@pytest.mark.parametrize(("backend", "kept"), [(KERNEL, False), ("nonsense", False), ("TkAgg", True), ("svg", True)])
def test_pictures_are_drawn_whatever_backend_is_chosen(backend: str, kept: bool) -> None:
    environment = {**os.environ, "MPLBACKEND": backend}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    named, chosen = done.stdout.split(maxsplit=1)
    assert named == backend
    assert (chosen.strip() == backend) == kept


STYLED = """
from pathlib import Path
import sys
from merpo.report.figures.style import axis_title, blank, grid_of, own_style, png
with own_style():
    figure = blank(4, 3)
    axis_title(grid_of(figure, 1, 1)[0][0], "a title", x="steps")
    Path(sys.argv[1]).write_bytes(png(figure))
import matplotlib
print(matplotlib.rcParams["text.usetex"])
"""


def test_pictures_are_the_same_in_whatever_style_the_user_draws(tmp_path: Path) -> None:
    styles = {"none": "", "paper": "backend: module://none\ntext.usetex: True\nsavefig.bbox: tight\nfont.size: 30\n"}
    for name, text in styles.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "matplotlibrc").write_text(text)
        environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path / name)}
        command = [sys.executable, "-c", STYLED, str(tmp_path / f"{name}.png")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(name == "paper"), "afterwards the user's style is that of before"
    assert (tmp_path / "none.png").read_bytes() == (tmp_path / "paper.png").read_bytes()


@given(text=st.text(st.sampled_from("ab$\\_^{}\x1b\x07\n"), max_size=8))
def test_a_label_is_drawn_as_it_is(text: str) -> None:
    figure = blank(6.0, 3.0)
    axis = grid_of(figure, 1, 1)[0][0]
    axis.set_yticks([0], [label_text(text)])
    assert png(figure).startswith(b"\x89PNG")
