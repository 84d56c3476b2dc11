"""merpo.nn.scale: the divisor follows the scale of a column."""

from __future__ import annotations

import pytest
import torch

from merpo.nn.scale import divisor


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e5])
def test_the_divisor_scales_with_the_column(size: float) -> None:
    std, largest = torch.tensor([0.5, 1e-4, 0.0, 0.0]), torch.tensor([2.0, 5.0, 5.0, 0.0])
    found = divisor(size * std, size * largest)
    torch.testing.assert_close(found[:3], size * torch.tensor([0.5, 0.05, 5.0]))
    assert found[3] == 1.0


def test_a_nearly_constant_column_does_not_explode() -> None:
    """5 ± 1e-4 in training, 5.1 elsewhere: two standard deviations, not a thousand."""
    assert float(0.1 / divisor(torch.tensor(1e-4), torch.tensor(5.0))) == pytest.approx(2.0, rel=1e-3)
