"""Frames and files that the tests of `edge.capture` share."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.metadata.origin import Origin
from edge.capture.recorder import Recorder
from edge.capture.request import CaptureFailure, CaptureRequest, CaptureResult, TrackInfo
from edge.capture.video.encoder import FrameEncoder
from edge.config.schema import CaptureSettings, SiteSettings
from edge.runtime.times import NS_PER_S
from edge.vision.picture import Picture, PixelFormat
from edge.vision.types import EncodedPacket, Frame, SourceInfo

START_NS = 5_000 * NS_PER_S  # a monotonic clock that has been running
WALL_NS = 1_767_268_799_250_000_000  # 2026-01-01 11:59:59.250 UTC
SECOND = NS_PER_S
FPS = 10
_BITS = 12


def wall(timestamp_ns: int) -> int:
    return WALL_NS + timestamp_ns - START_NS


def marked_luma(index: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A moving gradient with the frame's index in black and white blocks along the top."""
    luma = np.add.outer(np.arange(height) // 2, np.arange(width) // 2 + 3 * index) % 160 + 40
    side = width // _BITS
    for bit in range(_BITS):
        luma[:side, bit * side : (bit + 1) * side] = 235 if index >> bit & 1 else 16
    return luma.astype(np.uint8)


def read_mark(luma: np.ndarray) -> int:
    side = luma.shape[1] // _BITS
    middles = [luma[side // 2, bit * side + side // 2] > 125 for bit in range(_BITS)]
    return sum(1 << bit for bit, is_set in enumerate(middles) if is_set)


def picture(index: int, width: int = 320, height: int = 240, form: str = "I420") -> Picture:
    luma = marked_luma(index, width, height)
    chroma = (height // 2, width // 2)
    u, v = np.full(chroma, 110, np.uint8), np.full(chroma, 150, np.uint8)
    if form == "I420":
        return Picture(PixelFormat.I420, (luma, u, v))
    if form == "NV12":
        return Picture(PixelFormat.NV12, (luma, np.dstack([u, v])))
    rgb = Picture(PixelFormat.I420, (luma, u, v)).rgb()
    if form == "RGB":
        return Picture(PixelFormat.RGB, (rgb,))
    return Picture(PixelFormat.BGR, (np.ascontiguousarray(rgb[..., ::-1]),))


def frame(index: int, timestamp_ns: int | None = None, fps: float = 10.0, **size: Any) -> Frame:
    at = START_NS + int(index * NS_PER_S / fps) if timestamp_ns is None else timestamp_ns
    main = picture(index, **size)
    luma = np.asarray(cv2.resize(main.luma(), (160, 120)), np.uint8)
    return Frame(index, at, wall(at), luma, main)


def packets(
    count: int, fps: float = 10.0, packed: FrameEncoder | None = None
) -> list[EncodedPacket]:
    encoder = packed or FrameEncoder(320, 240, fps, 720)
    return [packet for n in range(count) for packet in encoder.encode(frame(n, fps=fps))]


def request(timestamp_ns: int, event: str = "e1", **fields: Any) -> CaptureRequest:
    given: dict[str, Any] = {
        "rule": "person",
        "camera": "cam0",
        "actions": ("clip",),
        "track": TrackInfo(7, "person", 0.91234, (10.04, 20, 110, 220), (0.1, 0.2, 0.3, 0.4)),
        "latency_ms": 87.25,
    }
    return CaptureRequest(
        event_id=event, wall_ns=wall(timestamp_ns), timestamp_ns=timestamp_ns, **(given | fields)
    )


def footage(path: Path, limit: int) -> Iterator[Frame]:
    """Decoded frames as a file source gives them: views into the decoder's planes."""
    with av.open(str(path)) as container:
        for index, decoded in enumerate(container.decode(video=0)):
            if index == limit:
                return
            planes: list[npt.NDArray[np.uint8]] = []
            for plane in decoded.planes:
                memory: Any = plane  # a buffer, which PyAV's types do not say
                rows = np.frombuffer(memory, np.uint8).reshape(plane.height, plane.line_size)
                planes.append(rows[:, : plane.width])
            at = START_NS + int(decoded.time * NS_PER_S)
            main = Picture(PixelFormat.I420, tuple(planes))
            luma = np.asarray(cv2.resize(planes[0], (320, 240)), np.uint8)
            yield Frame(index, at, wall(at), luma, main)


@dataclass
class Played:
    """A video file, decoded whole. times_s count from its own start."""

    times_s: list[float] = field(default_factory=list)
    lumas: list[np.ndarray] = field(default_factory=list)

    @property
    def marks(self) -> list[int]:
        return [read_mark(luma) for luma in self.lumas]


def play(path: Path) -> Played:
    played = Played()
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        video.thread_count = 1
        for decoded in container.decode(video):
            played.times_s.append(decoded.time)
            played.lumas.append(decoded.to_ndarray()[: decoded.height])
        assert len(played.times_s) == video.frames, "the index and the frames disagree"
    return played


def source_info(**fields: Any) -> SourceInfo:
    given: dict[str, Any] = {"fps": 10.0, "live": False}
    return SourceInfo("test", (320, 240), (320, 240), **(given | fields))


class Captures:
    """A recorder with its results, failures and errors. `on_capture` gets the results."""

    def __init__(
        self,
        directory: Path,
        clips: bool = True,
        site: SiteSettings = SiteSettings(),  # noqa: B008 - it is frozen
        **settings: Any,
    ) -> None:
        given: dict[str, Any] = {"min_free_bytes": 0, "directory": str(directory)}
        self.results: list[CaptureResult] = []
        self.failures: list[CaptureFailure] = []
        self.errors: list[str] = []
        self.on_capture: Callable[[CaptureResult], object] = self.results.append
        self.recorder = Recorder(
            CaptureSettings(**(given | settings)),
            on_capture=lambda result: self.on_capture(result),
            on_failure=self.failures.append,
            on_error=self.errors.append,
            origin=Origin(model="person_ssdlite", boot_id="b1", site=site),
            clips=clips,
        )

    def __enter__(self) -> Captures:
        self.recorder.start()
        self.recorder.begin_stream(source_info())
        return self

    def __exit__(self, *_: object) -> None:
        self.recorder.stop()

    @property
    def clips(self) -> list[CaptureResult]:
        return [result for result in self.results if result.kind == "clip"]

    @property
    def stills(self) -> list[CaptureResult]:
        return [result for result in self.results if result.kind == "still"]

    @property
    def outcomes(self) -> list[tuple[str, str, str]]:
        """(event, kind, "result" or "failure"), sorted: each pair is there once."""
        outcomes: list[tuple[str, CaptureResult | CaptureFailure]] = []
        outcomes += [("result", result) for result in self.results]
        outcomes += [("failure", failure) for failure in self.failures]
        return sorted(
            (event, outcome.kind, name) for name, outcome in outcomes for event in outcome.event_ids
        )


def at(index: float) -> int:
    """The time of a frame at 10 frames per second."""
    return START_NS + int(index * NS_PER_S / FPS)


def offer(captures: Captures, indices: Iterable[int], **size: int) -> None:
    for n in indices:
        assert captures.recorder.offer(frame(n, **size), wait=True)


def settle(captures: Captures) -> None:
    """Returns when both threads have done all that was submitted before."""
    done = threading.Event()
    recorder = captures.recorder

    def catch_up() -> None:
        while recorder._feed.step():
            pass
        recorder._writing.submit(done.set)

    recorder._encoding.submit(catch_up)
    assert done.wait(20)


def encoded_frame(n: int, packet: EncodedPacket) -> Frame:
    """A frame of a source that gives H.264 by itself."""
    plain = frame(n)
    return Frame(n, at(n), plain.wall_ns, plain.luma, plain.main, packets=(packet,))


@contextmanager
def files_at_most(bytes_: int) -> Iterator[None]:
    """A real write error of the kernel, as a full disk gives one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
