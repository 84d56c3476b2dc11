"""The bytes of a safetensors file in pieces, so that a file can be written without a second copy of its tensors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["tensor_bytes"]

# Names of PyTorch's types in the format, in the order of their tensors in a file.
TYPES = {
    "uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64", "float32": "F32", "uint32": "U32",
    "int32": "I32",
    "bfloat16": "BF16", "float16": "F16", "uint16": "U16", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
ALIGNMENT = 8  # bytes; the tensors begin at a multiple


def tensor_bytes(
    tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> Iterator[bytes | memoryview]:
    """Yield the same bytes as `safetensors.torch.save` gives at once: the header, then a piece for each tensor.

    The tensors may share memory, be strided, or lie on a device; only such a one is copied, when its turn comes.
    """
    order = list(TYPES)
    names = sorted(tensors, key=lambda name: (order.index(_type(tensors[name])), name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": TYPES[_type(tensor)], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in names:
        yield _content(tensors[name])


def _type(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _content(tensor: torch.Tensor) -> memoryview:
    """The tensor's numbers, a view of its memory where they lie there in order."""
    import torch

    numbers: memoryview = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return numbers
