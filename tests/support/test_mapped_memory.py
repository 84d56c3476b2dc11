"""Arrays in memory from the system."""

from __future__ import annotations

import numpy as np
import pytest

from merpo.support.mapped_memory import mapped_memory


@pytest.mark.parametrize("count", [0, 1, 100_000])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_it_is_an_array_of_zeros_that_can_be_written(count: int, kind: type) -> None:
    array = mapped_memory(count, kind)
    assert array.shape == (count,)
    assert array.dtype == kind
    assert not array.any()
    array[:] = np.arange(count)
    assert array.tolist() == list(range(count))
