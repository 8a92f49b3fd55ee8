"""Assigns detections to tracks, so that an object keeps its identity between looks.

Most frames bring no detection for most objects, so each track is moved by the time that passed and
the distance by which its pixels moved (`edge.vision.kalman`). Detections are matched
by buffered IoU (Yang et al., "Hard to Track Objects with Irregular Motions and Similar
Appearances?", 2023), strong ones first and weak ones for the tracks that are left (Zhang et al.,
"ByteTrack", 2022).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge.config.schema import LOOKS_KEPT, TrackerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Boxes, covered, grown, intersection, iou
from edge.vision.kalman import BoxFilter
from edge.vision.owner import UNKNOWN, Histogram, Owner
from edge.vision.types import Detections, Look, Track, TrackState

# Chosen by F1 on PETS and TUD-Campus in both directions; their effect is in
# "Tuning constants" in docs/BENCHMARKS.md.
BUFFERS = (0.15, 0.5)  # shares of their size by which boxes grow in the rounds of matching
TENTATIVE_MISSES = 2  # in a row; a track that was never confirmed ends after more
MAX_JUMP = 0.6  # box heights per s: a larger jump while boxes overlap is the other object's shift
MIN_HITS_FOR_VELOCITY = 3  # before, the velocity is too uncertain to doubt a shift
LABEL_DECAY = 0.9  # multiplies the votes for each label at each detection
SAME_OBJECT_IOU = 0.6  # two tracks that overlap more are one
KNOWN_GONE = 8  # objects of ended tracks whose colours are remembered
EXAMINED_SHARE = 0.9  # of a track's box that lies in a crop, so that the look can be a miss


class _Votes:
    """The label of a track by its detections: the one with most votes within the group with most.

    A sheep and a bear outvote a person.
    """

    def __init__(self, group_of: Mapping[str, str]) -> None:
        self.label = ""
        self._group_of = group_of
        self._votes: dict[str, float] = {}

    @property
    def group(self) -> str:
        """Of the label; empty if it has none."""
        return self._group_of.get(self.label, "")

    def add(self, label: str, score: float) -> None:
        votes = {known: share * LABEL_DECAY for known, share in self._votes.items()}
        votes[label] = votes.get(label, 0.0) + score
        together: dict[str, float] = {}
        for known, share in votes.items():
            group = self._group_of.get(known) or known
            together[group] = together.get(group, 0.0) + share
        self._votes = votes
        self.label = max(
            votes, key=lambda one: (together[self._group_of.get(one) or one], votes[one])
        )


class _OpenTrack:
    """A track that has not ended, of which `Track` is a snapshot."""

    def __init__(
        self, track_id: int, look: Look, group_of: Mapping[str, str], colours: Histogram
    ) -> None:
        self.id = track_id
        self.votes = _Votes(group_of)
        self.owner = Owner(colours)
        self.shape = BoxFilter(look.box_xyxy)
        self.first_ns = self.last_seen_ns = look.timestamp_ns
        self.confirmed = False
        self.hits, self.misses = 0, 0
        self.looks: deque[Look] = deque(maxlen=LOOKS_KEPT)
        self.score = 0.0  # mean of the detections among the looks
        self._add(look)

    @property
    def box_xyxy(self) -> Box:
        return self.shape.box_xyxy

    @property
    def label(self) -> str:
        return self.votes.label

    def predict(self, dt_s: float, shift_xy: Sequence[float], crosses: bool) -> None:
        """shift_xy: NaN where the pixels were not followed. crosses: it overlaps another track."""
        doubtful = crosses and self.hits >= MIN_HITS_FOR_VELOCITY
        limit_px = MAX_JUMP * self.shape.height * dt_s if doubtful else np.inf
        self.shape.predict(dt_s, shift_xy, limit_px)

    def hit(self, look: Look, colours: Histogram, known: Sequence[Histogram] = ()) -> None:
        """Adds a look that detected the object. known: colours of the objects of other tracks."""
        self.owner.update(colours, known)
        self.shape.correct(look.box_xyxy)
        self.last_seen_ns = look.timestamp_ns
        self._add(look)

    def miss(self, look: Look) -> None:
        """Adds a look that should have detected the object."""
        self._remember(look)
        self.misses += 1

    def _add(self, look: Look) -> None:
        self._remember(look)
        self.hits, self.misses = self.hits + 1, 0
        self.votes.add(look.label, look.score)

    def _remember(self, look: Look) -> None:
        self.looks.append(look)
        scores = [look.score for look in self.looks if not look.missed]
        self.score = sum(scores) / len(scores) if scores else 0.0


class Tracker:
    """Keeps the open tracks of one camera. Frames may be skipped: each brings its own time.

    boxes_xyxy: (n, 4) main pixels, of `tracks()`, in its order.
    """

    def __init__(
        self,
        settings: TrackerSettings,
        labels: tuple[str, ...],
        min_score: float,
        main_size: tuple[int, int],
        groups: tuple[str, ...] = (),
    ) -> None:
        """labels, groups: of the model, by class id. min_score: lowest of a strong detection."""
        self._settings = settings
        self._labels = labels
        self._group_of = dict(zip(labels, groups, strict=False))
        self._min_score = min_score
        self._main_size = main_size
        self._open: list[_OpenTrack] = []
        self._ended: list[Track] = []
        self._next_id = 1
        self._gone: deque[Histogram] = deque(maxlen=KNOWN_GONE)
        self._now_ns: int | None = None
        self.boxes_xyxy: Boxes = _boxes_of(self._open)

    def begin_scene(self, main_size: tuple[int, int]) -> None:
        """Ends all tracks, as the next frame has this size. Their last boxes are in its pixels."""
        kept = len(self._ended)
        self._end(self._open)
        scale = main_size[0] / self._main_size[0], main_size[1] / self._main_size[1]
        self._ended[kept:] = [_scaled(track, scale) for track in self._ended[kept:]]
        self._main_size = main_size
        self.boxes_xyxy = _boxes_of(self._open)

    def apply(self, settings: TrackerSettings) -> None:
        """Uses new settings from the next frame on; the tracks stay."""
        self._settings = settings

    def predict(self, timestamp_ns: int, shifts_xy: npt.NDArray[np.float32] | None = None) -> None:
        """Moves every track to a frame's time; ends those that left or were not detected for long.

        shifts_xy: (n, 2) main pixels by which the pixels of each of `tracks()` moved since the last
            call, NaN where they were not followed.
        """
        elapsed_s = (timestamp_ns - (self._now_ns or timestamp_ns)) / NS_PER_S
        self._now_ns = timestamp_ns
        if not self._open:
            return
        if shifts_xy is None:
            shifts_xy = np.full((len(self._open), 2), np.nan, np.float32)
        crossing = self._crossing()
        for track, shift_xy, crosses in zip(
            self._open, shifts_xy.tolist(), crossing.tolist(), strict=True
        ):
            track.predict(elapsed_s, shift_xy, crosses)
        self._end(track for track in self._open if self._is_lost(track))
        self.boxes_xyxy = _boxes_of(self._open)

    def update(
        self,
        detections: Detections,
        crops_xyxy: Boxes,
        frame_index: int,
        colours: Sequence[Histogram] = (),
    ) -> npt.NDArray[np.int64]:
        """Assigns the detections of one frame to tracks. Call `predict` with its time first.

        detections: boxes in main pixels, scores from the tracker's `weak_score` up.
        crops_xyxy: (k, 4) main pixels, crops that were examined. A track inside one of them without
            a detection has been missed; of the others nothing is known.
        colours: of each detection, from `edge.vision.colours`; without them, takeovers of tracks
            are not noticed.
        Returns (n,) the track id of each detection, 0 for a weak one that belongs to none.
        """
        assert self._now_ns is not None
        ids = np.zeros(len(detections), np.int64)
        colours = colours or [UNKNOWN] * len(detections)
        known = {track.id: track.owner.colours for track in self._open}
        free = list(self._open)
        strong = detections.scores >= self._min_score
        for is_strong, buffer in ((True, BUFFERS[0]), (True, BUFFERS[1]), (False, BUFFERS[0])):
            rows = np.flatnonzero((strong == is_strong) & (ids == 0))
            for track, row in self._match(free, detections.boxes_xyxy, rows, buffer):
                others = [*self._gone, *(known[one] for one in known if one != track.id)]
                track.hit(self._look(detections, row, frame_index), colours[row], others)
                ids[row] = track.id
                free.remove(track)
        self._miss(free, crops_xyxy, frame_index)
        for row in np.flatnonzero((ids == 0) & strong):
            ids[row] = self._start(self._look(detections, row, frame_index), colours[row])
        for track in self._open:
            track.confirmed = track.confirmed or self._is_convincing(track)
        self._end([track for track in self._open if self._is_lost(track)])
        self._end(self._twins())
        self.boxes_xyxy = _boxes_of(self._open)
        return ids

    def tracks(self) -> tuple[Track, ...]:
        """The open tracks as they are at the last frame's time."""
        return tuple(self._snapshot(track) for track in self._open)

    def take_ended(self) -> tuple[Track, ...]:
        """The tracks that ended since the last call, in state GONE; each is given once."""
        ended, self._ended = tuple(self._ended), []
        return ended

    def _match(
        self, free: list[_OpenTrack], boxes_xyxy: Boxes, rows: npt.NDArray[np.intp], buffer: float
    ) -> Iterable[tuple[_OpenTrack, int]]:
        """Pairs of track and row, greedily by overlap."""
        if not free or len(rows) == 0:
            return
        overlap = iou(grown(_boxes_of(free), buffer), grown(boxes_xyxy[rows], buffer))
        tracks = list(free)
        while overlap.size:
            best = int(overlap.argmax())
            t, d = divmod(best, overlap.shape[1])
            if overlap[t, d] < self._settings.min_iou:
                return
            yield tracks[t], int(rows[d])
            overlap[t, :] = -1
            overlap[:, d] = -1

    def _miss(self, free: list[_OpenTrack], crops_xyxy: Boxes, frame_index: int) -> None:
        if not free or len(crops_xyxy) == 0:
            return
        assert self._now_ns is not None
        examined = covered(_boxes_of(free), crops_xyxy).max(axis=1) > EXAMINED_SHARE
        for track, was_examined in zip(free, examined, strict=True):
            if was_examined:
                track.miss(Look(frame_index, self._now_ns, track.box_xyxy, 0.0, track.label))

    def _start(self, look: Look, colours: Histogram) -> int:
        self._open.append(_OpenTrack(self._next_id, look, self._group_of, colours))
        self._next_id += 1
        return self._open[-1].id

    def _look(self, detections: Detections, row: int, frame_index: int) -> Look:
        assert self._now_ns is not None
        x0, y0, x1, y1 = detections.boxes_xyxy[row].tolist()
        label = self._labels[int(detections.class_ids[row])]
        score = float(detections.scores[row])
        return Look(frame_index, self._now_ns, (x0, y0, x1, y1), score, label)

    def _is_convincing(self, track: _OpenTrack) -> bool:
        """Whether it was detected often enough, or once with a high enough score."""
        often = track.hits >= self._settings.confirm_looks
        return often or track.looks[-1].score >= self._settings.sure_score

    def _is_lost(self, track: _OpenTrack) -> bool:
        assert self._now_ns is not None
        allowed = self._settings.max_misses if track.confirmed else TENTATIVE_MISSES
        unseen_s = (self._now_ns - track.last_seen_ns) / NS_PER_S
        width, height = self._main_size
        x, y = track.shape.x.position, track.shape.y.position
        outside = not (0 <= x < width and 0 <= y < height)
        return track.misses > allowed or outside or unseen_s > self._settings.max_unseen_s

    def _crossing(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each open track's box overlaps another's."""
        boxes = self.boxes_xyxy
        return np.asarray(np.count_nonzero(intersection(boxes, boxes), axis=1) > 1)

    def _twins(self) -> list[_OpenTrack]:
        """The younger of two tracks that overlap almost completely."""
        if len(self._open) < 2:
            return []
        boxes = _boxes_of(self._open)
        pairs = np.argwhere(iou(boxes, boxes) > SAME_OBJECT_IOU).tolist()
        return [self._open[row] for row in sorted({row for row, other in pairs if row > other})]

    def _end(self, tracks: Iterable[_OpenTrack]) -> None:
        for track in list(tracks):
            self._open.remove(track)
            if track.confirmed:
                self._gone.append(track.owner.colours)
                self._ended.append(self._snapshot(track, TrackState.GONE))

    def _snapshot(self, track: _OpenTrack, state: TrackState | None = None) -> Track:
        return Track(
            id=track.id,
            label=track.label,
            score=track.score,
            box_xyxy=track.box_xyxy,
            velocity_px_s=track.shape.velocity_px_s,
            state=state or self._state(track),
            first_ns=track.first_ns,
            last_seen_ns=track.last_seen_ns,
            misses=track.misses,
            has_moved=track.shape.has_moved,
            group=track.votes.group,
            takeovers=track.owner.takeovers,
            looks=tuple(track.looks),
        )

    def _state(self, track: _OpenTrack) -> TrackState:
        if not track.confirmed:
            return TrackState.TENTATIVE
        speed = math.hypot(*track.shape.velocity_px_s)
        standing = speed < self._settings.stationary_speed * track.shape.height
        return TrackState.STATIONARY if standing else TrackState.MOVING


def _boxes_of(tracks: Sequence[_OpenTrack]) -> Boxes:
    return np.array([track.box_xyxy for track in tracks], np.float32).reshape(-1, 4)


def _scaled(track: Track, scale_xy: tuple[float, float]) -> Track:
    """The same track in a picture of another size."""
    (x, y), (x0, y0, x1, y1), (vx, vy) = scale_xy, track.box_xyxy, track.velocity_px_s
    return replace(track, box_xyxy=(x0 * x, y0 * y, x1 * x, y1 * y), velocity_px_s=(vx * x, vy * y))
