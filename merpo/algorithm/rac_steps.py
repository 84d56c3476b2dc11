"""Execution of RAC steps: groups of tasks in threads on CPU, or one captured CUDA graph on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, final

from merpo.algorithm.rac import RAC, Anchors, TaskState, rac_step
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Draw, Streams
from merpo.nn.params import clone, concatenate, tree_map, view
from merpo.nn.workers import Workers, groups
from merpo.types import Params

__all__ = ["DrawBuffers", "FixedStep", "rac_steps"]


def rac_steps(
    rac: RAC,
    state: TaskState,
    data: TaskData,
    models: Params | None,
    anchors: Anchors | None,
    noise: Streams,
    steps: int,
    workers: Workers,
    improve: bool = True,
) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
    """`steps` calls of `rac_step`, each worker for a group of tasks; states of ρ and metrics are the last step's."""
    if state.buffer.rows.is_cuda:
        fixed = workers.once(
            ("rac step", improve), lambda: FixedStep(rac, state, data, models, anchors, noise, improve)
        )
        return fixed.run(state, data, models, anchors, noise, steps)

    def group(index: range) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
        part, part_models = view(state, index), view(models, index)
        part_anchors = None if anchors is None else Anchors(view(anchors.behavior, index), anchors.meta)
        rows, streams = data.select(index), noise.select(torch.tensor(index))
        for _ in range(steps):
            part, states, metrics = rac_step(rac, part, rows, part_models, part_anchors, streams, improve)
        return part, states, metrics

    done = workers.map(group, groups(data.n_tasks, data.n_tasks, workers.count))
    parts, states, metrics = zip(*done, strict=True)
    # networks, optimisers and buffer rows were updated in place through views; the rest is new
    duals = concatenate([part.duals for part in parts])
    written = torch.cat([part.buffer.written for part in parts])
    state = state._replace(duals=duals, buffer=state.buffer._replace(written=written))
    return state, torch.cat(states), concatenate(metrics)


@final
class DrawBuffers:
    """Buffers for the random draws of one step, in order; every step must make the same draws, as Algorithm 1's does.

    A CUDA graph reads from fixed addresses, and a generator on the CPU cannot be part of it. So the first step runs
    after `record`, which stores the draws it makes; before each further step `fill` draws all of them anew.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._draws: list[Draw] = []
        self._buffers: list[torch.Tensor] = []
        self._generators: Sequence[torch.Generator] | None = None  # while recording
        self._next = 0

    def record(self, generators: Sequence[torch.Generator]) -> None:
        """Record the draws of the next step, made from `generators`."""
        self._draws, self._buffers, self._generators = [], [], generators

    def fill(self, generators: Sequence[torch.Generator]) -> None:
        """Make all draws of the next step in advance: the same numbers, in the same order."""
        self._generators, self._next = None, 0
        for draw, buffer in zip(self._draws, self._buffers, strict=True):
            buffer.copy_(draw(generators))

    def rewind(self) -> None:
        """Reuse the present numbers, from the first."""
        self._generators, self._next = None, 0

    def next(self, draw: Draw) -> torch.Tensor:
        """The numbers of the next draw, in the same tensor each time; raises `IndexError` for one too many."""
        if self._generators is not None:
            self._draws.append(draw)
            self._buffers.append(draw(self._generators).to(self._device))
            return self._buffers[-1]
        self._next += 1
        return self._buffers[self._next - 1]


WARM_UPS = 3  # steps before the capture, in which libraries initialise themselves


class StepOutput(NamedTuple):
    """The outputs of a step besides the new state."""

    states: torch.Tensor  # of ρ, [T, B, O]
    metrics: dict[str, torch.Tensor]


@final
class FixedStep:
    """`rac_step` for any T tasks on static buffers; on a GPU it is captured as a CUDA graph.

    On a GPU a step is some hundreds of small kernels, each launched by the CPU; a captured step is one launch. If the
    capture fails (a component may read a number from the GPU), the step runs eagerly and a warning is logged. Every
    step must draw random numbers of the same count and shapes.
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
        self._draws = DrawBuffers(noise.device)
        generators = [torch.Generator() for _ in noise.generators]  # only for recording the draws
        self._noise = Streams(generators, noise.device, self._draws.next)
        self._draws.record(generators)
        self._output = self._step()
        self._graph = self._captured() if noise.device.type == "cuda" else None

    def run(
        self,
        state: TaskState,
        data: TaskData,
        models: Params | None,
        anchors: Anchors | None,
        noise: Streams,
        steps: int,
    ) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
        """`steps` steps from `state`, with the tasks' own noise. The result is valid until the next run."""
        _copy_into(self._state, state)
        _copy_into(self._models, models)
        _copy_into(self._anchors, anchors)
        self._data.starts[:], self._data.sizes[:] = data.starts, data.sizes  # type: ignore[index]
        for _ in range(steps):
            self._draws.fill(noise.generators)
            if self._graph is None:
                self._output = self._step()
            else:
                self._graph.replay()
        return self._state, self._output.states.clone(), clone(self._output.metrics)

    def _step(self) -> StepOutput:
        new, states, metrics = rac_step(
            self._rac, self._state, self._data, self._models, self._anchors, self._noise, self._improve
        )
        _copy_into(self._state, new)
        return StepOutput(states, metrics)

    def _captured(self) -> Any:
        """The step as a CUDA graph, or None if it cannot be captured."""
        graph, side_stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        try:
            side_stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side_stream):
                for _ in range(WARM_UPS):
                    self._draws.rewind()
                    self._step()
            torch.cuda.current_stream().wait_stream(side_stream)
            self._draws.rewind()
            with torch.cuda.graph(graph):
                self._output = self._step()
        except RuntimeError as error:
            logging.getLogger(__name__).warning(
                "the step cannot be captured as a CUDA graph and runs eagerly: %s", error
            )
            return None
        return graph


def _copied(tree: Any) -> Any:
    return None if tree is None else clone(tree)


def _copy_into(buffers: Any, tree: Any) -> None:
    """Copy `tree` into `buffers`, leaf by leaf; leaves that share memory (updated in place) are skipped."""
    if buffers is not None:
        tree_map(lambda a, b: a if a.data_ptr() == b.data_ptr() else a.copy_(b), buffers, tree)
