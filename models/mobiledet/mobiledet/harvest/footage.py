"""Reads footage twice: once to observe objects, once for the frames that become pictures."""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge.config.schema import Settings
from edge.errors import PermanentError
from edge.runtime.times import NS_PER_S
from edge.sources.base import Source
from edge.vision.geometry import Box, Boxes, clip
from edge.vision.sizes import SizeWatch
from edge.vision.types import Frame, Luma, SourceInfo
from mobiledet.harvest.candidates import Candidates, Moving
from mobiledet.harvest.ghosts import BRIEF, fault, steady
from mobiledet.harvest.teacher import Teacher
from mobiledet.harvest.teacher_tracks import TeacherTracks
from mobiledet.harvest.trails import (
    Moment,
    Observations,
    Sighting,
    Trail,
    boxes_of,
    places_of,
    unexplained,
)
from mobiledet.recording import Recording

LUMA_WIDTH_PX = 480  # outlines are more exact than at the daemon's 320 px, and time is no limit
# Chosen: each pixel must be free of objects for more than half of this time, for the median.
PRIME_S, PRIME_EVERY_S = 20.0, 0.4
MOSTLY = 0.5  # a trail is new if the teacher explains less than half of it

log = logging.getLogger(__name__)

MakeTeacher = Callable[[Source], Teacher]
Progress = Callable[[int, int | None], None]


def harvest_settings(settings: Settings, uri: str) -> Settings:
    """Settings by which `uri` is read once, every frame and as fast as possible."""
    source = msgspec.structs.replace(
        settings.source, uri=uri, fast=True, loop=False, luma_width_px=LUMA_WIDTH_PX
    )
    return msgspec.structs.replace(settings, source=source)


def empty_scene(settings: Settings) -> Luma:
    """The median of the first seconds, (h, w) uint8: the scene without passing objects.

    With it as the background, an object that is there from the first frame leaves no ghost
    (temporal median: Cucchiara et al., "Detecting Moving Objects, Ghosts, and Shadows in Video
    Streams", 2003). Raises PermanentError for footage without a frame, and for a live source.
    """
    planes: list[Luma] = []
    name = settings.source.name
    with Recording(settings.source, settings.privacy.masks) as recording:
        if recording.info.live:
            raise PermanentError(f"source {name}: a harvest needs a recording")
        for frame, time_s in recording.frames():
            if time_s > PRIME_S or (planes and frame.luma.shape != planes[0].shape):
                break
            if time_s >= len(planes) * PRIME_EVERY_S:
                planes.append(frame.luma.copy())
    if not planes:
        raise PermanentError(f"source {name}: it has no frames")
    return np.asarray(np.median(np.stack(planes), axis=0), np.uint8)


def observe(
    settings: Settings,
    every_s: float,
    make_teacher: MakeTeacher | None,
    only: frozenset[str],
    progress: Progress,
) -> Observations:
    """Observes one footage from its first frame to its last.

    every_s: minimum time between two moments. only: labels of the teacher to use, empty = all.
    progress: called with the number of frames read and, where it is known, of all frames.
    Raises EdgeError.
    """
    observations = Observations()
    background = empty_scene(settings)
    with Recording(settings.source, settings.privacy.masks) as recording:
        info, name = recording.info, recording.info.name
        teacher = make_teacher(recording.source) if make_teacher is not None else None
        sizes, due_s = SizeWatch.of(info), 0.0
        scene: _Scene | None = None
        for frame, time_s in recording.frames():
            changed = sizes.changed(frame)
            if changed:
                log.warning("%s", sizes.sentence(name))
            if scene is None or changed:
                if scene is not None:
                    scene.conclude(observations)
                scene = _Scene(settings, _resized(info, sizes), teacher, only)
                scene.prime(background, frame.timestamp_ns - NS_PER_S)
            is_due = time_s >= due_s
            if is_due:
                due_s = max(due_s + every_s, time_s)
                observations.moments.append(Moment(frame.index, time_s, sizes.main_size))
            scene.observe(frame, time_s, is_due=is_due)
            observations.duration_s = time_s
            progress(frame.index + 1, info.frame_count)
    if scene is not None:
        scene.conclude(observations)
    return observations


def _resized(info: SourceInfo, sizes: SizeWatch) -> SourceInfo:
    return dataclasses.replace(info, main_size=sizes.main_size, luma_size=sizes.luma_size)


