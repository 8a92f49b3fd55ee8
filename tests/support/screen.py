"""A film of a screen that shows a person now and then, and of a person who walks past it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge.sources.scenes.figures import CLOTHES, walk
from edge.vision.picture import Picture, PixelFormat, Plane
from tests.support.films import encode

SIZE = (320, 240)
SHOWS = 6  # appearances on the screen
EVERY, SHOWN = 24, 8  # frames from one appearance to the next, and of one
AT = (140, 100)  # of the figure on the screen
HEIGHT = 72
STEP = 6  # px per frame of the person who walks past


def screen_film(path: Path, *, walks: bool = True) -> Path:
    """The appearances, one after the other, and then the walk through the same place."""
    walk_frames = (SIZE[0] + HEIGHT) // STEP if walks else 0
    return encode(path, _images(SHOWS * EVERY + walk_frames))


def _images(count: int) -> Iterator[np.ndarray]:
    width, height = SIZE
    level = np.linspace(90, 150, width).astype(np.uint8)
    ground = np.broadcast_to(level, (height, width))
    figure = walk(HEIGHT, CLOTHES[0])
    for index in range(count):
        chroma = np.full((height // 2, width // 2), 128, np.uint8)
        planes: tuple[Plane, Plane, Plane] = ground.copy(), chroma, chroma.copy()
        walked = (index - SHOWS * EVERY) * STEP
        if walked >= 0:
            figure[index % 8].draw(planes, (walked - HEIGHT // 2) // 2 * 2, AT[1])
        elif index % EVERY >= EVERY - SHOWN:
            figure[index % 8].draw(planes, *AT)
        yield Picture(PixelFormat.I420, planes).rgb()
