"""A step of Algorithm 1 on tensors that stay where they are: a CUDA graph can record it once, and do it again."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, final

from merpo.algorithm.noise_ahead import Ahead
from merpo.algorithm.rac import RAC, Anchors, TaskState, rac_step
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import clone, tree_map
from merpo.types import Params

__all__ = ["FixedStep"]

WARM_UPS = 3  # steps before a recording, in which libraries set themselves up


class Found(NamedTuple):
    """What a step gives besides the new state."""

    states: torch.Tensor  # of ρ, [T, B, O]
    metrics: dict[str, torch.Tensor]


@final
class FixedStep:
    """`rac_step` for T tasks, whichever they are, with room for all that it reads and writes.

    On a GPU a step is some hundreds of small kernels, each of which the CPU must start; a recorded step is one start.
    Where it cannot be recorded (a component may ask the GPU for a number), it is done as it stands, and a warning says
    so. Every step must draw the same random numbers, in number and shape.
    """

    def __init__(
        self,
        rac: RAC,
        state: TaskState,
        data: TaskData,
        models: Params | None,
        anchors: Anchors | None,
        noise: Streams,
        improve: bool = True,
    ) -> None:
        self._rac, self._improve = rac, improve
        self._state, self._models, self._anchors = clone(state), _copied(models), _copied(anchors)
        self._data = data._replace(starts=list(data.starts), sizes=list(data.sizes))
        self._ahead = Ahead(noise.device)
        own = [torch.Generator() for _ in noise.generators]  # nobody's numbers
        self._noise = Streams(own, noise.device, self._ahead.next)
        self._ahead.learn(own)
        self._found = self._step()
        self._graph = self._recorded() if noise.device.type == "cuda" else None

    def run(
        self,
        state: TaskState,
        data: TaskData,
        models: Params | None,
        anchors: Anchors | None,
        noise: Streams,
        steps: int,
    ) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
        """`steps` steps from `state`, with the tasks' own noise. The new state is this object's, until the next run."""
        _fill(self._state, state)
        _fill(self._models, models)
        _fill(self._anchors, anchors)
        self._data.starts[:], self._data.sizes[:] = data.starts, data.sizes  # type: ignore[index]
        for _ in range(steps):
            self._ahead.fill(noise.generators)
            if self._graph is None:
                self._found = self._step()
            else:
                self._graph.replay()
        return self._state, self._found.states.clone(), clone(self._found.metrics)

    def _step(self) -> Found:
        new, states, metrics = rac_step(
            self._rac, self._state, self._data, self._models, self._anchors, self._noise, self._improve
        )
        _fill(self._state, new)
        return Found(states, metrics)

    def _recorded(self) -> Any:
        """The step as a CUDA graph, or None where it cannot be one."""
        graph, aside = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        try:
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    self._ahead.again()
                    self._step()
            torch.cuda.current_stream().wait_stream(aside)
            self._ahead.again()
            with torch.cuda.graph(graph):
                self._found = self._step()
        except RuntimeError as error:
            logging.getLogger(__name__).warning("the step is not recorded as a CUDA graph: %s", error)
            return None
        return graph


def _copied(tree: Any) -> Any:
    return None if tree is None else clone(tree)


def _fill(room: Any, tree: Any) -> None:
    """The numbers of `tree` into `room`, but for those that are there already, as a step works in place."""
    if room is not None:
        tree_map(lambda a, b: a if a.data_ptr() == b.data_ptr() else a.copy_(b), room, tree)
