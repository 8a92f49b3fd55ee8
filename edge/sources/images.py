"""Plays a folder of images as a source, in the order of their names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.config.schema import SourceSettings
from edge.errors import SourceError
from edge.runtime.times import NS_PER_S
from edge.sources.pace import Pace
from edge.sources.views import even, luma_of, luma_size
from edge.vision.picture import Picture, PixelFormat
from edge.vision.types import Frame, SourceInfo

SUFFIXES = {".jpg", ".jpeg", ".png"}
DEFAULT_FPS = 1.0  # a slide show: images have no rate of their own


class ImagesSource:
    """JPEG and PNG files of one size. Files of another size or content are skipped and counted."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._pace = Pace(fast=settings.fast)
        self._paths: list[Path] = []
        self._size = (0, 0)
        self._index = 0
        self.skipped = 0

    def open(self) -> SourceInfo:
        """Raises SourceError for a folder without a readable image."""
        folder = Path(self._settings.uri).expanduser()
        self._paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        first = next(filter(None, map(_picture, self._paths)), None)
        if first is None:
            raise SourceError(f"source {folder}: no JPEG or PNG image in this folder")
        self._size = (first.width, first.height)
        self._index = 0
        self._pace.start()
        fps = self._settings.fps or DEFAULT_FPS
        return SourceInfo(
            str(folder),
            self._size,
            luma_size(*self._size, self._settings.luma_width_px),
            fps,
            live=False,
            frame_count=len(self._paths),
        )

    def read(self) -> Frame | None:
        """The next image, when it is due."""
        fps = self._settings.fps or DEFAULT_FPS
        while not self._pace.stopped:
            number, index = divmod(self._index, max(1, len(self._paths)))
            if number > 0 and not self._settings.loop:
                return None
            self._index += 1
            picture = _picture(self._paths[index])
            if picture is None or (picture.width, picture.height) != self._size:
                self.skipped += 1
                continue
            shown = self._index - 1
            timestamp_ns, wall_ns = self._pace.wait(round(shown * NS_PER_S / fps))
            luma = luma_of(picture, self._settings.luma_width_px)
            return Frame(shown, timestamp_ns, wall_ns, luma, picture)
        return None

    def close(self) -> None:
        self._pace.stop()


def _picture(path: Path) -> Picture | None:
    """The image with even sides, as encoders need them; None for a file that is not an image."""
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < 2:
        return None
    height, width = even(image.shape[0]), even(image.shape[1])
    return Picture(PixelFormat.BGR, (np.asarray(image[:height, :width], np.uint8),))
