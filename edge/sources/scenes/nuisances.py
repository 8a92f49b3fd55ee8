"""Draws what moves and is nothing to be detected: snow, headlights, a shadow.

Each is a function of time alone, from random places that are drawn once.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.picture import Plane

FLAKES, FLAKE_LUMA = 40, 235
FLAKE_RADIUS = (0.004, 0.014)  # in widths of the picture: from far to near
FLAKE_SPEED = 40.0  # radii a second: near flakes are larger and faster
HEADLIGHTS_GAIN, HEADLIGHTS_EVERY_S, HEADLIGHTS_S = 1.8, 4.0, 2.5
SHADOW_GAIN, SHADOW_EVERY_S = 0.6, 8.0

Nuisance = Callable[[Plane, float], Plane]


def nuisance(scene: str, random: np.random.Generator) -> Nuisance | None:
    """Draws the scene's nuisance on luma at a time in seconds; None if it has none."""
    match scene:
        case "snow":
            return _snow(random)
        case "headlights":
            return _headlights
        case "shadow":
            return _shadow
        case _:
            return None


def _snow(random: np.random.Generator) -> Nuisance:
    starts = random.uniform(0, 1, (FLAKES, 2))
    radii = random.uniform(*FLAKE_RADIUS, FLAKES)
    drifts = random.uniform(-0.4, 0.4, FLAKES)  # shares of the fall

    def draw(luma: Plane, time_s: float) -> Plane:
        height, width = luma.shape
        for (left, top), radius_share, drift in zip(starts, radii, drifts, strict=True):
            radius = radius_share * width
            fallen = FLAKE_SPEED * radius * time_s
            x = (left * width + drift * fallen) % width
            y = (top * height + fallen) % (height + 2 * radius) - radius
            centre = round(x), round(y)
            cv2.circle(luma, centre, max(1, round(radius)), (FLAKE_LUMA,), -1, cv2.LINE_AA)
        return luma

    return draw


def _headlights(luma: Plane, time_s: float) -> Plane:
    """A pool of light that a car outside the picture throws across the ground."""
    along = time_s % HEADLIGHTS_EVERY_S / HEADLIGHTS_S
    return _lit(luma, (along * 1.4 - 0.2, 0.7), (0.12, 0.08), HEADLIGHTS_GAIN)


def _shadow(luma: Plane, time_s: float) -> Plane:
    """The shadow of a small cloud or a branch."""
    along = time_s % SHADOW_EVERY_S / SHADOW_EVERY_S
    return _lit(luma, (along * 1.4 - 0.2, 0.55), (0.1, 0.12), SHADOW_GAIN)


def _lit(
    luma: Plane, centre: tuple[float, float], radii: tuple[float, float], gain: float
) -> Plane:
    """Multiplies the light in a soft ellipse; measures are shares of the picture."""
    height, width = luma.shape
    x = (np.arange(width, dtype=np.float32) / width - centre[0]) / radii[0]
    y = (np.arange(height, dtype=np.float32) / height - centre[1]) / radii[1]
    inside: npt.NDArray[np.float32] = np.exp(-((x[None, :] ** 2 + y[:, None] ** 2) ** 2))
    return np.clip(luma * (1 + (gain - 1) * inside), 0, 255).astype(np.uint8)