class _Scene:
    """The observations in consecutive frames of one size; no trail goes on in another size."""

    def __init__(
        self, settings: Settings, info: SourceInfo, teacher: Teacher | None, only: frozenset[str]
    ) -> None:
        self._info = info
        self._candidates = Candidates(settings, info)
        self._tracks = TeacherTracks(teacher, settings, info, only) if teacher is not None else None
        self._moving: dict[int, list[Sighting]] = defaultdict(list)

    def prime(self, background: Luma, timestamp_ns: int) -> None:
        """background: the empty scene, in any size. timestamp_ns: a time before the first frame."""
        if (background.shape[1], background.shape[0]) != self._info.luma_size:
            resized = cv2.resize(background, self._info.luma_size, interpolation=cv2.INTER_AREA)
            background = np.asarray(resized, np.uint8)
        self._candidates.prime(background, timestamp_ns)

    def observe(self, frame: Frame, time_s: float, *, is_due: bool) -> None:
        """is_due: whether the frame may become a picture, so that the teacher looks at it."""
        blobs = self._candidates(frame)
        for track_id, sighting in _sightings(blobs, frame.index, time_s):
            self._moving[track_id].append(sighting)
        if self._tracks is not None:
            moving_xyxy = blobs.boxes_xyxy if is_due else None
            self._tracks(frame, self._candidates.mask, time_s, moving_xyxy)

    def conclude(self, observations: Observations) -> None:
        """Adds the trails and unclear places of these frames."""
        moving = [Trail(sightings) for sightings in self._moving.values()]
        _conclude(observations, moving, self._tracks, self._info.main_size)


def _sightings(blobs: Moving, frame_index: int, time_s: float) -> Iterator[tuple[int, Sighting]]:
    for row, track_id in enumerate(blobs.ids.tolist()):
        box, edges, met = _box(blobs.boxes_xyxy[row]), float(blobs.edges[row]), bool(blobs.met[row])
        yield track_id, Sighting(frame_index, time_s, box, edges, met)


def _conclude(
    observations: Observations,
    moving: list[Trail],
    tracks: TeacherTracks | None,
    size: tuple[int, int],
) -> None:
    """Adds trails and unclear places. All frames decide about a trail; only moments are kept.

    size: (width, height) of the picture.
    """
    moments = {moment.frame_index for moment in observations.moments}
    trails: list[Trail] = []
    unclear: dict[int, list[Box]] = defaultdict(list)
    if tracks is not None:
        trails, places_unclear = tracks.result()
        for frame_index, box in places_unclear:
            unclear[frame_index].append(box)
    places = places_of(trails)
    for trail in moving:
        new, stray = _sorted_out(trail, moments, places)
        if new is not None:
            trails.append(new)
        for sighting in unexplained(stray, places):
            unclear[sighting.frame_index].append(sighting.box_xyxy)
    observations.trails += [_inside(trail, size) for trail in trails]
    for frame_index, boxes in unclear.items():
        cut = clip(boxes_of(boxes), *size)
        observations.unclear[frame_index] = [_box(box) for box in cut[_has_area(cut)]]


def _sorted_out(
    trail: Trail, moments: set[int], places: dict[int, Boxes]
) -> tuple[Trail | None, list[Sighting]]:
    """The trail if it is an object that the teacher has not found, and its unclear sightings."""
    reason, is_steady = fault(trail), steady(trail)
    clear: list[Sighting] = []
    stray: list[Sighting] = []
    for sighting, alone in zip(trail.sightings, is_steady.tolist(), strict=True):
        if sighting.frame_index in moments:
            (clear if alone and reason != BRIEF else stray).append(sighting)
    new = unexplained(clear, places)
    if len(new) > MOSTLY * len(clear):
        return Trail(new, fault=reason), stray
    return None, stray + new


def _inside(trail: Trail, size: tuple[int, int]) -> Trail:
    """Boxes cut at the edge of the picture (width, height); those outside it are left out."""
    boxes = clip(trail.boxes_xyxy(), *size)
    rows = zip(trail.sightings, boxes, _has_area(boxes), strict=True)
    sightings = [dataclasses.replace(s, box_xyxy=_box(box)) for s, box, kept in rows if kept]
    return Trail(sightings, trail.label, trail.fault)


def _has_area(boxes_xyxy: Boxes) -> npt.NDArray[np.bool_]:
    """(n,) whether a box is at least a pixel wide and high."""
    return np.asarray((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).min(axis=1, initial=np.inf) >= 1)


def _box(row: npt.NDArray[np.float32]) -> Box:
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1


def frames_at(settings: Settings, wanted: Collection[int], progress: Progress) -> Iterator[Frame]:
    """Reads the footage again for the frames with these indices, in order."""
    last = max(wanted, default=-1)
    with Recording(settings.source, settings.privacy.masks) as recording:
        for frame, _ in recording.frames():
            if frame.index > last:
                return
            progress(frame.index + 1, last + 1)
            if frame.index in wanted:
                yield frame
