"""Detections to tracks: identity over time, between looks as well.

Most frames bring no detection for most objects, so a track is told how much time passed and how far
its pixels moved, and moves on by itself: a constant-velocity Kalman filter for the centre, a slow
average for the size.
Detections are matched by buffered IoU (Yang et al., "Hard to Track Objects", 2023), strong ones
first and weak ones for what is left (Zhang et al., "ByteTrack", 2022).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from edge.config.schema import TrackerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Boxes, covered, grown, intersection, iou
from edge.vision.types import Detections, Look, Track, TrackState

BUFFERS = (0.15, 0.5)  # by these shares of their size boxes are grown for the rounds of matching
LOOKS_KEPT = 16
TENTATIVE_MISSES = 2  # a track that was never confirmed ends sooner
POSITION_NOISE = 0.05  # of a measured centre, in box heights
ACCELERATION = 1.0  # box heights per s², unexplained
FIRST_SPEED = 1.0  # box heights per s, standard deviation
SHIFT_GAIN = 0.3  # weight of a shift in the velocity
MAX_JUMP = 0.6  # box heights per s: what jumps more where boxes overlap is somebody else's shift
KNOWN_LOOKS = 3  # from so many on a velocity can be told
SIZE_GAIN = 0.35  # weight of a new size
LABEL_DECAY = 0.9
SAME_OBJECT_IOU = 0.6  # two tracks that overlap so much are one


class _Axis:
    """Kalman filter of one coordinate: position and velocity, white noise acceleration."""

    def __init__(self, position: float, scale: float) -> None:
        self.position, self.velocity = position, 0.0
        self._pp, self._pv, self._vv = (
            (POSITION_NOISE * scale) ** 2,
            0.0,
            (FIRST_SPEED * scale) ** 2,
        )

    def predict(self, dt_s: float, scale: float) -> None:
        q = (ACCELERATION * scale) ** 2
        self.position += self.velocity * dt_s
        self._pp += dt_s * (2 * self._pv + dt_s * self._vv) + q * dt_s**4 / 4
        self._pv += dt_s * self._vv + q * dt_s**3 / 2
        self._vv += q * dt_s**2

    def shift(self, before: float, shift: float, dt_s: float) -> None:
        """What was seen to move from `before` isn't where it was predicted, but where it went."""
        self.position = before + shift
        if dt_s > 0:
            self.velocity += SHIFT_GAIN * (shift / dt_s - self.velocity)

    def correct(self, measured: float, scale: float) -> None:
        total = self._pp + (POSITION_NOISE * scale) ** 2
        gain_p, gain_v = self._pp / total, self._pv / total
        error = measured - self.position
        self.position += gain_p * error
        self.velocity += gain_v * error
        self._vv -= gain_v * self._pv
        self._pv -= gain_v * self._pp
        self._pp -= gain_p * self._pp


class _Open:
    """A track that hasn't ended: the mutable side of `Track`."""

    def __init__(self, track_id: int, box_xyxy: Box, look: Look) -> None:
        x0, y0, x1, y1 = box_xyxy
        self.id = track_id
        self.width, self.height = x1 - x0, y1 - y0
        self.x = _Axis((x0 + x1) / 2, self.height)
        self.y = _Axis((y0 + y1) / 2, self.height)
        self.first_ns = self.last_seen_ns = look.timestamp_ns
        self.start = (self.x.position, self.y.position)
        self.confirmed = False
        self.seen, self.misses = 0, 0
        self.votes: dict[str, float] = {}
        self.looks: deque[Look] = deque(maxlen=LOOKS_KEPT)
        self.has_moved = False
        self._note(look)

    @property
    def box_xyxy(self) -> Box:
        half_w, half_h = self.width / 2, self.height / 2
        x, y = self.x.position, self.y.position
        return x - half_w, y - half_h, x + half_w, y + half_h

    @property
    def label(self) -> str:
        return max(self.votes, key=lambda label: self.votes[label])

    def predict(self, dt_s: float, shift_xy: Sequence[float], crosses: bool) -> None:
        """Moves on by what was followed; NaN, or a jump while it crosses another, was not."""
        axes = list(zip((self.x, self.y), shift_xy, strict=True))
        limit_px = MAX_JUMP * self.height * dt_s if crosses and self.seen >= KNOWN_LOOKS else np.inf
        followed = all(abs(shift - axis.velocity * dt_s) <= limit_px for axis, shift in axes)
        for axis, shift in axes:
            before = axis.position
            axis.predict(dt_s, self.height)
            if followed:
                axis.shift(before, shift, dt_s)

    def see(self, look: Look) -> None:
        x0, y0, x1, y1 = look.box_xyxy
        self.width += SIZE_GAIN * (x1 - x0 - self.width)
        self.height += SIZE_GAIN * (y1 - y0 - self.height)
        self.x.correct((x0 + x1) / 2, self.height)
        self.y.correct((y0 + y1) / 2, self.height)
        self.last_seen_ns = look.timestamp_ns
        self._note(look)

    def miss(self, look: Look) -> None:
        self.looks.append(look)
        self.misses += 1

    def _note(self, look: Look) -> None:
        self.looks.append(look)
        self.seen, self.misses = self.seen + 1, 0
        self.votes = {label: votes * LABEL_DECAY for label, votes in self.votes.items()}
        self.votes[look.label] = self.votes.get(look.label, 0.0) + look.score
        travelled = np.hypot(self.x.position - self.start[0], self.y.position - self.start[1])
        self.has_moved |= bool(travelled > self.height / 2)


