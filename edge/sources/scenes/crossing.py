"""Draws deer and cars that cross the picture, each pass different, with exact boxes.

They train and test detectors of more than one class where there is no such footage. Outlines,
gaits, coats and sizes vary, but drawings do not replace photographs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.sources.scenes.figures import Colour, Sprite, ellipse, line, polygon, shade, sprite
from edge.vision.picture import Plane

PHASES = 6  # pictures of one stride, or of one turn of a wheel
INDIVIDUALS = 3  # figures of each lane; they pass in turn
GAIT_HZ = 1.2  # strides a second of a walking deer
FAR, NEAR = 0.35, 0.98  # rows of feet and wheels, in heights of the picture
COATS: tuple[Colour, ...] = ((128, 88, 56), (104, 80, 60), (150, 106, 70), (92, 70, 50))
PAINTS: tuple[Colour, ...] = (
    (170, 30, 30), (40, 70, 140), (205, 205, 205), (50, 52, 56), (190, 160, 60), (60, 110, 70),
)  # fmt: skip
GLASS, TYRE, HUB, CREAM, HOOF = (
    (50, 62, 74), (26, 26, 28), (150, 150, 155), (215, 200, 175), (40, 34, 30),
)  # fmt: skip

Image = npt.NDArray[np.uint8]
Paint = Callable[[Image, float, Colour], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of figure.

    height: range, in heights of the picture, at the near edge. aspect: width / height.
    """

    label: str
    paint: Paint
    colours: tuple[Colour, ...]
    height: tuple[float, float]
    aspect: float
    speed: float  # in heights of the figure a second


class Crosser:
    """One lane, along which figures of one kind pass one after another."""

    def __init__(
        self, random: np.random.Generator, kind: Kind, size: tuple[int, int], feet: float,
        quiet_s: float,
    ) -> None:  # fmt: skip
        """size: (width, height) of the picture. feet: 0..1, from the far to the near edge."""
        self.label = kind.label
        width, height = size
        self._feet_y = int((FAR + feet * (NEAR - FAR)) * height) // 2 * 2
        near = height * (0.45 + 0.55 * feet)  # a figure that is farther away is smaller
        usual_px = near * sum(kind.height) / 2
        self._speed = kind.speed * usual_px * random.uniform(0.7, 1.3) * random.choice((-1, 1))
        heights_px = near * random.uniform(*kind.height, INDIVIDUALS)
        mirrored = self._speed < 0
        self._sprites = [_individual(random, kind, height, mirrored) for height in heights_px]
        self._extents = [[phase.extent_xyxy() for phase in phases] for phases in self._sprites]
        self._margin = max(phases[0].covers[0].shape[1] for phases in self._sprites)
        self._path = width + 2 * self._margin
        self._delay_s = quiet_s + random.uniform(0, 3)

    def box_xyxy(self, time_s: float) -> tuple[int, int, int, int]:
        """Pixels of the figure itself, also beyond the picture."""
        number, phase, x, y = self._state(time_s)
        x0, y0, x1, y1 = self._extents[number][phase]
        return x + x0, y + y0, x + x1, y + y1

    def draw(self, planes: tuple[Plane, Plane, Plane], time_s: float) -> None:
        """Draws the figure onto an I420 picture."""
        number, phase, x, y = self._state(time_s)
        self._sprites[number][phase].draw(planes, x, y)

    def _state(self, time_s: float) -> tuple[int, int, int, int]:
        """Individual, phase and corner (x, y); even, as chroma has half the columns."""
        walked = max(0.0, time_s - self._delay_s) * abs(self._speed)
        passed, along = divmod(walked, self._path)
        x = along - self._margin if self._speed > 0 else self._path - self._margin - along
        number = int(passed) % INDIVIDUALS
        phase = int(time_s * GAIT_HZ * PHASES) % PHASES
        height = self._sprites[number][phase].covers[0].shape[0]
        return number, phase, int(x) // 2 * 2, self._feet_y - height


def crossers(
    random: np.random.Generator, size: tuple[int, int], count: int, quiet_s: float
) -> list[Crosser]:
    """Kinds in turn, each on a lane of its own, the farthest first, so that near ones hide it."""
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    feet = np.sort(random.uniform(0, 1, count))
    return [
        Crosser(random, kind, size, float(at), quiet_s)
        for kind, at in zip(random.permutation(np.array(kinds)), feet, strict=True)
    ]


def traffic(
    random: np.random.Generator, size: tuple[int, int], count: int, quiet_s: float
) -> list[Crosser]:
    """Cars alone, as `crossers`."""
    (car,) = (kind for kind in KINDS if kind.label == "car")
    feet = np.sort(random.uniform(0, 1, count))
    return [Crosser(random, car, size, float(at), quiet_s) for at in feet]


