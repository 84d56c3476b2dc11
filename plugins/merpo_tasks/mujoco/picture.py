"""Images of MuJoCo bodies made of capsules and spheres, drawn with NumPy: no display or OpenGL is needed."""

from __future__ import annotations

import functools
import math

import mujoco
import numpy as np
from numpy.typing import NDArray

__all__ = ["picture"]

Array = NDArray[np.float64]

HEIGHT, WIDTH, METRES = 240, 320, 3.2  # pixels, and the image's width in metres
AZIMUTH, ELEVATION = 0.3, 0.25  # radians: from the side, slightly from above
GROUND = np.array([[0.55, 0.62, 0.66], [0.72, 0.78, 0.82]])  # colours of a checkerboard with squares of 1 m
CAPSULE, SPHERE = int(mujoco.mjtGeom.mjGEOM_CAPSULE), int(mujoco.mjtGeom.mjGEOM_SPHERE)


def picture(model: mujoco.MjModel, data: mujoco.MjData) -> NDArray[np.uint8]:
    """An image centred on the first body, in parallel projection [HEIGHT, WIDTH, 3]."""
    right, up, away = _axes()
    middle = data.xpos[1]
    u, v = _plane()
    image = _ground(middle, u, v)
    shown = [i for i in range(model.ngeom) if model.geom_type[i] in (CAPSULE, SPHERE)]
    for i in sorted(shown, key=lambda i: -float(data.geom_xpos[i] @ away)):  # nearest last
        radius = float(model.geom_size[i, 0])
        half = float(model.geom_size[i, 1]) if model.geom_type[i] == CAPSULE else 0.0
        place, axis = data.geom_xpos[i] - middle, half * data.geom_xmat[i].reshape(3, 3)[:, 2]
        ends = [np.array([end @ right, end @ up]) for end in (place - axis, place + axis)]
        near = _around(ends[0], ends[1], radius)  # only the pixels around the limb
        distance = _to_segment(np.stack(np.broadcast_arrays(u[:, near[1]], v[near[0]]), -1), *ends) / radius
        inside = distance <= 1
        image[near][inside] = model.geom_rgba[i, :3] * (1 - 0.5 * np.square(distance[inside]))[:, None]
    return (255 * image.clip(0, 1)).astype(np.uint8)


@functools.cache
def _plane() -> tuple[Array, Array]:
    """Coordinates of the pixels in the image plane, in metres from its centre: right [1, W] and up [H, 1]."""
    x, y = np.arange(WIDTH, dtype=np.float64), np.arange(HEIGHT, dtype=np.float64)
    scale = METRES / WIDTH
    return ((x - WIDTH / 2) * scale)[None], ((HEIGHT / 2 - y) * scale)[:, None]


def _around(start: Array, end: Array, radius: float) -> tuple[slice, slice]:
    """Slices of rows and columns around all pixels within `radius` of a segment, with a small margin."""
    scale = METRES / WIDTH
    low, high = (np.minimum(start, end) - radius) / scale, (np.maximum(start, end) + radius) / scale
    left, right = (int(x + WIDTH / 2) for x in (low[0] - 1, high[0] + 2))
    top, bottom = (int(HEIGHT / 2 - y) for y in (high[1] + 1, low[1] - 2))
    return slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))


def _axes() -> tuple[Array, Array, Array]:
    """Unit vectors of the camera: right, up, and the viewing direction."""
    ca, sa, ce, se = math.cos(AZIMUTH), math.sin(AZIMUTH), math.cos(ELEVATION), math.sin(ELEVATION)
    return np.array([ca, sa, 0.0]), np.array([-sa * se, ca * se, ce]), np.array([-sa * ce, ca * ce, -se])


def _ground(middle: Array, u: Array, v: Array) -> Array:
    """Colours [H, W, 3] of the floor z = 0 at pixels with coordinates u [1, W] (right) and v [H, 1] (up)."""
    right, up, away = _axes()
    depth = -(middle[2] + v * up[2]) / away[2]  # along the viewing direction; `right` is horizontal
    x, y = (middle[k] + u * right[k] + v * up[k] + depth * away[k] for k in (0, 1))
    colours: Array = GROUND[(np.floor(x) + np.floor(y)).astype(int) & 1]
    return colours


def _to_segment(points: Array, start: Array, end: Array) -> Array:
    """Distances of points [..., 2] from a segment."""
    along = end - start
    length = max(float(along @ along), 1e-12)
    fraction = (((points - start) @ along) / length).clip(0, 1)
    distances: Array = np.linalg.norm(points - start - fraction[..., None] * along, axis=-1)
    return distances
