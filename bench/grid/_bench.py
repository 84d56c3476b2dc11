"""Importing this makes the modules of bench/ importable from the scripts of bench/grid/."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