def _individual(
    random: np.random.Generator, kind: Kind, height_px: float, mirrored: bool
) -> tuple[Sprite, ...]:
    """One figure in all its phases."""
    height = max(16, int(height_px) // 4 * 4)
    width = int(height * kind.aspect) // 4 * 4
    tint = random.uniform(0.75, 1.2)
    colour = shade(kind.colours[int(random.integers(len(kind.colours)))], tint)
    coarse = random.normal(1, 0.1, (max(2, height // 8), max(2, width // 8)))
    fine = random.normal(0, 0.04, (height, width))
    texture = np.asarray(cv2.resize(coarse, (width, height)) + fine, np.float32)

    def painted(phase: int) -> Callable[[Image], None]:
        return lambda image: kind.paint(image, 2 * math.pi * phase / PHASES, colour)

    return tuple(sprite((width, height), painted(n), texture, mirrored) for n in range(PHASES))


def _paint_deer(image: Image, phase: float, coat: Colour) -> None:
    """Heading right; measures are shares of its height, antlers included."""
    dark, pale = shade(coat, 0.7), shade(coat, 1.25)
    for at, lag, colour in ((-0.27, 0.0, dark), (0.2, 1.6, dark), (-0.33, 3.1, coat),
                            (0.14, 4.7, coat)):  # fmt: skip
        swing = 0.09 * math.sin(phase + lag)
        line(image, (at, 0.58), (at + 0.4 * swing, 0.78), 0.06, colour)
        line(image, (at + 0.4 * swing, 0.78), (at + swing, 0.965), 0.035, colour)
        line(image, (at + swing, 0.965), (at + swing + 0.02, 0.975), 0.03, HOOF)
    ellipse(image, (-0.08, 0.52), (0.35, 0.14), coat)
    ellipse(image, (-0.06, 0.6), (0.26, 0.06), pale)
    ellipse(image, (-0.4, 0.5), (0.05, 0.07), CREAM)
    polygon(image, [(0.12, 0.42), (0.33, 0.17), (0.43, 0.27), (0.26, 0.6)], coat)
    ellipse(image, (0.42, 0.24), (0.1, 0.05), coat)
    ellipse(image, (0.5, 0.26), (0.03, 0.025), HOOF)
    ellipse(image, (0.31, 0.17), (0.06, 0.022), pale)
    for lean in (-0.05, 0.04):
        line(image, (0.37, 0.2), (0.33 + lean, 0.04), 0.022, HOOF)
        line(image, (0.35 + lean / 2, 0.12), (0.44 + lean, 0.05), 0.018, HOOF)


def _paint_car(image: Image, phase: float, paint: Colour) -> None:
    """Heading right; measures are shares of its height."""
    dark, pale = shade(paint, 0.7), shade(paint, 1.2)
    polygon(image, [(-0.62, 0.46), (-0.45, 0.03), (0.28, 0.03), (0.62, 0.46)], paint)
    polygon(image, [(-0.53, 0.42), (-0.4, 0.1), (-0.1, 0.1), (-0.1, 0.42)], GLASS)
    polygon(image, [(-0.04, 0.42), (-0.04, 0.1), (0.23, 0.1), (0.5, 0.42)], GLASS)
    polygon(image, [(-1.12, 0.46), (0.9, 0.44), (1.12, 0.56), (1.12, 0.82), (-1.12, 0.82)], paint)
    polygon(image, [(-1.12, 0.7), (1.12, 0.7), (1.12, 0.84), (-1.12, 0.84)], dark)
    line(image, (-1.08, 0.5), (0.92, 0.49), 0.03, pale)
    ellipse(image, (1.07, 0.6), (0.05, 0.045), CREAM)
    ellipse(image, (-1.09, 0.58), (0.03, 0.06), (150, 30, 30))
    for at in (-0.68, 0.68):
        ellipse(image, (at, 0.79), (0.2, 0.2), TYRE)
        ellipse(image, (at, 0.79), (0.11, 0.11), HUB)
        across = 0.1 * math.cos(2 * phase), 0.1 * math.sin(2 * phase)
        line(image, (at - across[0], 0.79 - across[1]), (at + across[0], 0.79 + across[1]),
             0.04, TYRE)  # fmt: skip


KINDS = (
    Kind("deer", _paint_deer, COATS, (0.22, 0.34), 1.24, 0.9),
    Kind("car", _paint_car, PAINTS, (0.16, 0.24), 2.4, 1.6),
)
