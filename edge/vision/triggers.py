"""Tracks to trigger events, by rules.

A rule asks for labels, score, zones, size, a schedule and confirmation by several looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from edge.config.schema import TriggerRule, Zone
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Polygon, point_in_polygon
from edge.vision.types import Look, Track


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """A rule that was met by a track.

    confirmed: the looks that met it, oldest first; the last is of the current frame.
    best: the one whose picture shows the object best.
    zones: names of all zones that the object stands in.
    """

    rule: TriggerRule
    track: Track
    confirmed: tuple[Look, ...]
    best: Look
    zones: tuple[str, ...]
    timestamp_ns: int


class Triggers:
    """Holds what the rules remember: cooldowns, and which tracks have triggered."""

    def __init__(
        self, rules: Sequence[TriggerRule], zones: Sequence[Zone], main_size: tuple[int, int]
    ) -> None:
        """Every zone that a rule names must be among `zones`: KeyError otherwise."""
        self._rules = tuple(rules)
        width, height = main_size
        self._main_size = main_size
        self._zones: dict[str, Polygon] = {
            zone.name: [(x * width, y * height) for x, y in zone.polygon] for zone in zones
        }
        self._rule_zones = {
            rule.name: {name: self._zones[name] for name in rule.zones} for rule in rules
        }
        self._quiet_until_ns: dict[str, int] = {}
        self._triggered: dict[str, set[int]] = {rule.name: set() for rule in rules}

    def __call__(
        self, tracks: Sequence[Track], timestamp_ns: int, wall_ns: int
    ) -> tuple[TriggerEvent, ...]:
        """Events of this frame. `wall_ns`, Unix time, decides on schedules by local time."""
        events = []
        for rule in self._rules:
            if timestamp_ns < self._quiet_until_ns.get(rule.name, timestamp_ns):
                continue
            if rule.schedule and not _scheduled(rule.schedule, wall_ns):
                continue
            event = self._first_event(rule, tracks, timestamp_ns)
            if event is not None:
                events.append(event)
        return tuple(events)

    def _first_event(
        self, rule: TriggerRule, tracks: Sequence[Track], timestamp_ns: int
    ) -> TriggerEvent | None:
        """At most one event of a rule: the cooldown begins with it."""
        triggered = self._triggered[rule.name]
        triggered &= {track.id for track in tracks}
        for track in tracks:
            confirmed = self._confirmed(rule, track, timestamp_ns)
            if confirmed is None:
                continue
            triggered.add(track.id)
            self._quiet_until_ns[rule.name] = timestamp_ns + round(rule.cooldown_s * NS_PER_S)
            best = max(confirmed, key=self._quality)
            zones = self._zones_of(confirmed[-1].box_xyxy)
            return TriggerEvent(rule, track, confirmed, best, zones, timestamp_ns)
        return None

    def _confirmed(
        self, rule: TriggerRule, track: Track, timestamp_ns: int
    ) -> tuple[Look, ...] | None:
        """The looks that meet the rule, where enough of the last do and one is of this frame."""
        if rule.once_per_track and track.id in self._triggered[rule.name]:
            return None
        if rule.labels and track.label not in rule.labels:
            return None
        if rule.moving_only and not track.has_moved:
            return None
        window = track.looks[-rule.of_last :]
        if not window or window[-1].timestamp_ns != timestamp_ns:
            return None
        meeting = tuple(look for look in window if self._meets(rule, look))
        if len(meeting) < rule.confirm or meeting[-1] is not window[-1]:
            return None
        return meeting

    def _meets(self, rule: TriggerRule, look: Look) -> bool:
        _, y0, _, y1 = look.box_xyxy
        height = (y1 - y0) / self._main_size[1]
        if look.score < max(rule.min_score, 1e-6):
            return False
        if not rule.min_height <= height <= rule.max_height:
            return False
        zones = self._rule_zones[rule.name]
        return not zones or any(_stands_in(look.box_xyxy, zone) for zone in zones.values())

    def _zones_of(self, box_xyxy: Box) -> tuple[str, ...]:
        return tuple(name for name, zone in self._zones.items() if _stands_in(box_xyxy, zone))

    def _quality(self, look: Look) -> float:
        """Sure, large and whole: half as good where the picture's edge may cut the object."""
        x0, y0, x1, y1 = look.box_xyxy
        width, height = self._main_size
        inside = x0 > 1 and y0 > 1 and x1 < width - 1 and y1 < height - 1
        return look.score * math.sqrt((x1 - x0) * (y1 - y0)) * (1.0 if inside else 0.5)


def _stands_in(box_xyxy: Box, zone: Polygon) -> bool:
    """By the bottom centre: where the feet are."""
    x0, _, x1, y1 = box_xyxy
    return point_in_polygon((x0 + x1) / 2, y1, zone)


def _scheduled(spans: Sequence[str], wall_ns: int) -> bool:
    """Whether local time is in a span `HH:MM-HH:MM`; an earlier end is that of the next day."""
    now = datetime.fromtimestamp(wall_ns / NS_PER_S).astimezone().strftime("%H:%M")
    for span in spans:
        start, end = span.split("-")
        if (start <= now < end) if start < end else (now >= start or now < end):
            return True
    return False
