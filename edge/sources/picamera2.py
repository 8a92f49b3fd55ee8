"""The Raspberry Pi camera through picamera2, of which this is the only importer.

Two streams of the same exposure: `main` for crops and captures, `lores` for motion. Both are views
into the camera's own buffers; a frame gives its buffers back when the last reference to it goes.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import time
from typing import Any

import numpy as np

from edge.errors import MissingExtraError, SourceError, SourceLostError
from edge.frame import Frame
from edge.picture import Picture, PixelFormat, Plane
from edge.settings import SourceSettings
from edge.sources.base import SourceInfo
from edge.sources.views import even, luma_size

BUFFERS = 8  # the recorder may hold four, the mailbox and the analysis one each
DEFAULT_FPS = 15.0


class _Lease:
    """Keeps a completed request, and releases it with the last frame that refers to it."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def __del__(self) -> None:
        self._request.release()


class Picamera2Source:
    """`picamera2:N`, N counting from 0 the cameras that libcamera lists."""

    def __init__(self, settings: SourceSettings, stall_s: float = 5.0) -> None:
        self._settings = settings
        self._stall_s = stall_s
        self._camera: Any = None
        self._index = 0
        self._streams: dict[str, dict[str, Any]] = {}

    def open(self) -> SourceInfo:
        """Raises MissingExtraError, SourceError (no such camera) or SourceLostError (busy)."""
        library = _library()
        number = self._number(library)
        fps = self._settings.fps or DEFAULT_FPS
        main = (even(self._settings.width_px), even(self._settings.height_px))
        width, height = luma_size(*main, self._settings.luma_width_px)
        interval_us = round(1_000_000 / fps)
        try:
            self._camera = library.Picamera2(number)
            configuration = self._camera.create_video_configuration(
                main={"size": main, "format": "YUV420"},
                lores={"size": (even(width), even(height)), "format": "YUV420"},
                buffer_count=BUFFERS,
                queue=True,
                controls={"FrameDurationLimits": (interval_us, interval_us)},
            )
            self._camera.configure(configuration)
            self._camera.start()
        except (RuntimeError, OSError, IndexError) as error:
            self.close()
            raise SourceLostError(
                f"source {self._settings.uri}: the camera can't be started ({error}); is another "
                "program using it?"
            ) from error
        # What was asked for and what was granted may differ: only the latter counts.
        granted = self._camera.camera_configuration()
        self._streams = {name: granted[name] for name in ("main", "lores")}
        width, height = self._streams["main"]["size"]
        return SourceInfo(self._settings.uri, even(width), even(height), fps, live=True)

    def read(self) -> Frame | None:
        """The next exposure. Raises SourceLostError where none comes for the stall time."""
        camera = self._camera
        if camera is None:
            return None
        try:
            request = camera.wait(camera.capture_request(wait=False), timeout=self._stall_s)
        except (TimeoutError, concurrent.futures.TimeoutError, RuntimeError, OSError) as error:
            if self._camera is None:
                return None
            raise SourceLostError(
                f"source {self._settings.uri}: no frame for {self._stall_s:g} s"
            ) from error
        index, self._index = self._index, self._index + 1
        return self._frame(request, index)

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _frame(self, request: Any, index: int) -> Frame:
        lease = _Lease(request)
        monotonic_ns, wall_ns = _times(request.get_metadata())
        main = _picture(request.make_buffer("main"), self._streams["main"])
        lores = _picture(request.make_buffer("lores"), self._streams["lores"])
        return Frame(index, monotonic_ns, wall_ns, lores.planes[0], main, lease=lease)

    def _number(self, library: Any) -> int:
        text = self._settings.uri.partition(":")[2] or "0"
        cameras = library.Picamera2.global_camera_info()
        if not cameras:
            raise SourceError(
                f"source {self._settings.uri}: no camera is connected; check the ribbon cable, and "
                "`rpicam-hello --list-cameras`"
            )
        if not text.isdigit() or int(text) >= len(cameras):
            raise SourceError(
                f"source {self._settings.uri}: there is no camera {text}; 0 to {len(cameras) - 1} "
                "can be used"
            )
        return int(text)


def _library() -> Any:
    try:
        return importlib.import_module("picamera2")
    except ImportError as error:
        raise MissingExtraError(
            "the Raspberry Pi camera", "picamera2", "sudo apt install python3-picamera2"
        ) from error


def _times(metadata: dict[str, Any]) -> tuple[int, int]:
    """The sensor's time, on CLOCK_BOOTTIME, as (monotonic, wall) nanoseconds."""
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    age_ns = boot_ns - int(metadata.get("SensorTimestamp", boot_ns))
    return time.monotonic_ns() - age_ns, time.time_ns() - age_ns


def _picture(buffer: Any, stream: dict[str, Any]) -> Picture:
    """Views on the planes of a YUV420 or NV12 buffer, without the padding of its rows."""
    width, height = (even(side) for side in stream["size"])
    rows = int(stream["size"][1])
    stride = int(stream["stride"])
    flat: Plane = np.frombuffer(buffer, np.uint8)
    luma = flat[: stride * rows].reshape(rows, stride)[:height, :width]
    rest = flat[stride * rows :]
    if stream["format"] == "NV12":
        chroma = rest[: stride * (rows // 2)].reshape(rows // 2, stride)[: height // 2, :width]
        return Picture(PixelFormat.NV12, (luma, chroma.reshape(height // 2, width // 2, 2)))
    if stream["format"] != "YUV420":
        raise SourceError(f"the camera gives {stream['format']}; YUV420 or NV12 is needed")
    half, size = stride // 2, (stride // 2) * (rows // 2)
    planes = [
        rest[start : start + size].reshape(rows // 2, half)[: height // 2, : width // 2]
        for start in (0, size)
    ]
    return Picture(PixelFormat.I420, (luma, *planes))
