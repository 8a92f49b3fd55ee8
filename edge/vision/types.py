"""The data that stages exchange: frames, encoded packets, detections and tracks."""

from __future__ import annotations

import enum
import functools
from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Boxes

if TYPE_CHECKING:  # imports OpenCV, which subscribers do not need
    from edge.vision.picture import Picture

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One H.264 access unit in Annex B; a key frame has its parameter sets before it.

    `timestamp_ns` is on the clock of `Frame.timestamp_ns`, in presentation order: streams with
    B-frames are not used for pre-roll.
    """

    data: bytes
    timestamp_ns: int
    keyframe: bool


@dataclass(frozen=True, slots=True)
class Display:
    """How a stored picture is to be shown: stretched to square pixels, mirrored, then turned.

    quarter_turns: clockwise, 0 to 3. mirrored: left to right. sample_aspect: width of a stored
    pixel divided by its height.
    """

    quarter_turns: int = 0
    mirrored: bool = False
    sample_aspect: Fraction = Fraction(1)

    @property
    def upright(self) -> bool:
        return not self.quarter_turns and not self.mirrored

    @property
    def linear(self) -> tuple[int, int, int, int]:
        """(a, b, c, d): a stored point (p, q) is shown at (a p + c q, b p + d q), with y down."""
        (a, b), (c, d) = ((-1, 0) if self.mirrored else (1, 0)), (0, 1)
        for _ in range(self.quarter_turns):
            a, b, c, d = -b, a, -d, c
        return a, b, c, d

    @staticmethod
    @functools.lru_cache(maxsize=16)  # the same for all frames of a stream
    def nearest(linear: tuple[int, int, int, int], sample_aspect: Fraction) -> Display:
        """The display whose `linear` is nearest to the given one, of any scale."""
        choices = [Display(n, m, sample_aspect) for m in (False, True) for n in range(4)]
        return max(choices, key=lambda choice: sum(map(int.__mul__, choice.linear, linear)))

    def stretched(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) with square pixels, before any turn. One side grows, none shrinks."""
        if self.sample_aspect >= 1:
            return round(width * self.sample_aspect), height
        return width, round(height / self.sample_aspect)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of a stored picture of this size when it is shown."""
        wide, high = self.stretched(width, height)
        return (high, wide) if self.quarter_turns % 2 else (wide, high)


@dataclass(frozen=True, slots=True)
class EncodedStream:
    """The size in pixels of a source's own H.264, as it is stored, and how it is to be shown.

    The packets contain all other parameters.
    """

    width: int
    height: int
    display: Display = Display()

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) in a player."""
        return self.display.size(self.width, self.height)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Facts about an open source; they hold for every frame until the next `open`.

    main_size: (width, height) of `Frame.main`. luma_size: (width, height) of `Frame.luma`.
    live: frames arrive at their own pace; a source that is not live waits for its reader.
    frame_count: of a file, if its container has it.
    encoded: set where the source delivers H.264 packets with its frames.
    """

    name: str
    main_size: tuple[int, int]
    luma_size: tuple[int, int]
    fps: float
    live: bool
    frame_count: int | None = None
    encoded: EncodedStream | None = None

    @property
    def luma_shape(self) -> tuple[int, int]:
        """(height, width), the order of array shapes."""
        return self.luma_size[1], self.luma_size[0]


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a camera took a frame, as far as it reports it.

    sensor: its model, such as imx708; empty if it is not known. time_us: of exposure. gain: of
    analogue and digital amplifier together; 1 is ISO 100. focus_dioptres: the reciprocal of the
    distance in metres; 0 is infinity.
    """

    sensor: str = ""
    time_us: int | None = None
    gain: float | None = None
    focus_dioptres: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure in two views.

    index: counts from 0 since the source was opened; a gap is a frame that was lost.
    timestamp_ns: the sensor's monotonic time of exposure; for files, the start of play plus the
        presentation time. Never goes back.
    wall_ns: Unix time of the same instant, for people.
    luma: (h, w) uint8, the small plane for motion, about 320 px wide. May be a view into a camera
        buffer: copy it if it must outlive the frame.
    main: the full picture in the camera's own pixel format.
    packets: H.264 packets that the source delivered since the previous frame, if it delivers any.
    lease: returns the buffer to the camera when its last reference is gone.
    exposure: None if the source does not report it.
    """

    index: int
    timestamp_ns: int
    wall_ns: int
    luma: Luma
    main: Picture
    packets: tuple[EncodedPacket, ...] = ()
    lease: object | None = None
    exposure: Exposure | None = None

    def detached(self) -> Frame:
        """The same frame without a camera buffer: a copy if it is leased, otherwise itself."""
        if self.lease is None:
            return self
        return Frame(
            self.index,
            self.timestamp_ns,
            self.wall_ns,
            self.luma.copy(),
            self.main.copy(),
            self.packets,
            exposure=self.exposure,
        )


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections as arrays with one row for each.

    boxes_xyxy: (n, 4) float32, pixels of the main picture (or of the model's input, as
        the detector returns them). scores: (n,) float32 in 0..1. class_ids: (n,) int64.
    """

    boxes_xyxy: Boxes
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Detections:
        return Detections(self.boxes_xyxy[rows], self.scores[rows], self.class_ids[rows])

    @staticmethod
    def empty() -> Detections:
        return Detections(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
        )

    @staticmethod
    def concatenate(parts: list[Detections]) -> Detections:
        if not parts:
            return Detections.empty()
        return Detections(
            np.concatenate([p.boxes_xyxy for p in parts]),
            np.concatenate([p.scores for p in parts]),
            np.concatenate([p.class_ids for p in parts]),
        )


class TrackState(enum.StrEnum):
    """Not yet confirmed; confirmed, in motion or standing; ended."""

    TENTATIVE = "tentative"
    MOVING = "moving"
    STATIONARY = "stationary"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Look:
    """One invocation's view of a track; a miss has score 0 and the predicted box."""

    frame_index: int
    timestamp_ns: int
    box_xyxy: tuple[float, float, float, float]
    score: float
    label: str

    @property
    def missed(self) -> bool:
        """Whether the object should have been detected and was not."""
        return self.score <= 0


@dataclass(frozen=True, slots=True)
class Track:
    """A snapshot of one object over time.

    group: of its label, empty if that has none.
    score: mean of the detections among `looks`, 0..1.
    box_xyxy: pixels of the main picture, predicted to the frame's time.
    velocity_px_s: (vx, vy) of the box's centre.
    first_ns, last_seen_ns: time of its first and of its latest detection.
    misses: looks in a row that should have detected it and did not.
    has_moved: whether it was ever half its height from the place at which it appeared.
    takeovers: how often another object seems to have taken the track over.
    looks: the newest last, bounded; includes misses.
    """

    id: int
    label: str
    score: float
    box_xyxy: tuple[float, float, float, float]
    velocity_px_s: tuple[float, float]
    state: TrackState
    first_ns: int
    last_seen_ns: int
    misses: int = 0
    has_moved: bool = False
    group: str = ""
    takeovers: int = 0
    looks: tuple[Look, ...] = field(default=(), repr=False)

    @property
    def object(self) -> tuple[int, int]:
        """Identifies the object: a track that another one takes over shows another object."""
        return self.id, self.takeovers

    def is_one_of(self, names: Collection[str]) -> bool:
        """Whether its label or its group is among these."""
        return not {self.label, self.group}.isdisjoint(names)
