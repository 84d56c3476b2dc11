"""Images of a point on the plane and its goal, drawn with NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["picture"]

HEIGHT, WIDTH, METRES = 240, 320, 3.2  # pixels, and the image's width in the plane
MIDDLE = (0.0, 0.5)
POINT = 0.04  # radius of the point
WHITE, GREY, GREEN, RED = (1.0, 1.0, 1.0), (0.8, 0.8, 0.8), (0.6, 0.85, 0.6), (0.8, 0.2, 0.1)


def picture(position: NDArray[np.float64], goal: NDArray[np.float64], radius: float) -> NDArray[np.uint8]:
    """An image of the unit half circle, the goal disc and the point [HEIGHT, WIDTH, 3]."""
    scale = METRES / WIDTH
    x = (np.arange(WIDTH) - WIDTH / 2) * scale + MIDDLE[0]
    y = (HEIGHT / 2 - np.arange(HEIGHT))[:, None] * scale + MIDDLE[1]
    image = np.ones((HEIGHT, WIDTH, 3)) * WHITE
    image[(np.abs(np.hypot(x, y) - 1.0) < 0.01) & (y >= 0)] = GREY
    image[np.hypot(x - goal[0], y - goal[1]) <= radius] = GREEN
    image[np.hypot(x - position[0], y - position[1]) <= POINT] = RED
    return (255 * image).astype(np.uint8)
