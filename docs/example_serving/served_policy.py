"""An exported policy, without merpo: observations of the machine in, actions in the machine's units out."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime


class ServedPolicy:
    """The policy in an ONNX file of `merpo export`."""

    def __init__(self, path: str) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.metadata = self.session.get_modelmeta().custom_metadata_map
        self.observation_dim = self.session.get_inputs()[0].shape[1]
        if "action_in_units" not in self.metadata:
            raise ValueError(f"{path}: has no action_in_units: the run did not record the bounds of the data's actions")

    def about(self) -> dict[str, object]:
        """What goes in, what comes out, between which bounds, and for which task."""
        texts = {key: self.metadata[key] for key in ("observation", "action_in_units")}
        return texts | {key: json.loads(self.metadata[key]) for key in ("action_low", "action_high", "task")}

    def actions(self, observations: list[list[float]]) -> list[list[float]]:
        """The actions [B][A] at observations [B][O]; raises `ValueError` for other sizes, NaN and infinity."""
        try:
            with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite
                rows = np.asarray(observations, np.float32)
        except (TypeError, ValueError):
            raise ValueError("expected a list of observations, each a list of as many numbers") from None
        if rows.ndim != 2 or rows.shape[1] != self.observation_dim:
            raise ValueError(f"got observations of shape {rows.shape}, expected (rows, {self.observation_dim})")
        bad = np.argwhere(~np.isfinite(rows))
        if len(bad):
            row, column = bad[0]
            raise ValueError(f"observation {row}: number {column} is {rows[row, column]}, expected a finite number")
        (found,) = self.session.run(["action_in_units"], {"observation": rows})
        if not np.isfinite(found).all():
            raise ValueError("the policy has no action here")
        return found.tolist()
