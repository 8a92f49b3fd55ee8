"""Internal facts to published messages: pure functions at the edge of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import cv2

from edge import messages
from edge.capture.request import CaptureRequest, CaptureResult, TrackInfo
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box
from edge.vision.pipeline import Analysis, Pipeline
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Frame, Track, TrackState

THUMBNAIL_PX = 320
THUMBNAIL_CONTEXT = 0.3  # of the box's size, on each side
THUMBNAIL_QUALITY = 80
BGR = cv2.COLOR_RGB2BGR  # what OpenCV encodes

Size = tuple[int, int]


def detection(analysis: Analysis, labels: tuple[str, ...], size: Size) -> messages.Detection:
    """Of a frame that was looked at; `size` is (width, height) of the main picture."""
    return messages.Detection(
        frame_index=analysis.frame.index,
        width=size[0],
        height=size[1],
        invocations=len(analysis.layouts),
        regions_px=_regions(analysis),
        detections=_objects(analysis, labels, size),
    )


def _regions(analysis: Analysis) -> tuple[Box, ...]:
    return tuple(_box(cell.crop_xyxy) for layout in analysis.layouts for cell in layout.cells)


def _objects(
    analysis: Analysis, labels: tuple[str, ...], size: Size
) -> tuple[messages.DetectedObject, ...]:
    found = analysis.detections
    return tuple(
        messages.DetectedObject(
            label=labels[class_id],
            score=round(score, 4),
            box=normalized(box, size),
            box_px=box,
            track_id=track_id or None,
        )
        for box, score, class_id, track_id in zip(
            map(_box, found.boxes_xyxy.tolist()),
            found.scores.tolist(),
            found.class_ids.tolist(),
            analysis.track_ids.tolist(),
            strict=True,
        )
    )


def sight(
    analysis: Analysis, pipeline: Pipeline, labels: tuple[str, ...], size: Size
) -> messages.Sight:
    """Of the frame that the pipeline has just analysed, before it is given another."""
    return messages.Sight(
        width=size[0],
        height=size[1],
        blobs_px=tuple(map(_box, analysis.motion.blobs_xyxy.tolist())),
        motion_png=cv2.imencode(".png", pipeline.motion.mask)[1].tobytes(),
        changed=round(analysis.motion.changed, 5),
        scene_change=analysis.motion.scene_change,
        regions_px=_regions(analysis),
        detections=_objects(analysis, labels, size),
        tracks=tuple(
            messages.SeenTrack(
                track_id=track.id,
                label=track.label,
                score=round(track.score, 4),
                state=track.state.value,
                box_px=_box(track.box_xyxy),
            )
            for track in analysis.tracks
        ),
        canvas=_canvas(pipeline, analysis.frame.timestamp_ns),
    )


def _canvas(pipeline: Pipeline, now_ns: int) -> messages.Canvas | None:
    if pipeline.last_look is None:
        return None
    layout, looked_ns = pipeline.last_look
    canvas = pipeline.packer.canvas
    return messages.Canvas(
        age_s=round((now_ns - looked_ns) / NS_PER_S, 3),
        width=canvas.shape[1],
        height=canvas.shape[0],
        cells=tuple(
            messages.Cell(crop_px=_box(cell.crop_xyxy), cell_px=_box(cell.cell_xyxy))
            for cell in layout.cells
        ),
        jpeg=_jpeg(canvas),
    )


class TrackChanges:
    """Tells which tracks began, were looked at and ended, so that each is told once."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def __call__(self, analysis: Analysis, size: Size) -> Iterator[messages.Track]:
        """Tentative tracks are not told; a track ends under the label that it began with."""
        for track in analysis.tracks:
            if track.state is TrackState.TENTATIVE:
                continue
            if track.id not in self._known:
                self._known[track.id] = track.label
                yield self._message("new", track, analysis.frame, size)
            elif track.looks[-1].timestamp_ns == analysis.frame.timestamp_ns:
                yield self._message("update", track, analysis.frame, size)
        for track in analysis.ended:
            if self._known.pop(track.id, None) is not None:
                yield self._message("end", track, analysis.frame, size)

    def _message(
        self, change: Literal["new", "update", "end"], track: Track, frame: Frame, size: Size
    ) -> messages.Track:
        vx, vy = track.velocity_px_s
        return messages.Track(
            change=change,
            track_id=track.id,
            label=track.label,
            score=round(track.score, 4),
            state=track.state.value,
            box=normalized(track.box_xyxy, size),
            box_px=_box(track.box_xyxy),
            velocity=(round(vx / size[0], 4), round(vy / size[1], 4)),
            age_s=round((frame.timestamp_ns - track.first_ns) / NS_PER_S, 3),
        )


