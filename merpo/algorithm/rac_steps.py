"""Algorithm 1 for several steps: tasks in groups, each worker's its own, or on a GPU as one recorded step."""

from __future__ import annotations

from merpo.algorithm.fixed_step import FixedStep
from merpo.algorithm.rac import RAC, Anchors, TaskState, rac_step
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import concatenate, piece
from merpo.nn.workers import Workers, groups
from merpo.types import Params

__all__ = ["rac_steps"]


def rac_steps(
    rac: RAC,
    state: TaskState,
    data: TaskData,
    models: Params | None,
    anchors: Anchors | None,
    noise: Streams,
    steps: int,
    share: Workers,
    improve: bool = True,
) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
    """`steps` times `rac_step`, each worker for a group of the tasks; states of ρ and metrics are the last step's."""
    if state.buffer.rows.is_cuda:
        fixed = share.keep(("rac step", improve), lambda: FixedStep(rac, state, data, models, anchors, noise, improve))
        return fixed.run(state, data, models, anchors, noise, steps)

    def group(index: range) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
        part, picked = piece(state, index), piece(models, index)
        own_anchors = None if anchors is None else Anchors(piece(anchors.behavior, index), anchors.meta)
        rows, own = data.select(index), noise.select(torch.tensor(index))
        for _ in range(steps):
            part, states, metrics = rac_step(rac, part, rows, picked, own_anchors, own, improve)
        return part, states, metrics

    done = share.map(group, groups(data.n_tasks, data.n_tasks, share.count))
    parts, states, metrics = zip(*done, strict=True)
    # the networks and the ring were changed in place, slice by slice; the rest is new
    duals = concatenate([part.duals for part in parts])
    written = torch.cat([part.buffer.written for part in parts])
    state = state._replace(duals=duals, buffer=state.buffer._replace(written=written))
    return state, torch.cat(states), concatenate(metrics)
