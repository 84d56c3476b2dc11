"""How RAC's steps are carried out: groups of tasks in threads, or one recorded step on a GPU."""

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

__all__ = ["Ahead", "FixedStep", "rac_steps"]


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
    """`steps` times `rac_step`, each worker for a group of the tasks; states of ρ and metrics are the last step's."""
    if state.buffer.rows.is_cuda:
        fixed = workers.once(
            ("rac step", improve), lambda: FixedStep(rac, state, data, models, anchors, noise, improve)
        )
        return fixed.run(state, data, models, anchors, noise, steps)

    def group(index: range) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
        part, picked = view(state, index), view(models, index)
        own_anchors = None if anchors is None else Anchors(view(anchors.behavior, index), anchors.meta)
        rows, own = data.select(index), noise.select(torch.tensor(index))
        for _ in range(steps):
            part, states, metrics = rac_step(rac, part, rows, picked, own_anchors, own, improve)
        return part, states, metrics

    done = workers.map(group, groups(data.n_tasks, data.n_tasks, workers.count))
    parts, states, metrics = zip(*done, strict=True)
    # the networks and the ring were changed in place, slice by slice; the rest is new
    duals = concatenate([part.duals for part in parts])
    written = torch.cat([part.buffer.written for part in parts])
    state = state._replace(duals=duals, buffer=state.buffer._replace(written=written))
    return state, torch.cat(states), concatenate(metrics)


@final
class Ahead:
    """All draws of a step, in order; a step must ask for the same ones each time, as Algorithm 1's does.

    What a CUDA graph has recorded reads from where it read when it was recorded, and a generator on the CPU cannot be
    part of it. So a step is done once with `learn`, which notes what it asks for; from then on `fill` draws all of it.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._draws: list[Draw] = []
        self._held: list[torch.Tensor] = []
        self._generators: Sequence[torch.Generator] | None = None  # while it learns
        self._next = 0

    def learn(self, generators: Sequence[torch.Generator]) -> None:
        """Note from now on what is asked for, and draw it from `generators`."""
        self._draws, self._held, self._generators = [], [], generators

    def fill(self, generators: Sequence[torch.Generator]) -> None:
        """Draw all that the next step will ask for: the same numbers, in the same order, as it would."""
        self._generators, self._next = None, 0
        for draw, held in zip(self._draws, self._held, strict=True):
            held.copy_(draw(generators))

    def again(self) -> None:
        """The numbers that are there once more, from the first."""
        self._generators, self._next = None, 0

    def next(self, draw: Draw) -> torch.Tensor:
        """What was drawn for this request, in the same tensor each time; raises `IndexError` for one too many."""
        if self._generators is not None:
            self._draws.append(draw)
            self._held.append(draw(self._generators).to(self._device))
            return self._held[-1]
        self._next += 1
        return self._held[self._next - 1]


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
