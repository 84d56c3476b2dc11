"""Names in ONNX files of policies: the graph's input and outputs, and the entry of the metadata that merpo reads."""

from __future__ import annotations

__all__ = ["ACTION", "FORMAT_VERSION", "IN_UNITS", "KEY", "OBSERVATION", "OLDEST", "OPSET", "newest_opset"]

OBSERVATION = "observation"  # [batch, O]
ACTION = "action"  # [batch, A], in [-1, 1]
IN_UNITS = "action_in_units"  # [batch, A], between the bounds of the data's actions
KEY = "merpo"  # of the metadata, with the header
FORMAT_VERSION = "2"  # since 2 a file carries a checksum

OPSET = 17  # default
OLDEST = 13  # in which axes and the bounds of slices are inputs, as the graphs have them


def newest_opset() -> int:
    """The newest opset that the installed package onnx knows."""
    import onnx

    return int(onnx.defs.onnx_opset_version())
