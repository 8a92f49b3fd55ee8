"""Checks the rules against the tracks of each frame, and makes an event when one is met.

A rule names labels or groups of them, a score, zones, sizes, a schedule and how many looks must
confirm it. A muted place silences the objects that stay in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge.config.schema import MOTION_LABEL, Mute, TriggerRule, Zone
from edge.runtime.schedule import Schedule
from edge.runtime.sun import Position
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Polygon, covered, feet, point_in_polygon, polygon_px
from edge.vision.types import Frame, Look, Track, TrackState

# Not tuned: a detection ends within a pixel of the edge that cuts it, and any weight well below 1
# prefers a whole object.
EDGE_PX = 1.0  # a box this close to the picture's edge may be cut by it
CUT_QUALITY = 0.5  # multiplies the quality of a look that the edge may cut
# Bounds the memory for looks of many tracks: 8 frames of 1920x1080 are 25 MB.
MAX_FRAMES = 8
# The box of an object that stays varies by a tenth of its size from look to look.
MUTED_SHARE = 0.85  # of the box that must lie in a muted place, at each look
# A person who leaves the picture may come back, and a dog's owner is seldom further behind.
UNLESS_S = 5.0  # for which labels in `unless` prevent events after they were in view
LEFT_S = 1.0  # an object that is out of a rule's zones for less has not left them


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """A rule that was met by a track.

    confirmed: the looks that met it, oldest first; the last belongs to the present frame.
    best: the confirmed look that shows the object best. frame: the frame of that look.
    zones: names of all zones in which the object stands.
    """

    rule: TriggerRule
    track: Track
    confirmed: tuple[Look, ...]
    best: Look
    frame: Frame
    zones: tuple[str, ...]
    timestamp_ns: int


@dataclass(slots=True)
class _Watch:
    """A rule in use.

    zones: those that it names, in pixels. triggered: objects with an event. prevented_ns: when a
    label that prevents events was in view last. present_ns: objects that met it and are still
    there, with the time of the latest look in its zones.
    """

    rule: TriggerRule
    zones: tuple[Polygon, ...]
    schedule: Schedule
    triggered: set[tuple[int, int]]
    prevented_ns: int | None
    present_ns: dict[tuple[int, int], int]


class Triggers:
    """Checks rules. Remembers cooldowns, tracks that triggered and frames of recent looks.

    muted: number of objects so far that would have triggered if they were not in a muted place.
    """

    def __init__(
        self,
        rules: Sequence[TriggerRule],
        zones: Sequence[Zone],
        main_size: tuple[int, int],
        last_events_ns: dict[str, int] | None = None,
        mutes: Sequence[Mute] = (),
        position: Position | None = None,
    ) -> None:
        """Raises KeyError if a rule names a zone that is not in `zones`.

        last_events_ns: the time of each rule's last event, for its cooldown. It is kept up to date
            here, so that the next object for the same camera can go on with it.
        position: of the camera, for schedules by the sun.
        """
        self._main_size = main_size
        self._position = position
        self._last_events_ns = {} if last_events_ns is None else last_events_ns
        self._watches: dict[str, _Watch] = {}
        self._frames: dict[int, Frame] = {}
        self._silent: set[tuple[int, int]] = set()
        self.muted = 0
        self.replace(rules, zones, mutes)

    def replace(
        self, rules: Sequence[TriggerRule], zones: Sequence[Zone], mutes: Sequence[Mute] = ()
    ) -> None:
        """Uses other rules, zones and mutes from the next frame on.

        A rule whose name stays keeps its cooldown, the tracks that triggered it and the time since
        its `unless` was in view. Raises KeyError as the constructor.
        """
        polygons, before = _polygons(zones, self._main_size), self._watches
        self._watches = {
            rule.name: _Watch(
                rule,
                tuple(polygons[name] for name in rule.zones),
                Schedule(rule.schedule, self._position),
                before[rule.name].triggered if rule.name in before else set(),
                before[rule.name].prevented_ns if rule.name in before else None,
                before[rule.name].present_ns
                if rule.name in before and before[rule.name].rule == rule
                else {},
            )
            for rule in rules
        }
        self._shares, self._mutes, self._zones = tuple(zones), tuple(mutes), polygons
        for name in self._last_events_ns.keys() - self._watches.keys():
            del self._last_events_ns[name]
        self._longest_window = max((rule.of_last for rule in rules), default=1)

    def begin_scene(self, main_size: tuple[int, int]) -> None:
        """The next frame is the first of this size, with new tracks. Cooldowns go on."""
        self._main_size = main_size
        self._frames = {}
        rules = [watch.rule for watch in self._watches.values()]
        self.replace(rules, self._shares, self._mutes)

    def __call__(self, tracks: Sequence[Track], frame: Frame) -> tuple[TriggerEvent, ...]:
        """Events of a frame with a look at a track; schedules are in local time.

        The frame is kept, copied out of the camera's buffer, for events of later frames.
        """
        self._keep(frame, tracks)
        self._silent &= {track.object for track in tracks}
        events: list[TriggerEvent] = []
        for watch in self._watches.values():
            self._follow(watch, tracks, frame.timestamp_ns)
            if _is_prevented(watch, tracks, frame.timestamp_ns):
                continue
            if frame.wall_ns in watch.schedule:
                events += self._events(watch, tracks, frame.timestamp_ns)
        return tuple(events)

    def present(self, tracks: Sequence[Track]) -> dict[str, int]:
        """Number of objects among the open tracks that meet each rule, by the rule's name.

        An object that has met a rule counts until it is gone or has left the rule's zones; cooldown
        and `once_per_track` don't matter.
        """
        open_now = {track.object for track in tracks}
        return {name: len(open_now & w.present_ns.keys()) for name, w in self._watches.items()}

    def _follow(self, watch: _Watch, tracks: Sequence[Track], timestamp_ns: int) -> None:
        """Removes objects that are gone or have left the rule's zones from those that are there."""
        before, watch.present_ns = watch.present_ns, {}
        for track in tracks:
            since_ns = before.get(track.object)
            if since_ns is None:
                continue
            look = track.looks[-1]
            if not watch.zones or any(_stands_in(look.box_xyxy, zone) for zone in watch.zones):
                since_ns = timestamp_ns
            if timestamp_ns - since_ns <= LEFT_S * NS_PER_S:
                watch.present_ns[track.object] = since_ns

    def _keep(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Keeps the frames of the looks in the rules' windows; the newest, if they are too many."""
        window = {look.frame_index for t in tracks for look in t.looks[-self._longest_window :]}
        self._frames = {index: kept for index, kept in self._frames.items() if index in window}
        self._frames[frame.index] = frame.detached()
        while len(self._frames) > MAX_FRAMES:
            del self._frames[next(iter(self._frames))]

    def _events(
        self, watch: _Watch, tracks: Sequence[Track], timestamp_ns: int
    ) -> Iterator[TriggerEvent]:
        """Events of one rule; with a cooldown at most one, as the cooldown begins with it."""
        rule = watch.rule
        watch.triggered &= {track.object for track in tracks}
        for track in tracks:
            confirmed = self._confirmed(watch, track, timestamp_ns)
            if confirmed is None:
                continue
            is_muted = self._is_muted(track)
            if not is_muted:
                watch.present_ns[track.object] = timestamp_ns
            if self._is_quiet(rule, timestamp_ns) or self._is_repeat(watch, track):
                continue
            if is_muted:
                self._silence(track)
                continue
            watch.triggered.add(track.object)
            self._last_events_ns[rule.name] = timestamp_ns
            best, frame = self._best(confirmed)
            zones = self._zones_of(confirmed[-1].box_xyxy)
            yield TriggerEvent(rule, track, confirmed, best, frame, zones, timestamp_ns)

    def _is_quiet(self, rule: TriggerRule, timestamp_ns: int) -> bool:
        """Whether the rule's cooldown lasts. An event in the future is of another source's time."""
        last_ns = self._last_events_ns.get(rule.name)
        if last_ns is None:
            return False
        return 0 <= timestamp_ns - last_ns < round(rule.cooldown_s * NS_PER_S)

    @staticmethod
    def _is_repeat(watch: _Watch, track: Track) -> bool:
        return watch.rule.once_per_track and track.object in watch.triggered

    def _confirmed(self, watch: _Watch, track: Track, timestamp_ns: int) -> tuple[Look, ...] | None:
        """The looks that meet the rule, if there are enough and one is of this frame."""
        rule = watch.rule
        if not _is_of(track, rule.labels):
            return None
        if timestamp_ns - track.first_ns < rule.min_duration_s * NS_PER_S:
            return None
        if rule.moving_only and not track.has_moved:
            return None
        window = track.looks[-rule.of_last :]
        if not window or window[-1].timestamp_ns != timestamp_ns:
            return None
        meeting = tuple(look for look in window if self._meets(watch, look))
        if len(meeting) < rule.confirm or meeting[-1] is not window[-1]:
            return None
        return meeting

    def _is_muted(self, track: Track) -> bool:
        """Whether a track that meets a rule has been in one muted place all its time, unmoved.

        A track that leaves the place is not muted any more, and triggers then.
        """
        places = [
            mute.box for mute in self._mutes if not mute.labels or track.is_one_of(mute.labels)
        ]
        if not places or track.has_moved:
            return False
        boxes = np.array([look.box_xyxy for look in track.looks if not look.missed], np.float32)
        places_px = np.array(places, np.float32) * np.array(self._main_size * 2, np.float32)
        return bool((covered(boxes, places_px) >= MUTED_SHARE).all(axis=0).any())

    def _silence(self, track: Track) -> None:
        """Counts an object that would have triggered."""
        self.muted += track.object not in self._silent
        self._silent.add(track.object)

    def _meets(self, watch: _Watch, look: Look) -> bool:
        rule = watch.rule
        if look.missed or look.score < rule.min_score:
            return False
        _, y0, _, y1 = look.box_xyxy
        height = (y1 - y0) / self._main_size[1]
        if not rule.min_height <= height <= rule.max_height:
            return False
        zones = watch.zones
        return not zones or any(_stands_in(look.box_xyxy, zone) for zone in zones)

    def _zones_of(self, box_xyxy: Box) -> tuple[str, ...]:
        return tuple(name for name, zone in self._zones.items() if _stands_in(box_xyxy, zone))

    def _best(self, confirmed: Sequence[Look]) -> tuple[Look, Frame]:
        """The best look whose frame is still kept; the current frame always is."""
        kept = [look for look in confirmed if look.frame_index in self._frames]
        best = max(kept, key=self._quality)
        return best, self._frames[best.frame_index]

    def _quality(self, look: Look) -> float:
        """Higher for a higher score and for a larger and more complete object."""
        x0, y0, x1, y1 = look.box_xyxy
        whole = CUT_QUALITY if is_cut(look.box_xyxy, self._main_size) else 1.0
        return look.score * math.sqrt((x1 - x0) * (y1 - y0)) * whole


def _polygons(zones: Sequence[Zone], main_size: tuple[int, int]) -> dict[str, Polygon]:
    """The corners of each zone in pixels of the main picture, by the zone's name."""
    return {zone.name: polygon_px(zone.polygon, main_size) for zone in zones}


def in_view(tracks: Sequence[Track], names: Sequence[str]) -> bool:
    """Whether a confirmed track has one of these labels or groups."""
    return any(
        track.is_one_of(names) for track in tracks if track.state is not TrackState.TENTATIVE
    )


def is_cut(box_xyxy: Box, size: tuple[int, int]) -> bool:
    """Whether the edge of a picture of this (width, height) may cut the object."""
    x0, y0, x1, y1 = box_xyxy
    width, height = size
    return min(x0, y0, width - x1, height - y1) <= EDGE_PX


def _is_prevented(watch: _Watch, tracks: Sequence[Track], timestamp_ns: int) -> bool:
    """Whether `unless` of the rule is in view, or was shortly before."""
    if in_view(tracks, watch.rule.unless):
        watch.prevented_ns = timestamp_ns
    if watch.prevented_ns is None:
        return False
    return 0 <= timestamp_ns - watch.prevented_ns < UNLESS_S * NS_PER_S


def _is_of(track: Track, labels: Sequence[str]) -> bool:
    """Whether the labels or groups of a rule, empty for any label of the model, hold the track."""
    if labels:
        return track.is_one_of(labels)
    return track.label != MOTION_LABEL


def _stands_in(box_xyxy: Box, zone: Polygon) -> bool:
    """Whether the bottom centre of the box, where the feet are, is in the zone."""
    return point_in_polygon(*feet(box_xyxy), zone)
