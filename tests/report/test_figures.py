"""Pictures need no backend of the environment's, and labels are text whatever a recipe calls itself."""

from __future__ import annotations

import os
import subprocess
import sys

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


@given(text=st.text(st.sampled_from("ab$\\_^{}\x1b\x07\n"), max_size=8))
def test_a_label_is_drawn_as_it_is(text: str) -> None:
    figure = blank(6.0, 3.0)
    axis = grid_of(figure, 1, 1)[0][0]
    axis.set_yticks([0], [label_text(text)])
    assert png(figure).startswith(b"\x89PNG")
