"""The videos of a run: one episode per task and policy in `videos/`, with a list of their sources."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from merpo.components.component import dump_component
from merpo.components.interfaces import TaskFamily
from merpo.errors import ArtifactError, MerpoError, PluginError, StoppedError
from merpo.evaluation.film import film
from merpo.support.files import atomic_write_bytes, atomic_write_text, fingerprint, plain
from merpo.support.paths import inside
from merpo.support.read import FileKind, read_regular
from merpo.types import Params, Task

if TYPE_CHECKING:
    from merpo.components.context import Log
    from merpo.evaluation.evaluate import Actor

__all__ = ["FOLDER", "Shot", "Video", "Videos", "film_shots", "params_digest", "recorded"]

FOLDER, LIST = "videos", "videos.json"
LARGEST = 256 << 20  # bytes of a video that a page embeds; one has some hundred thousand
NAME = r"[a-z0-9][a-z0-9_.-]{0,150}\.mp4"


class Video(BaseModel):
    """The index entry of a video."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    task: int
    policy: str  # a key of the report's policies
    file: str = Field(pattern=rf"^{FOLDER}/{NAME}$")  # within the run's folder
    frames: int
    fps: float
    steps: int
    episode_return: float
    sha256: str
    key: str  # fingerprint of the environment, the policy's parameters, the seed, and the kind of actions


class Videos(BaseModel):
    """The videos of a run; `note` explains why some are missing."""

    model_config = ConfigDict(frozen=True)

    entries: list[Video] = []
    note: str = ""


class Shot(NamedTuple):
    """A requested video."""

    task_index: int
    task: Task
    policy: str
    actor: Callable[[], Actor]
    identity: Mapping[str, object]  # digest of the policy, and the kind of actions


def film_shots(folder: Path, family: TaskFamily, shots: Sequence[Shot], seed: int, log: Log) -> Videos:
    """Record the requested videos, and reuse those of the same policies that exist in the run's `folder`.

    The index is written after every video, so that an interrupted call can be resumed. Videos that cannot be recorded
    are skipped, and the first reason is in the note.
    """
    known = {(video.task, video.policy): video for video in _read(folder).entries}
    made: list[Video] = []
    note = ""
    for shot in shots:
        key = _key(family, shot, seed)
        video = known.get((shot.task_index, shot.policy))
        if video is None or video.key != key or not recorded(folder, video):
            try:
                video = _make(folder, family, shot, seed, key)
            except StoppedError:
                raise
            except MerpoError as error:
                note = note or str(error)
                continue
            log(FOLDER, len(made) + 1, len(shots), {"return": video.episode_return})
        made.append(video)
        known[shot.task_index, shot.policy] = video
        _write(folder, Videos(entries=list(known.values())))
    return Videos(entries=made, note=note)


def params_digest(params: Params) -> str:
    """SHA-256 of the names and values of parameters."""
    digest = hashlib.sha256()
    for name, value in sorted(params.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _make(folder: Path, family: TaskFamily, shot: Shot, seed: int, key: str) -> Video:
    made = film(family, shot.task, shot.actor(), seed)
    name = f"task-{shot.task_index:03d}.{shot.policy}.mp4"
    what = "the file of a reference policy"
    path = inside(folder, FOLDER, name, what=what, error=PluginError, pattern=rf"{FOLDER}|{NAME}")
    atomic_write_bytes(path, made.data)
    return Video(
        task=shot.task_index,
        policy=shot.policy,
        file=f"{FOLDER}/{name}",
        sha256=hashlib.sha256(made.data).hexdigest(),
        key=key,
        **{name: getattr(made, name) for name in ("frames", "fps", "steps", "episode_return")},
    )


def _key(family: TaskFamily, shot: Shot, seed: int) -> str:
    origin = {"tasks": dump_component(family), "task": shot.task, "seed": seed, **shot.identity}
    return fingerprint(plain(origin))


def recorded(folder: Path, video: Video) -> bytes:
    """The content of a video's file in the run's `folder`; empty unless it is the file that was recorded.

    Whatever pages embed is read here: a link is not followed, and another content is not taken.
    """
    try:
        path = inside(folder, *video.file.split("/"))
        data = b"" if path.is_symlink() or path.parent.is_symlink() else read_regular(path, LARGEST)
    except (OSError, MerpoError):
        return b""
    return data if hashlib.sha256(data).hexdigest() == video.sha256 else b""


def _read(folder: Path) -> Videos:
    """The index; empty, so that all videos are recorded anew, if it is missing or damaged."""
    try:
        return FileKind("the list of a run's videos").read_model(folder / FOLDER / LIST, Videos)
    except ArtifactError:
        return Videos()


def _write(folder: Path, videos: Videos) -> None:
    atomic_write_text(folder / FOLDER / LIST, videos.model_dump_json(indent=1) + "\n")
