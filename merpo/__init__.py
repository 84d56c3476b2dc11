"""merpo: model-based offline meta-reinforcement learning with regularization, from plugins and recipes."""

from __future__ import annotations

import lazy_loader

# The public names are listed in `__init__.pyi`, which type checkers read, too.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
