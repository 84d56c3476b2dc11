"""The part of `report.html` with the videos, which are inside the page as its pictures are."""

from __future__ import annotations

import base64
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from merpo.report.summary import POLICIES
from merpo.support.format import number

if TYPE_CHECKING:
    from merpo.evaluation.videos import Video
    from merpo.report.report import Report

__all__ = ["videos_section"]


def videos_section(report: Report, folder: Path | None) -> str:
    """A row per task; nothing where none were asked for. `folder` is the run's, in which the files are."""
    videos = report.videos
    if not (videos.entries or videos.note):
        return ""
    parts = ["<h2>Videos</h2>"]
    if videos.entries:
        parts.append('<p class="muted">One episode of each policy, from the run\'s seed on.</p>')
    for task, group in groupby(videos.entries, key=lambda video: video.task):
        figures = "".join(_figure(video, folder) for video in group)
        parts.append(f'<div class="videos" aria-label="task {task}">{figures}</div>')
    if videos.note:
        parts.append(f'<p class="note">{escape(videos.note)}</p>')
    return "".join(parts)


def _figure(video: Video, folder: Path | None) -> str:
    label = POLICIES.get(video.policy, video.policy)
    caption = f"task {video.task}, {label}: return {number(video.episode_return)} in {video.steps} steps"
    return f"<figure>{_player(video, folder)}<figcaption>{escape(caption)}</figcaption></figure>"


def _player(video: Video, folder: Path | None) -> str:
    try:
        data = (folder / video.file).read_bytes() if folder is not None else b""
    except OSError:
        data = b""
    if not data:
        return f'<p class="note">{escape(video.file)} is missing</p>'
    text = base64.b64encode(data).decode()
    return f'<video controls loop muted playsinline preload="metadata" src="data:video/mp4;base64,{text}"></video>'
