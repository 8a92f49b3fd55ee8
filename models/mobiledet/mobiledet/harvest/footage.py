"""Reads footage twice: once to see what happens in it, once for the frames that are kept."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from edge.config.schema import Settings
from edge.errors import PermanentError
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.sources.base import Source
from edge.vision.geometry import Box, Boxes, clip
from edge.vision.types import Frame, Luma, SourceInfo
from mobiledet.harvest.candidates import Candidates, Moving
from mobiledet.harvest.ghosts import BRIEF, fault, steady
from mobiledet.harvest.taught import Taught
from mobiledet.harvest.teacher import Teacher
from mobiledet.harvest.trails import Moment, Sight, Trail, Watched, boxes_of, places_of, unexplained

LUMA_WIDTH_PX = 480  # outlines are nearer than on the daemon's 320, and there is time
PRIME_S, PRIME_EVERY_S = 20.0, 0.4
MOSTLY = 0.5  # a trail is new where the teacher accounts for less than half of it

MakeTeacher = Callable[[Source], Teacher]
Progress = Callable[[int, int | None], None]


def harvesting(settings: Settings, uri: str) -> Settings:
    """Settings with which `uri` is read at leisure."""
    source = msgspec.structs.replace(
        settings.source, uri=uri, fast=True, loop=False, luma_width_px=LUMA_WIDTH_PX
    )
    return msgspec.structs.replace(settings, source=source)


class _Played:
    """A source open for as long as its frames are wanted."""

    def __init__(self, settings: Settings) -> None:
        self.uri = settings.source.uri
        self.source = open_source(settings.source, recording=True)

    def __enter__(self) -> _Played:
        self.info: SourceInfo = self.source.open()
        if self.info.live:
            self.source.close()
            raise PermanentError(f"source {self.uri}: a harvest needs a recording")
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def frames(self) -> Iterator[tuple[Frame, float]]:
        """Frames with their time since the first, in seconds."""
        start_ns: int | None = None
        while (frame := self.source.read()) is not None:
            start_ns = frame.timestamp_ns if start_ns is None else start_ns
            yield frame, (frame.timestamp_ns - start_ns) / NS_PER_S


def empty_scene(settings: Settings) -> Luma:
    """The median of the first seconds: (h, w) uint8, the scene without what passes through it.

    With it, what is there from the first frame on leaves no ghost (the temporal median as a
    background: Cucchiara et al., "Detecting Moving Objects, Ghosts, and Shadows in Video Streams",
    2003). Raises PermanentError for footage without a frame.
    """
    planes: list[Luma] = []
    with _Played(settings) as played:
        for frame, time_s in played.frames():
            if time_s > PRIME_S:
                break
            if time_s >= len(planes) * PRIME_EVERY_S:
                planes.append(frame.luma.copy())
    if not planes:
        raise PermanentError(f"source {settings.source.uri}: no frames in it")
    return np.asarray(np.median(np.stack(planes), axis=0), np.uint8)


def watch(
    settings: Settings,
    every_s: float,
    teacher: MakeTeacher | None,
    only: frozenset[str],
    progress: Progress,
) -> Watched:
    """One footage from beginning to end.

    every_s: the least time between two moments. teacher: makes one for the source. only: labels
    that count. progress: is told the frames done and, where it is known, their number.
    Raises EdgeError.
    """
    watched, background = Watched(), empty_scene(settings)
    moving: dict[int, list[Sight]] = defaultdict(list)
    with _Played(settings) as played:
        watched.width, watched.height = size = played.info.main_size
        shape = background.shape[0], background.shape[1]
        candidates = Candidates(settings, shape, size)
        taught = None
        if teacher is not None:
            taught = Taught(teacher(played.source), settings, shape, size, only)
        due_s = 0.0
        for frame, time_s in played.frames():
            if frame.index == 0:
                candidates.prime(background, frame.timestamp_ns - NS_PER_S)
            seen = candidates(frame)
            for number, sight in _sights(seen, frame.index, time_s):
                moving[number].append(sight)
            is_due = time_s >= due_s
            if is_due:
                due_s = max(due_s + every_s, time_s)
                watched.moments.append(Moment(frame.index, time_s))
            if taught is not None:
                shown = seen.boxes_xyxy if is_due else None
                taught(frame, candidates.motion.mask, time_s, shown)
            watched.duration_s = time_s
            progress(frame.index + 1, played.info.frame_count)
    _conclude(watched, [Trail(sights) for sights in moving.values()], taught)
    return watched


def _sights(seen: Moving, frame_index: int, time_s: float) -> Iterator[tuple[int, Sight]]:
    for row, number in enumerate(seen.ids.tolist()):
        box, edges, met = _box(seen.boxes_xyxy[row]), float(seen.edges[row]), bool(seen.met[row])
        yield number, Sight(frame_index, time_s, box, edges, met)


def _conclude(watched: Watched, moving: list[Trail], taught: Taught | None) -> None:
    """Judges what moved over all its frames; from here on only the moments count."""
    moments = {moment.frame_index for moment in watched.moments}
    known: list[Trail] = []
    if taught is not None:
        known, unclear = taught.result()
        for frame_index, box in unclear:
            watched.unclear[frame_index].append(box)
    places = places_of(known)
    for trail in moving:
        why, size_is_usual = fault(trail), steady(trail)
        at = np.array([sight.frame_index in moments for sight in trail.sights])
        usual = size_is_usual & (why != BRIEF)
        sights = [sight for sight, kept in zip(trail.sights, at & usual, strict=True) if kept]
        stray = [sight for sight, lone in zip(trail.sights, at & ~usual, strict=True) if lone]
        new = unexplained(sights, places)
        if len(new) > MOSTLY * len(sights):
            known.append(Trail(new, fault=why))
        else:
            stray += new
        for sight in unexplained(stray, places):
            watched.unclear[sight.frame_index].append(sight.box_xyxy)
    size = watched.width, watched.height
    watched.trails = [_inside(trail, size) for trail in known]
    for frame_index, boxes in watched.unclear.items():
        whole = clip(boxes_of(boxes), *size)
        watched.unclear[frame_index] = [_box(box) for box in whole[_has_area(whole)]]


def _inside(trail: Trail, size: tuple[int, int]) -> Trail:
    """Boxes cut at the picture's edge (width, height); sights that are wholly beyond it go."""
    boxes = clip(trail.boxes_xyxy(), *size)
    rows = zip(trail.sights, boxes, _has_area(boxes), strict=True)
    sights = [dataclasses.replace(sight, box_xyxy=_box(box)) for sight, box, kept in rows if kept]
    return Trail(sights, trail.label, trail.fault)


def _has_area(boxes_xyxy: Boxes) -> npt.NDArray[np.bool_]:
    return np.asarray((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).min(axis=1, initial=np.inf) >= 1)


def _box(row: npt.NDArray[np.float32]) -> Box:
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1


def frames_at(settings: Settings, wanted: Collection[int], progress: Progress) -> Iterator[Frame]:
    """Those frames again, in order."""
    last = max(wanted, default=-1)
    with _Played(settings) as played:
        for frame, _ in played.frames():
            if frame.index > last:
                return
            progress(frame.index + 1, last + 1)
            if frame.index in wanted:
                yield frame
