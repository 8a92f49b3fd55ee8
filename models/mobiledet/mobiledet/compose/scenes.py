"""The empty scene of footage: the median of frames spread over it, in colour, and its noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.masking import masked
from edge.config.schema import Settings
from edge.errors import PermanentError
from mobiledet.dataset.base import DatasetError
from mobiledet.harvest.footage import harvest_settings
from mobiledet.recording import Recording

Image = npt.NDArray[np.uint8]
FRAMES = 31  # of the median, at most; memory is this number of pictures
LONGEST_S = 300.0  # of footage that is read; later, the light may be another
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# Standard deviation of a normal distribution, as a multiple of its median absolute deviation.
DEVIATIONS = 1.4826


@dataclass(frozen=True, slots=True)
class Scene:
    """An empty scene. bgr: (h, w, 3) uint8. noise: standard deviation of a pixel, in levels."""

    name: str
    bgr: Image
    noise: float


def empty_scene(settings: Settings, uri: str) -> Scene:
    """The scene that `uri` shows: a picture file, or footage of a camera that doesn't move.

    Raises PermanentError for footage without a frame or with frames of several sizes, DatasetError
    for a picture that can't be read, SourceError for no footage.
    """
    if Path(uri).suffix.lower() in PICTURES and "://" not in uri:
        bgr = cv2.imread(uri)
        if bgr is None:
            raise DatasetError(f"{uri}: not a readable picture")
        return Scene(uri, np.asarray(bgr, np.uint8), 0.0)
    name = masked(uri)
    frames = np.stack(_spread(settings, uri, name))
    median = np.empty(frames.shape[1:], np.uint8)
    for row in range(len(median)):  # row by row: the median of all would need 8 bytes a value
        median[row] = np.median(frames[:, row], axis=0)
    some = frames[:: max(1, len(frames) // 5)]
    away = np.concatenate([cv2.absdiff(frame, median).ravel()[::7] for frame in some])
    # Differences are whole levels: the deviation of a small noise is taken from their mean.
    still = away[away <= np.quantile(away, 0.9)]
    noise = max(DEVIATIONS * float(np.median(away)), float(still.mean()))
    return Scene(name, median, noise)


def _spread(settings: Settings, uri: str, name: str) -> list[Image]:
    """Up to FRAMES frames at equal distances; the distance doubles as the footage goes on."""
    frames: list[Image] = []
    reading, step, index = harvest_settings(settings, uri), 1, 0
    with Recording(reading.source, reading.privacy.masks) as recording:
        if recording.info.live:
            raise PermanentError(f"source {name}: an empty scene needs a recording")
        for frame, time_s in recording.frames():
            if time_s > LONGEST_S:
                break
            if index % step == 0:
                if len(frames) == FRAMES:
                    frames, step = frames[::2], step * 2
                if index % step == 0:
                    frames.append(np.array(frame.main.bgr(), np.uint8))
                if frames[-1].shape != frames[0].shape:
                    raise PermanentError(f"source {name}: the size of its frames changes")
            index += 1
    if not frames:
        raise PermanentError(f"source {name}: it has no frames")
    return frames
