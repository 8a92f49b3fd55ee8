"""`edge replay`: footage through the real pipeline, with an annotated video and a report.

Nothing is published and nothing captured: it shows what a daemon with these settings would do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from edge.config.schema import Settings
from edge.daemon.publish import thumbnail
from edge.errors import PermanentError
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.tools.report import Entry, Sample, render
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.picture import Plane
from edge.vision.pipeline import Analysis, Pipeline
from edge.vision.types import Frame, SourceInfo, TrackState

GREEN, YELLOW, RED, BLUE, GREY = (
    (80, 200, 60), (40, 210, 240), (60, 60, 230), (230, 160, 60), (150, 150, 150),
)  # fmt: skip
FONT = cv2.FONT_HERSHEY_SIMPLEX
LOOKED_FRAMES = 16

Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class ReplaySummary:
    """What happened, frame by frame and event by event."""

    samples: list[Sample] = field(default_factory=list)
    events: list[Entry] = field(default_factory=list)

    def told(self) -> str:
        """One line for a person."""
        frames = max(1, len(self.samples))
        invocations = sum(sample.invocations for sample in self.samples)
        return (
            f"{len(self.samples)} frames, {invocations} invocations "
            f"({invocations / frames:.2f} a frame), {len(self.events)} triggers"
        )


def replay(
    settings: Settings, out: Path | None, report: Path | None, progress: Progress
) -> ReplaySummary:
    """Plays `settings.source` to its end.

    out: annotated MP4. report: HTML in one file. progress: called with the frames done and, where
    it is known, their number. Raises EdgeError.
    """
    detector = Detector(settings.model, find_model(settings.model.file))
    source = open_source(settings.source, recording=True)
    info = source.open()
    if info.live:
        source.close()
        raise PermanentError(f"source {settings.source.uri}: a replay needs a recording")
    summary, looked = ReplaySummary(), deque[Frame](maxlen=LOOKED_FRAMES)
    pipeline: Pipeline | None = None
    video = _Video(out, info) if out is not None else None
    try:
        while (frame := source.read()) is not None:
            if pipeline is None:
                height, width = frame.luma.shape
                pipeline = Pipeline(settings, detector, (height, width), info.main_size)
                start_ns = frame.timestamp_ns
            analysis = pipeline(frame)
            if analysis.layouts:
                looked.append(frame)
            time_s = (frame.timestamp_ns - start_ns) / NS_PER_S
            _note(summary, analysis, looked, time_s)
            if video is not None:
                video.write(annotated(analysis, pipeline, settings), frame.timestamp_ns - start_ns)
            progress(len(summary.samples), info.frame_count)
    finally:
        source.close()
        if video is not None:
            video.close()
    if report is not None:
        _write(report, render(settings, detector.name, summary.samples, summary.events))
    return summary


def _note(summary: ReplaySummary, analysis: Analysis, looked: deque[Frame], time_s: float) -> None:
    shown = sum(track.state is not TrackState.TENTATIVE for track in analysis.tracks)
    summary.samples.append(Sample(time_s, analysis.motion.changed, len(analysis.layouts), shown))
    for event in analysis.triggers:
        best = next((f for f in looked if f.index == event.best.frame_index), analysis.frame)
        still = thumbnail(best, event.best.box_xyxy)
        summary.events.append(
            Entry(time_s, event.rule.name, event.track.label, event.best.score, event.zones, still)
        )


def annotated(analysis: Analysis, pipeline: Pipeline, settings: Settings) -> Plane:
    """(h, w, 3) BGR with motion, zones, looks and tracks drawn in."""
    image = np.ascontiguousarray(analysis.frame.main.bgr()).copy()
    height, width = image.shape[:2]
    mask = cv2.resize(pipeline.motion.mask, (width, height), interpolation=cv2.INTER_NEAREST)
    image[mask > 0] = image[mask > 0] // 2 + np.array([90, 45, 0], np.uint8)
    for zone in settings.zones:
        corners = np.round(np.array(zone.polygon) * [width, height]).astype(np.int32)
        cv2.polylines(image, [corners], True, BLUE, 2)
    for layout in analysis.layouts:
        for cell in layout.cells:
            x0, y0, x1, y1 = cell.crop_xyxy
            cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), YELLOW, 1)
    triggered = {event.track.id for event in analysis.triggers}
    for track in analysis.tracks:
        tentative = track.state is TrackState.TENTATIVE
        colour = RED if track.id in triggered else GREY if tentative else GREEN
        x0, y0, x1, y1 = (round(value) for value in track.box_xyxy)
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, 2)
        text = f"{track.label} {track.id} {track.score:.2f}"
        cv2.putText(image, text, (x0, max(12, y0 - 4)), FONT, 0.45, colour, 1, cv2.LINE_AA)
    told = f"{len(analysis.layouts)} invocations  {len(analysis.tracks)} tracks"
    cv2.putText(image, told, (8, height - 10), FONT, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return image


class _Video:
    """An MP4 that appears under its name when it is whole."""

    def __init__(self, path: Path, info: SourceInfo) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._part), "w", format="mp4")
        self._stream = self._container.add_stream(
            "libx264", rate=Fraction(info.fps).limit_denominator(1000),
            options={"preset": "veryfast", "crf": "26"},
        )  # fmt: skip
        self._stream.width, self._stream.height = info.main_size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, 1000)
        self._last_ms = -1

    def write(self, image: Plane, offset_ns: int) -> None:
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        self._last_ms = frame.pts = max(self._last_ms + 1, offset_ns // 1_000_000)
        frame.time_base = Fraction(1, 1000)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._part.replace(self._path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
