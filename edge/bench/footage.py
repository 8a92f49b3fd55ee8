"""Footage with ground truth in memory, so that it can be played from any frame and backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from edge.bench.ground_truth import NONE, Objects, load_ground_truth
from edge.config.schema import Settings
from edge.errors import PermanentError
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.sources.scenes.synthetic import (
    QUIET_S,
    VISITS_EVERY_S,
    SceneOptions,
    SyntheticScene,
)
from edge.vision.types import Frame, SourceInfo

VISITS_FPS = 25
MAX_BYTES = 4_000_000_000  # of all pictures; a minute of 1280x720 at 25 frames/s is 2 GB


@dataclass(frozen=True, slots=True)
class Footage:
    """Frames and the objects in each of them, in the order of time."""

    name: str
    info: SourceInfo
    frames: list[Frame]
    truth: list[Objects]

    def backwards(self) -> Footage:
        """The same footage, played from its end."""
        return replace(self, frames=self.frames[::-1], truth=self.truth[::-1])

    def play(self, first: int) -> Iterator[tuple[Frame, Objects]]:
        """Frames from number `first` on, with indexes from 0 and times at an even pace."""
        for index, frame in enumerate(self.frames[first:]):
            time_ns = NS_PER_S + round(index * NS_PER_S / self.info.fps)
            yield replace(frame, index=index, timestamp_ns=time_ns), self.truth[first + index]


def load(settings: Settings, video: Path, ground_truth: Path) -> Footage:
    """A recording with ground truth in the format of MOTChallenge. Raises EdgeError."""
    truth = load_ground_truth(ground_truth)
    source = open_source(
        msgspec.structs.replace(settings.source, uri=str(video), fast=True),
        masks=settings.privacy.masks,
        recording=True,
    )
    frames, held = [], 0
    try:
        info = source.open()
        while (frame := source.read()) is not None:
            frames.append(frame.detached())
            held += sum(plane.nbytes for plane in frame.main.planes)
            if held > MAX_BYTES:
                raise PermanentError(
                    f"video {video}: its pictures need more than {MAX_BYTES / 1e9:.0f} GB of "
                    "memory; cut it shorter"
                )
    finally:
        source.close()
    if not frames:
        raise PermanentError(f"video {video}: it has no frames")
    return Footage(video.name, info, frames, [truth.get(n, NONE) for n in range(len(frames))])


def visits(settings: Settings, count: int) -> Footage:
    """Visits of a drawn person (`synthetic:visits`). Each visit is an individual."""
    duration_s = QUIET_S + count * VISITS_EVERY_S
    uri = f"synthetic:visits?fps={VISITS_FPS}&duration={duration_s}"
    source = open_source(msgspec.structs.replace(settings.source, uri=uri, fast=True))
    info = source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    scene = SyntheticScene("visits", SceneOptions(fps=VISITS_FPS))
    truth = []
    for frame in frames:
        visit = int((frame.index / VISITS_FPS - QUIET_S) // VISITS_EVERY_S)
        ids, boxes = scene.truth(frame.index)
        truth.append(Objects(np.full_like(ids, visit), boxes))
    return Footage("synthetic:visits", info, frames, truth)
