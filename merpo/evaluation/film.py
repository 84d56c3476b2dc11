"""Video of an episode: rendered frames of an environment, as H.264 in an mp4 file."""

from __future__ import annotations

import importlib.util
import io
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from merpo.components.gym_api import reset, step
from merpo.components.interfaces import TaskFamily
from merpo.errors import MerpoError
from merpo.lazy import np, torch
from merpo.support.stop import check
from merpo.types import Task

if TYPE_CHECKING:
    import gymnasium as gym

    from merpo.evaluation.evaluate import Actor

__all__ = ["Film", "film"]

MAX_FPS = 30  # frames of faster environments are skipped
DEFAULT_FPS = 20  # for environments without `render_fps`
ENCODER: Final = "libx264"


class Film(NamedTuple):
    """One episode in an mp4 file."""

    data: bytes
    frames: int
    fps: float
    steps: int
    episode_return: float


def film(family: TaskFamily, task: Task, act: Actor, seed: int) -> Film:
    """The video of one episode with reset seed `seed`; `act` receives observations [1, 1, O].

    Raises `MerpoError` if the package, the encoder or the environment's rendering is missing.
    """
    _require_encoder()
    try:
        return _film(family, task, act, seed)
    except MerpoError:
        raise
    except Exception as error:  # any exception of an environment that cannot render on this machine
        raise MerpoError(
            f"tasks/{family.name}: cannot be rendered on this machine ({type(error).__name__}: {error!s:.200})"
        ) from error


def _film(family: TaskFamily, task: Task, act: Actor, seed: int) -> Film:
    with closing(family.make(task)) as env:
        _enable_rendering(env, family)
        observation = reset(env, seed)
        fps = float(env.metadata.get("render_fps") or DEFAULT_FPS)
        every = max(1, round(fps / MAX_FPS))
        recorder = _Recorder(Fraction(fps / every).limit_denominator(1000))
        recorder.add(env.render())
        total, steps, done = 0.0, 0, False
        while not done:
            check()
            row = torch.as_tensor(np.asarray(observation), dtype=torch.float32).view(1, 1, -1)
            with torch.no_grad():
                action = act(row).cpu().numpy()[0, 0]
            observation, reward, terminated, truncated = step(env, action)
            total, steps, done = total + float(reward), steps + 1, bool(terminated or truncated)
            if done or steps % every == 0:
                recorder.add(env.render())
        return Film(recorder.finish(), recorder.frames, fps / every, steps, total)


def _enable_rendering(env: gym.Env[Any, Any], family: TaskFamily) -> None:
    """Set an environment's render mode to rgb_array, which `family.make` leaves unset."""
    if "rgb_array" not in (env.metadata.get("render_modes") or ()):
        raise MerpoError(f"tasks/{family.name}: its environments do not support render_mode 'rgb_array'")
    env.unwrapped.render_mode = "rgb_array"


def _require_encoder() -> None:
    if importlib.util.find_spec("av") is None:
        raise MerpoError("videos need PyAV, which is not installed; pip install 'merpo[video]'")
    import av

    if ENCODER not in av.codecs_available:
        raise MerpoError(f"videos need PyAV with the encoder {ENCODER}; the installed one has none; pip install -U av")


@final
class _Recorder:
    """Encoder of frames [H, W, 3] to an mp4 file in memory, so that no incomplete file is written to disk."""

    def __init__(self, fps: Fraction) -> None:
        import av

        self.frames = 0
        self._fps, self._file = fps, io.BytesIO()
        self._container = av.open(self._file, "w", format="mp4")
        self._stream = self._container.add_stream(ENCODER, rate=fps, options={"threads": "1"})
        self._stream.pix_fmt = "yuv420p"  # supported by all browsers

    def add(self, picture: Any) -> None:
        """Add a frame; odd sizes are cropped by one pixel, because the format has a colour per 2 × 2 pixels."""
        import av

        pixels = np.asarray(picture)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise MerpoError(f"render returned {pixels.dtype} {pixels.shape}, expected uint8 [H, W, 3]")
        height, width = (n // 2 * 2 for n in pixels.shape[:2])
        if self.frames == 0:
            self._stream.height, self._stream.width = height, width
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        frame.pts, frame.time_base = self.frames, 1 / self._fps
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def finish(self) -> bytes:
        """The file's content."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()
