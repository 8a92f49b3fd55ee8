"""Follows the objects of events until they are gone, for further stills and longer clips."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from edge.capture.recorder import Recorder
from edge.capture.request import CaptureRequest, LaterStill, Presence, TrackInfo
from edge.config.schema import TriggerRule
from edge.daemon.publish import track_info
from edge.runtime.times import NS_PER_S
from edge.vision.best_look import quality
from edge.vision.pipeline import Analysis
from edge.vision.triggers import TriggerEvent, in_view
from edge.vision.types import Frame, Track

# Each may keep a frame, of 3 MB at 1920x1080.
MAX_VISITS = 8


@dataclass(slots=True)
class _Best:
    """The best still of a visit so far."""

    quality: float
    frame: Frame
    track: TrackInfo


@dataclass(slots=True)
class _Visit:
    """An event whose object may still be in view.

    limit_ns: when it ends at the latest. stills: of a burst, that are still to come. due_ns: when
    the next of them is.
    """

    event_id: str
    rule: TriggerRule
    object: tuple[int, int]
    limit_ns: int
    presence: Presence
    best: _Best | None
    stills: int
    due_ns: int

    @property
    def is_over(self) -> bool:
        return self.presence.ended and not self.stills


class Visits:
    """Takes the further stills of events, and lengthens their clips while their objects stay.

    A visit ends with its track, when another object takes the track over, or after `max_s`. Of more
    than MAX_VISITS at a time the oldest ends early. While `unless` of the rule is in view, no still
    is taken and no clip is lengthened. Belongs to the analysis thread.
    """

    def __init__(self, recorder: Recorder, max_s: float) -> None:
        self._recorder = recorder
        self._max_ns = round(max_s * NS_PER_S)
        self._visits: list[_Visit] = []

    def begin(self, event: TriggerEvent, request: CaptureRequest) -> None:
        """Follows the object of an event, if its request needs it. Call it before the frame's."""
        if request.presence is None and not request.follows:
            return
        rule, now_ns, first = event.rule, request.timestamp_ns, None
        if rule.stills_follow and rule.best_still and request.track is not None:
            look, frame = event.best, event.frame
            value = quality(frame.main, look.box_xyxy, look.score)
            first = _Best(value, frame, request.track)
        self._visits.append(
            _Visit(
                request.event_id,
                rule,
                event.track.object,
                now_ns + self._max_ns,
                request.presence or Presence(now_ns, ended=first is None),
                first,
                rule.burst - 1 if rule.stills_follow else 0,
                now_ns + round(rule.burst_interval_s * NS_PER_S),
            )
        )
        if len(self._visits) > MAX_VISITS:
            self._end(self._visits.pop(0))

    def __call__(self, analysis: Analysis) -> None:
        """Call it with each frame that was analysed."""
        if not self._visits:
            return
        frame, detached = analysis.frame, functools.cache(analysis.frame.detached)
        tracks = {track.object: track for track in (*analysis.tracks, *analysis.unexplained)}
        for visit in self._visits:
            track = tracks.get(visit.object)
            is_prevented = in_view(analysis.tracks, visit.rule.unless)
            if track is None or frame.timestamp_ns >= visit.limit_ns:
                self._leave(visit)
            elif not visit.presence.ended and not is_prevented:
                visit.presence.until_ns = frame.timestamp_ns
                _improve(visit, track, frame, detached)
            if visit.stills and frame.timestamp_ns >= visit.due_ns:
                self._take(visit, track, None if is_prevented else detached())
        self._visits = [visit for visit in self._visits if not visit.is_over]

    def end(self) -> None:
        """Ends all visits, after the last frame."""
        for visit in self._visits:
            self._end(visit)
        self._visits = []

    def _end(self, visit: _Visit) -> None:
        self._leave(visit)
        if visit.stills:
            self._recorder.add_still(LaterStill(visit.event_id, None))

    def _leave(self, visit: _Visit) -> None:
        """The object is gone: its clip may end, and its best still is known."""
        visit.presence.ended = True
        if visit.best is not None:
            still = LaterStill(visit.event_id, visit.best.frame, visit.best.track)
            self._recorder.add_still(still)
            visit.best = None

    def _take(self, visit: _Visit, track: Track | None, frame: Frame | None) -> None:
        """Takes the next still of a burst, with or without the object; without a frame, none."""
        visit.stills -= 1
        visit.due_ns += round(visit.rule.burst_interval_s * NS_PER_S)
        if frame is None and visit.stills:
            return
        shown = None
        if frame is not None and track is not None:
            shown = track_info(track, track.box_xyxy, track.score, frame)
        self._recorder.add_still(LaterStill(visit.event_id, frame, shown, last=not visit.stills))


def _improve(visit: _Visit, track: Track, frame: Frame, detached: Callable[[], Frame]) -> None:
    """Takes this frame for the best still if it has a better look at the object."""
    best, look = visit.best, track.looks[-1]
    if best is None or look.missed or look.frame_index != frame.index:
        return
    value = quality(frame.main, look.box_xyxy, look.score)
    if value > best.quality:
        shown = track_info(track, look.box_xyxy, look.score, frame)
        visit.best = _Best(value, detached(), shown)
