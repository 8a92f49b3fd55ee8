"""Makes messages and capture requests from the results of the analysis and of the recorder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypeAlias

from edge import messages
from edge.capture.request import (
    CaptureFailure,
    CaptureRequest,
    CaptureResult,
    Presence,
    TrackInfo,
)
from edge.daemon.pictures import Size
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, normalized
from edge.vision.pipeline import Analysis, DetectorLike
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Frame, Track, TrackState

Classes: TypeAlias = tuple[tuple[str, str], ...]  # label and group, by the model's class id


def classes_of(detector: DetectorLike) -> Classes:
    """Label and group of each class of a model."""
    return tuple(zip(detector.labels, detector.groups, strict=True))


def detection(analysis: Analysis, classes: Classes, size: Size) -> messages.Detection:
    """The message about a frame with invocations. size: (width, height) of the main picture."""
    return messages.Detection(
        frame_index=analysis.frame.index,
        width=size[0],
        height=size[1],
        invocations=len(analysis.layouts),
        regions_px=regions(analysis),
        detections=objects(analysis, classes, size),
    )


def regions(analysis: Analysis) -> tuple[Box, ...]:
    """The crops of all invocations of the frame, in pixels of the main picture."""
    return tuple(pixel_box(cell.crop_xyxy) for layout in analysis.layouts for cell in layout.cells)


def objects(
    analysis: Analysis, classes: Classes, size: Size
) -> tuple[messages.DetectedObject, ...]:
    """The detections of the frame, with their tracks."""
    detections = analysis.detections
    return tuple(
        messages.DetectedObject(
            label=classes[class_id][0],
            group=classes[class_id][1],
            score=round(score, 4),
            box=normalized(box, size),
            box_px=box,
            track_id=track_id or None,
        )
        for box, score, class_id, track_id in zip(
            map(pixel_box, detections.boxes_xyxy.tolist()),
            detections.scores.tolist(),
            detections.class_ids.tolist(),
            analysis.track_ids.tolist(),
            strict=True,
        )
    )


class TrackChanges:
    """Makes messages about tracks that began, were looked at or ended."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, str]] = {}  # label and group of each

    def __call__(self, analysis: Analysis, size: Size) -> Iterator[messages.Track]:
        """Tentative tracks have no messages.

        A track ends under the label that it began with: the label is part of the topic, and a
        subscriber to one label must receive the end of every track whose beginning it received.
        """
        for track in analysis.tracks:
            if track.state is TrackState.TENTATIVE:
                continue
            if track.id not in self._known:
                self._known[track.id] = track.label, track.group
                yield self._message("new", track, analysis.frame, size)
            elif track.looks[-1].timestamp_ns == analysis.frame.timestamp_ns:
                yield self._message("update", track, analysis.frame, size)
        for track in analysis.ended:
            if (known := self._known.pop(track.id, None)) is not None:
                ended = replace(track, label=known[0], group=known[1])
                yield self._message("end", ended, analysis.frame, size)

    def _message(
        self, change: Literal["new", "update", "end"], track: Track, frame: Frame, size: Size
    ) -> messages.Track:
        vx, vy = track.velocity_px_s
        return messages.Track(
            change=change,
            track_id=track.id,
            label=track.label,
            group=track.group,
            score=round(track.score, 4),
            state=track.state.value,
            box=normalized(track.box_xyxy, size),
            box_px=pixel_box(track.box_xyxy),
            velocity=(round(vx / size[0], 4), round(vy / size[1], 4)),
            age_s=round((frame.timestamp_ns - track.first_ns) / NS_PER_S, 3),
        )


def trigger(event: TriggerEvent, event_id: str, size: Size, latency_ms: float) -> messages.Trigger:
    """The message about an event. latency_ms: from the exposure of the confirming frame to now."""
    look = event.confirmed[-1]
    return messages.Trigger(
        event_id=event_id,
        rule=event.rule.name,
        zones=event.zones,
        track_id=event.track.id,
        label=event.track.label,
        group=event.track.group,
        score=round(look.score, 4),
        box=normalized(look.box_xyxy, size),
        box_px=pixel_box(look.box_xyxy),
        frame_index=look.frame_index,
        latency_ms=round(latency_ms, 3),
        captures=event.rule.actions,
    )


def capture_request(
    event: TriggerEvent, event_id: str, camera: str, frame: Frame, latency_ms: float
) -> CaptureRequest:
    """frame: the one that confirmed the event."""
    rule, look = event.rule, event.best
    return CaptureRequest(
        event_id=event_id,
        rule=rule.name,
        camera=camera,
        wall_ns=frame.wall_ns,
        timestamp_ns=frame.timestamp_ns,
        actions=rule.actions,
        still=event.frame if "still" in rule.actions and not rule.best_still else None,
        track=track_info(event.track, look.box_xyxy, look.score, frame),
        zones=event.zones,
        latency_ms=round(latency_ms, 3),
        presence=Presence(frame.timestamp_ns) if rule.clip_until_end else None,
        follows=rule.stills_follow,
    )


def track_info(track: Track, box_xyxy: Box, score: float, frame: Frame) -> TrackInfo:
    """The object in a frame, where it has this box."""
    shares = normalized(box_xyxy, (frame.main.width, frame.main.height))
    box_px = pixel_box(box_xyxy)
    return TrackInfo(track.id, track.label, round(score, 4), box_px, shares, track.group)


def capture(result: CaptureResult) -> messages.Capture:
    """The message about a file that is complete on disk."""
    return messages.Capture(
        event_ids=result.event_ids,
        rule=result.rule,
        capture=result.kind,
        path=str(result.path.absolute()),
        sidecar=str(result.sidecar.absolute()),
        size_bytes=result.bytes,
        duration_s=round(result.duration_s, 3) if result.kind == "clip" else None,
    )


def capture_failure(failure: CaptureFailure) -> messages.Capture:
    """The message about a capture that was announced and failed."""
    return messages.Capture(
        event_ids=failure.event_ids,
        rule=failure.rule,
        capture=failure.kind,
        path="",
        sidecar="",
        size_bytes=0,
        failure=failure.reason,
    )


def pixel_box(values: Box | list[float] | tuple[int, int, int, int]) -> Box:
    """Rounds to tenths of a pixel: enough for readers, and shorter in JSON."""
    x0, y0, x1, y1 = (round(float(value), 1) for value in values)
    return x0, y0, x1, y1
