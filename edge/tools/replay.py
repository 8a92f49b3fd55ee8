"""`edge replay`: plays footage through the real pipeline, into an annotated video and a report.

They show the decisions of a daemon with these settings. Nothing is published or captured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np

from edge.config.schema import Settings
from edge.daemon.pictures import thumbnail
from edge.errors import PermanentError
from edge.runtime.files import PartFile, file_errors, make_folder, write_atomic
from edge.runtime.times import NS_PER_MS, NS_PER_S
from edge.sources import open_source
from edge.tools.chart import Sample, Visit
from edge.tools.report import Entry, render
from edge.vision.build import build_detector, build_pipeline
from edge.vision.picture import Plane
from edge.vision.pipeline import Analysis
from edge.vision.sizes import SizeWatch
from edge.vision.types import SourceInfo, TrackState

# Blue, green and red of each, from 0 to 255.
GREEN, YELLOW, RED, BLUE, GREY = (
    (80, 200, 60), (40, 210, 240), (60, 60, 230), (230, 160, 60), (150, 150, 150),
)  # fmt: skip
FONT = cv2.FONT_HERSHEY_SIMPLEX
MILLISECOND = Fraction(1, 1000)  # time base of the video

Progress = Callable[[int, int | None], None]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ReplaySummary:
    """The result of a replay: one sample per frame, one visit per track, one entry per event."""

    samples: list[Sample] = field(default_factory=list)
    visits: dict[int, Visit] = field(default_factory=dict)
    events: list[Entry] = field(default_factory=list)

    def sentence(self) -> str:
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

    out: path of the annotated MP4. report: path of the HTML file. progress: called with the number
    of frames done and, where it is known, of all frames. Raises EdgeError.
    """
    detector = build_detector(settings)
    source = open_source(settings.source, masks=settings.privacy.masks, recording=True)
    info = source.open()
    if info.live:
        source.close()
        raise PermanentError(f"source {settings.source.name}: a replay needs a recording")
    summary = ReplaySummary()
    pipeline, sizes = build_pipeline(settings, detector, info), SizeWatch.of(info)
    try:
        with _Video(out, info) if out is not None else nullcontext() as video:
            start_ns: int | None = None
            while (frame := source.read()) is not None:
                start_ns = frame.timestamp_ns if start_ns is None else start_ns
                if sizes.changed(frame):
                    log.warning("%s", sizes.sentence(info.name))
                analysis = pipeline(frame)
                offset_ns = frame.timestamp_ns - start_ns
                _note(summary, analysis, offset_ns / NS_PER_S)
                if video is not None:
                    video.write(annotated(analysis, settings), offset_ns)
                progress(len(summary.samples), info.frame_count)
    finally:
        source.close()
    if report is not None:
        visits = list(summary.visits.values())
        html = render(settings, detector.name, summary.samples, visits, summary.events)
        _write(report, html.encode())
    return summary


def _note(summary: ReplaySummary, analysis: Analysis, time_s: float) -> None:
    motion = analysis.motion
    moved = 0.0 if motion.scene_change else motion.changed
    summary.samples.append(Sample(time_s, moved, len(analysis.layouts), motion.scene_change))
    for track in analysis.tracks:
        if track.state is not TrackState.TENTATIVE:
            visit = summary.visits.setdefault(
                track.id, Visit(track.id, track.label, time_s, time_s)
            )
            visit.label, visit.end_s = track.label, time_s
    for event in analysis.events:
        still = thumbnail(event.frame, event.best.box_xyxy)
        track, best = event.track, event.best
        summary.events.append(
            Entry(time_s, track.id, event.rule.name, track.label, best.score, event.zones, still)
        )


def annotated(analysis: Analysis, settings: Settings) -> Plane:
    """(h, w, 3) BGR with motion, zones, crops and tracks drawn in."""
    image = np.ascontiguousarray(analysis.frame.main.bgr()).copy()
    height, width = image.shape[:2]
    mask = cv2.resize(analysis.motion.mask, (width, height), interpolation=cv2.INTER_NEAREST)
    image[mask > 0] = image[mask > 0] // 2 + np.array([90, 45, 0], np.uint8)
    for zone in settings.zones:
        corners = np.round(np.array(zone.polygon) * [width, height]).astype(np.int32)
        cv2.polylines(image, [corners], True, BLUE, 2)
    for layout in analysis.layouts:
        for cell in layout.cells:
            x0, y0, x1, y1 = cell.crop_xyxy
            cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), YELLOW, 1)
    triggered = {event.track.id for event in analysis.events}
    for track in analysis.tracks:
        tentative = track.state is TrackState.TENTATIVE
        colour = RED if track.id in triggered else GREY if tentative else GREEN
        x0, y0, x1, y1 = (round(value) for value in track.box_xyxy)
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, 2)
        text = f"{track.label} {track.id} {track.score:.2f}"
        cv2.putText(image, text, (x0, max(12, y0 - 4)), FONT, 0.45, colour, 1, cv2.LINE_AA)
    counts = f"{len(analysis.layouts)} invocations  {len(analysis.tracks)} tracks"
    cv2.putText(image, counts, (8, height - 10), FONT, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return image


def fitted(image: Plane, size: tuple[int, int]) -> Plane:
    """(h, w, 3), as large as fits into `size` (width, height), in the middle of black borders."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    whole[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return whole


class _Video:
    """An MP4 of the size of the first frame.

    It gets its name when it is complete, and is deleted after an error.
    """

    def __init__(self, path: Path, info: SourceInfo) -> None:
        self._path = path
        with file_errors(path):
            make_folder(path.absolute().parent)
            self._part = PartFile(path)
        # By path: FFmpeg goes back to the start of the file to complete its header.
        self._container = av.open(str(self._part.path), "w", format="mp4")
        self._stream = self._container.add_stream(
            "libx264", rate=Fraction(info.fps).limit_denominator(1000),
            options={"preset": "veryfast", "crf": "26"},
        )  # fmt: skip
        self._size = self._stream.width, self._stream.height = info.main_size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = MILLISECOND
        self._last_ms = -1

    def write(self, image: Plane, offset_ns: int) -> None:
        """image: (h, w, 3) BGR. offset_ns: since the first frame."""
        frame = av.VideoFrame.from_ndarray(fitted(image, self._size), format="bgr24")
        self._last_ms = frame.pts = max(self._last_ms + 1, offset_ns // NS_PER_MS)
        frame.time_base = MILLISECOND
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        with file_errors(self._path):
            if kind is None:
                self._part.publish(replace=True)
            else:
                self._part.discard()


def _write(path: Path, data: bytes) -> None:
    with file_errors(path):
        make_folder(path.absolute().parent)
        write_atomic(path, data)
