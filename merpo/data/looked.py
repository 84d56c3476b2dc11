"""What the values of a column that is not used may tell of episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Looked"]


class Looked(NamedTuple):
    """What the values of a column may tell of episodes."""

    truth: NDArray[np.bool_] | None  # of zeros and ones, if it has both and nothing else
    is_set: bool  # whether it has several values, and not all of them zero or empty
    restarts: bool  # whether it counts up, and starts again
    runs: str = ""  # what its runs of equal values seem to be
