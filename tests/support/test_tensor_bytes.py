"""merpo.support.tensor_bytes: the pieces are the file that safetensors itself writes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from merpo.support.tensor_bytes import TYPES, tensor_bytes

NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
DTYPES = st.sampled_from([getattr(torch, name) for name in TYPES])
SHAPES = st.lists(st.integers(0, 3), max_size=3)


@given(
    st.dictionaries(NAMES.filter(lambda name: name != "__metadata__"), st.tuples(DTYPES, SHAPES), max_size=6),
    st.one_of(st.none(), st.dictionaries(NAMES, NAMES, min_size=1, max_size=1)),  # several change their order
)
def test_the_pieces_are_safetensors_own_bytes(
    kinds: dict[str, tuple[torch.dtype, list[int]]], metadata: dict[str, str] | None
) -> None:
    tensors = {name: torch.arange(math.prod(shape)).reshape(shape).to(dtype) for name, (dtype, shape) in kinds.items()}
    assert b"".join(tensor_bytes(tensors, metadata)) == save(tensors, metadata)


def test_views_are_written_as_what_they_show() -> None:
    base = torch.arange(6.0).view(2, 3)
    tensors = {"all": base, "row": base[1], "turned": base.T, "grad": base.clone().requires_grad_()}
    made = load(b"".join(tensor_bytes(tensors)))
    assert made["turned"].equal(base.T)
    assert made["row"].equal(base[1])
    assert made["all"].equal(base)


def test_a_tensor_is_not_copied() -> None:
    tensor = torch.zeros(1000)
    (_, _, content) = tensor_bytes({"x": tensor})
    tensor += 1
    assert bytes(content) == torch.ones(1000).numpy().tobytes()


def test_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="complex128"):
        list(tensor_bytes({"x": torch.zeros(1, dtype=torch.complex128)}))
