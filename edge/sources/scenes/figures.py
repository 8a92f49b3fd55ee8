"""Draws people, similar enough to real ones for a person detector to detect them.

A scene with them tests everything from exposure to capture without a camera or footage. The model
detects them best about 70 px high and on calm ground, so scenes draw them that way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.picture import Plane

Colour = tuple[int, int, int]
Point = tuple[float, float]

CLOTHES: tuple[tuple[Colour, Colour], ...] = (  # coat and trousers in RGB
    ((60, 62, 70), (40, 42, 55)),
    ((170, 60, 60), (50, 50, 60)),
    ((35, 35, 38), (30, 30, 34)),
)
SKIN, HAIR, SHOES = (196, 150, 125), (40, 30, 25), (30, 28, 26)
PHASES = 8  # pictures of one stride
SUPERSAMPLING = 4
SHARE_OF_HEIGHT = 0.5  # width of the sprite; the figure itself is narrower


@dataclass(frozen=True, slots=True)
class Sprite:
    """A figure in one phase. planes: I420. covers: the share of each pixel that it covers, 0..1."""

    planes: tuple[Plane, Plane, Plane]
    covers: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]

    def extent_xyxy(self) -> tuple[int, int, int, int]:
        """The box that the figure fills, in pixels of the sprite."""
        rows, columns = np.nonzero(self.covers[0] > 0.5)
        return (
            int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1,
        )  # fmt: skip

    def draw(self, planes: tuple[Plane, Plane, Plane], x: int, y: int) -> None:
        """Draws onto a picture, with the corner at (x, y), both even; cut at its edges."""
        for plane, drawn, cover, step in zip(
            planes, self.planes, self.covers, (1, 2, 2), strict=True
        ):
            height, width = drawn.shape
            left, top = x // step, y // step
            x0, x1 = max(left, 0), min(left + width, plane.shape[1])
            y0, y1 = max(top, 0), min(top + height, plane.shape[0])
            if x0 >= x1 or y0 >= y1:
                continue
            part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            ground = plane[y0:y1, x0:x1]
            ground[:] = ground + (drawn[part] - ground.astype(np.float32)) * cover[part]


def walk(height_px: int, clothes: tuple[Colour, Colour]) -> tuple[Sprite, ...]:
    """One stride, heading right. height_px: a multiple of 4."""
    return tuple(_sprite(height_px, 2 * math.pi * n / PHASES, clothes) for n in range(PHASES))


def _sprite(height_px: int, phase: float, clothes: tuple[Colour, Colour]) -> Sprite:
    size = (int(height_px * SHARE_OF_HEIGHT), height_px)
    return sprite(size, lambda image: _draw(image, phase, *clothes))


def sprite(
    size: tuple[int, int],
    paint: Callable[[npt.NDArray[np.uint8]], None],
    texture: npt.NDArray[np.float32] | None = None,
    mirrored: bool = False,
) -> Sprite:
    """A figure of this (width, height), both even.

    paint: draws it on an RGBA image that is `SUPERSAMPLING` times as large. texture: (h, w),
    factors for its brightness.
    """
    large = np.zeros((size[1] * SUPERSAMPLING, size[0] * SUPERSAMPLING, 4), np.uint8)
    paint(large)
    small = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
    if mirrored:
        small = small[:, ::-1]
    covers = small[..., 3].astype(np.float32) / 255
    light = np.linspace(1.15, 0.75, size[0], dtype=np.float32)[None, :, None]  # from the left
    colours = small[..., :3] / np.maximum(covers, 1 / 255)[..., None] * light
    if texture is not None:
        colours = colours * texture[..., None]
    rgb = np.clip(colours, 0, 255).astype(np.uint8)
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    half = (size[1] // 2, size[0] // 2)
    chroma = yuv[size[1] :].reshape(2, *half)
    half_covers = cv2.resize(covers, half[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    return Sprite(
        (np.asarray(yuv[: size[1]]), chroma[0], chroma[1]), (covers, half_covers, half_covers)
    )


def _draw(image: npt.NDArray[np.uint8], phase: float, coat: Colour, trousers: Colour) -> None:
    """Draws on RGBA, heading right; measures are shares of the height."""
    swing = 0.13 * math.sin(phase)

    def limb(start: Point, end: Point, width: float, colour: Colour) -> None:
        line(image, start, end, width, colour)

    limb((0, 0.2), (0.8 * swing, 0.47), 0.06, shade(coat, 0.8))  # the far arm
    for side, light in ((-1, 0.8), (1, 1.0)):
        foot = side * swing
        limb((0, 0.52), (0.55 * foot, 0.73), 0.095, shade(trousers, light))
        limb((0.55 * foot, 0.73), (foot, 0.94), 0.075, shade(trousers, light))
        limb((foot - 0.01, 0.955), (foot + 0.05, 0.96), 0.045, SHOES)
    polygon(image, [(-0.095, 0.19), (0.095, 0.19), (0.085, 0.54), (-0.085, 0.54)], coat)
    limb((-0.07, 0.22), (0.07, 0.22), 0.07, coat)
    limb((0, 0.13), (0, 0.2), 0.055, SKIN)
    ellipse(image, (0, 0.085), (0.052, 0.072), SKIN)
    ellipse(image, (0, 0.055), (0.056, 0.05), HAIR)
    limb((0, 0.22), (-0.8 * swing, 0.48), 0.06, shade(coat, 1.08))
    ellipse(image, (-0.8 * swing, 0.5), (0.03, 0.03), SKIN)


def shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(level * factor)) for level in colour)
    return red, green, blue


def _pixels(image: npt.NDArray[np.uint8], point: Point) -> tuple[int, int]:
    height, width = image.shape[:2]
    return int(width / 2 + point[0] * height), int(point[1] * height)


def line(
    image: npt.NDArray[np.uint8], start: Point, end: Point, width: float, colour: Colour
) -> None:
    thickness = int(width * image.shape[0])
    ends = _pixels(image, start), _pixels(image, end)
    cv2.line(image, *ends, (*colour, 255), thickness, cv2.LINE_AA)


def polygon(image: npt.NDArray[np.uint8], corners: list[Point], colour: Colour) -> None:
    points = np.array([_pixels(image, corner) for corner in corners], np.int32)
    cv2.fillPoly(image, [points], (*colour, 255), cv2.LINE_AA)


def ellipse(image: npt.NDArray[np.uint8], at: Point, radii: Point, colour: Colour) -> None:
    height = image.shape[0]
    axes = int(radii[0] * height), int(radii[1] * height)
    cv2.ellipse(image, _pixels(image, at), axes, 0, 0, 360, (*colour, 255), -1, cv2.LINE_AA)