class Tracker:
    """Keeps the open tracks of one camera. Times may skip: it is told each frame's own."""

    def __init__(
        self,
        settings: TrackerSettings,
        labels: tuple[str, ...],
        min_score: float,
        main_size: tuple[int, int],
    ) -> None:
        """`labels` are the model's, by class id; `min_score` is what makes a detection strong."""
        self._settings = settings
        self._labels = labels
        self._min_score = min_score
        self._main_size = main_size
        self._open: list[_Open] = []
        self._ended: list[Track] = []
        self._next_id = 1
        self._now_ns: int | None = None

    def predict(self, timestamp_ns: int, shifts_xy: npt.NDArray[np.float32] | None = None) -> None:
        """Moves every track on to a frame's time; ends those that left or were unseen for long.

        shifts_xy: (n, 2) main pixels by which each of `tracks()` was seen to move since, NaN where
            it wasn't.
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

    def update(
        self, found: Detections, looked_xyxy: Boxes, frame_index: int
    ) -> npt.NDArray[np.int64]:
        """Takes in what one frame's looks found, after `predict` was given its time.

        found: boxes in main pixels, scores from the tracker's `weak_score` up.
        looked_xyxy: (k, 4) crops that were looked at. A track inside one that was not found there
            has been missed; elsewhere nothing is known.
        Returns the track id of each detection, 0 for a weak one that belongs to none.
        """
        assert self._now_ns is not None
        ids = np.zeros(len(found), np.int64)
        free = list(self._open)
        for strong, buffer in ((True, BUFFERS[0]), (True, BUFFERS[1]), (False, BUFFERS[0])):
            rows = np.flatnonzero(((found.scores >= self._min_score) == strong) & (ids == 0))
            for track, row in self._match(free, found.boxes_xyxy, rows, buffer):
                track.see(self._look(found, row, frame_index))
                ids[row] = track.id
                free.remove(track)
        self._miss(free, looked_xyxy, frame_index)
        for row in np.flatnonzero((ids == 0) & (found.scores >= self._min_score)):
            ids[row] = self._start(found, row, frame_index)
        for track in self._open:
            track.confirmed |= self._convinces(track)
        self._end([track for track in self._open if self._is_lost(track)])
        self._end(self._twins())
        return ids

    def tracks(self) -> tuple[Track, ...]:
        """The open tracks as they are at the last frame's time."""
        return tuple(self._snapshot(track) for track in self._open)

    @property
    def boxes_xyxy(self) -> Boxes:
        """(n, 4) main pixels, of `tracks()`, in its order."""
        return _boxes_of(self._open)

    def take_ended(self) -> tuple[Track, ...]:
        """The tracks that ended since the last call, in state GONE; each is given once."""
        ended, self._ended = tuple(self._ended), []
        return ended

    def _match(
        self, free: list[_Open], boxes_xyxy: Boxes, rows: npt.NDArray[np.intp], buffer: float
    ) -> Iterable[tuple[_Open, int]]:
        """Pairs of track and row, greedily by overlap."""
        if not free or len(rows) == 0:
            return
        own = grown(_boxes_of(free), buffer)
        overlap = iou(own, grown(boxes_xyxy[rows], buffer))
        tracks = list(free)
        while overlap.size:
            best = int(overlap.argmax())
            t, d = divmod(best, overlap.shape[1])
            if overlap[t, d] < self._settings.min_iou:
                return
            yield tracks[t], int(rows[d])
            overlap[t, :] = -1
            overlap[:, d] = -1

    def _miss(self, free: list[_Open], looked_xyxy: Boxes, frame_index: int) -> None:
        if not free or len(looked_xyxy) == 0:
            return
        assert self._now_ns is not None
        boxes = _boxes_of(free)
        looked = covered(boxes, looked_xyxy).max(axis=1) > 0.9
        for track, was_looked_at in zip(free, looked, strict=True):
            if was_looked_at:
                track.miss(Look(frame_index, self._now_ns, track.box_xyxy, 0.0, track.label))

    def _start(self, found: Detections, row: int, frame_index: int) -> int:
        look = self._look(found, row, frame_index)
        self._open.append(_Open(self._next_id, look.box_xyxy, look))
        self._next_id += 1
        return self._open[-1].id

    def _look(self, found: Detections, row: int, frame_index: int) -> Look:
        assert self._now_ns is not None
        x0, y0, x1, y1 = found.boxes_xyxy[row].tolist()
        label = self._labels[int(found.class_ids[row])]
        return Look(frame_index, self._now_ns, (x0, y0, x1, y1), float(found.scores[row]), label)

    def _convinces(self, track: _Open) -> bool:
        """Seen often enough, or once so well that nobody would ask again."""
        often = track.seen >= self._settings.confirm_looks
        return often or track.looks[-1].score >= self._settings.sure_score

    def _is_lost(self, track: _Open) -> bool:
        assert self._now_ns is not None
        allowed = self._settings.max_misses if track.confirmed else TENTATIVE_MISSES
        unseen_s = (self._now_ns - track.last_seen_ns) / NS_PER_S
        width, height = self._main_size
        outside = not (0 <= track.x.position < width and 0 <= track.y.position < height)
        return track.misses > allowed or outside or unseen_s > self._settings.max_unseen_s

    def _crossing(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each open track's box overlaps another's."""
        boxes = self.boxes_xyxy
        return np.asarray(np.count_nonzero(intersection(boxes, boxes), axis=1) > 1)

    def _twins(self) -> list[_Open]:
        """The younger of two tracks that lie on each other."""
        if len(self._open) < 2:
            return []
        boxes = self.boxes_xyxy
        overlap = np.triu(iou(boxes, boxes), 1) > SAME_OBJECT_IOU
        return [self._open[younger] for younger in np.flatnonzero(overlap.any(axis=0))]

    def _end(self, tracks: Iterable[_Open]) -> None:
        for track in list(tracks):
            self._open.remove(track)
            if track.confirmed:
                self._ended.append(self._snapshot(track, TrackState.GONE))

    def _snapshot(self, track: _Open, state: TrackState | None = None) -> Track:
        seen = [look.score for look in track.looks if look.score > 0]
        return Track(
            id=track.id,
            label=track.label,
            score=sum(seen) / len(seen) if seen else 0.0,
            box_xyxy=track.box_xyxy,
            velocity_px_s=(track.x.velocity, track.y.velocity),
            state=state or self._state(track),
            first_ns=track.first_ns,
            last_seen_ns=track.last_seen_ns,
            misses=track.misses,
            has_moved=track.has_moved,
            looks=tuple(track.looks),
        )

    def _state(self, track: _Open) -> TrackState:
        if not track.confirmed:
            return TrackState.TENTATIVE
        speed = float(np.hypot(track.x.velocity, track.y.velocity))
        standing = speed < self._settings.stationary_speed * track.height
        return TrackState.STATIONARY if standing else TrackState.MOVING


def _boxes_of(tracks: Sequence[_Open]) -> Boxes:
    return np.array([track.box_xyxy for track in tracks], np.float32).reshape(-1, 4)