def trigger(event: TriggerEvent, event_id: str, size: Size, latency_ms: float) -> messages.Trigger:
    look = event.confirmed[-1]
    return messages.Trigger(
        event_id=event_id,
        rule=event.rule.name,
        zones=event.zones,
        track_id=event.track.id,
        label=event.track.label,
        score=round(look.score, 4),
        box=normalized(look.box_xyxy, size),
        box_px=_box(look.box_xyxy),
        frame_index=look.frame_index,
        latency_ms=round(latency_ms, 3),
        captures=event.rule.actions,
    )


def capture_request(
    event: TriggerEvent, event_id: str, camera: str, best: Frame, now: Frame, latency_ms: float
) -> CaptureRequest:
    """`best` is the frame of `event.best`, `now` the one that confirmed the event."""
    size = (now.main.width, now.main.height)
    look = event.best
    track = TrackInfo(
        event.track.id,
        event.track.label,
        round(look.score, 4),
        _box(look.box_xyxy),
        normalized(look.box_xyxy, size),
    )
    return CaptureRequest(
        event_id=event_id,
        rule=event.rule.name,
        camera=camera,
        wall_ns=now.wall_ns,
        timestamp_ns=now.timestamp_ns,
        actions=event.rule.actions,
        still=best if "still" in event.rule.actions else None,
        track=track,
        latency_ms=round(latency_ms, 3),
    )


def capture(result: CaptureResult) -> messages.Capture:
    return messages.Capture(
        event_ids=result.event_ids,
        rule=result.rule,
        capture=result.kind,
        path=str(result.path.absolute()),
        sidecar=str(result.sidecar.absolute()),
        size_bytes=result.bytes,
        duration_s=round(result.duration_s, 3) if result.kind == "clip" else None,
    )


def thumbnail(frame: Frame, box_xyxy: Box) -> bytes:
    """The object with some context, as a JPEG at most 320 px wide and high."""
    x0, y0, x1, y1 = box_xyxy
    margin_x, margin_y = (x1 - x0) * THUMBNAIL_CONTEXT, (y1 - y0) * THUMBNAIL_CONTEXT
    width, height = frame.main.width, frame.main.height
    left = min(max(0, int(x0 - margin_x)), width - 2)
    top = min(max(0, int(y0 - margin_y)), height - 2)
    right = max(left + 2, min(width, int(x1 + margin_x)))
    bottom = max(top + 2, min(height, int(y1 + margin_y)))
    crop = frame.main.rgb((left, top, right, bottom))
    scale = min(1.0, THUMBNAIL_PX / max(crop.shape[:2]))
    return _jpeg(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def snapshot(frame: Frame, max_width_px: int) -> tuple[bytes, Size]:
    """The whole picture as a JPEG at most so wide, and its (width, height)."""
    picture = frame.main.rgb((0, 0, frame.main.width, frame.main.height))
    scale = min(1.0, max_width_px / frame.main.width)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return _jpeg(small), (small.shape[1], small.shape[0])


def _jpeg(rgb: cv2.typing.MatLike) -> bytes:
    """(h, w, 3) uint8, in a quality for looking at."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, BGR), quality)[1].tobytes()


def normalized(box_xyxy: Box, size: Size) -> Box:
    """Pixels to 0..1 of the picture, cut at its edges."""
    width, height = size
    x0, y0, x1, y1 = (
        round(min(max(value / side, 0.0), 1.0), 5)
        for value, side in zip(box_xyxy, (width, height, width, height), strict=True)
    )
    return x0, y0, x1, y1


def _box(values: Box | list[float] | tuple[int, int, int, int]) -> Box:
    x0, y0, x1, y1 = (round(float(value), 1) for value in values)
    return x0, y0, x1, y1
