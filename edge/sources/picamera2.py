"""The Raspberry Pi camera through picamera2, of which this is the only importer.

Two streams of the same exposure: `main` for crops and captures, `lores` for motion. Both are views
into the camera's own buffers; an exposure goes back to the camera with the last view on it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import logging
import os
import time
import weakref
from typing import Any

import numpy as np

from edge.config.schema import SourceSettings
from edge.errors import MissingExtraError, SourceError, SourceLostError
from edge.sources.hardware_h264 import HardwareH264
from edge.sources.views import even, luma_size
from edge.vision.picture import Picture, PixelFormat, Plane
from edge.vision.types import Frame, SourceInfo

BUFFERS = 8  # the recorder may hold four, the mailbox and the analysis one each
IN_CAMERA = 3  # of these, so that it goes on: one done and unread, two being exposed
DEFAULT_FPS = 15.0
MANUAL_FOCUS = 0  # libcamera's AfModeManual
FORMATS = {"YUV420": PixelFormat.I420, "NV12": PixelFormat.NV12}
# What picamera2 and libcamera raise where a camera is gone, busy, or closed by another thread.
FAILURES = (RuntimeError, OSError, IndexError, KeyError, concurrent.futures.CancelledError)


class Picamera2Source:
    """`picamera2:N`, N counting from 0 the cameras that libcamera lists.

    clip_height_px: pictures up to this height go to the Pi's own H.264 encoder, where it has one,
    and their packets come with the frames. 0 = no packets are wanted.
    """

    def __init__(
        self, settings: SourceSettings, stall_s: float = 5.0, clip_height_px: int = 0
    ) -> None:
        self._settings = settings
        self._stall_s = stall_s
        self._clip_height_px = clip_height_px * settings.hardware_encoder
        self._camera: Any = None
        self._library: Any = None
        self._encoder: HardwareH264 | None = None
        self._packets_due_s = 0.0
        self._index = self._first_index = 0
        self._leases: weakref.WeakSet[_Lease] = weakref.WeakSet()
        self._spare = 0
        self._streams: dict[str, dict[str, Any]] = {}

    def open(self) -> SourceInfo:
        """Raises MissingExtraError, SourceError (no such camera) or SourceLostError (busy)."""
        self._library = _library()
        number = self._number()
        fps = self._settings.fps or DEFAULT_FPS
        try:
            self._camera = _camera(self._library, number)
            self._configure(fps)
            self._camera.start()
        except FAILURES as error:
            self.close()
            raise SourceLostError(
                f"source {self._settings.uri}: the camera can't be started: {_reason(error)}"
            ) from error
        except SourceError:
            self.close()
            raise
        self._packets_due_s = time.monotonic() + self._stall_s
        self._first_index = self._index
        encoded = self._encoder.stream if self._encoder else None
        main, lores = (_size(self._streams[name]) for name in ("main", "lores"))
        return SourceInfo(self._settings.uri, main, lores, fps, live=True, encoded=encoded)

    def read(self) -> Frame | None:
        """The next exposure. Raises SourceLostError where none comes for the stall time."""
        camera = self._camera
        if camera is None:
            return None
        try:
            request = camera.wait(camera.capture_request(wait=False), timeout=self._stall_s)
        except FAILURES as error:
            if self._camera is None:
                return None
            what = f"the camera fails: {_reason(error)}"
            if isinstance(error, TimeoutError):
                if self._index > self._first_index and self._encoder is not None:
                    self._give_up_silent(self._encoder)
                what = f"no frame for {self._stall_s:g} s; check the camera's cable"
            raise SourceLostError(f"source {self._settings.uri}: {what}") from error
        index, self._index = self._index, self._index + 1
        return self._frame(request, index)

    def close(self) -> None:
        camera, self._camera = self._camera, None
        encoder, self._encoder = self._encoder, None
        if camera is None:
            return
        # One that is gone can't be closed well; if it still runs, the next `open` tells.
        with contextlib.suppress(*FAILURES):
            camera.cancel_all_and_flush()
            if encoder is not None:
                encoder.close()
        with contextlib.suppress(*FAILURES):
            camera.close()

    def _configure(self, fps: float) -> None:
        """What was asked for and what was granted may differ: only the latter counts."""
        main = (even(self._settings.width_px), even(self._settings.height_px))
        width, height = luma_size(*main, self._settings.luma_width_px)
        interval_us = round(1_000_000 / fps)
        libcamera = importlib.import_module("libcamera")
        turned = self._settings.upside_down
        transform = libcamera.Transform(hflip=turned, vflip=turned)
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": main, "format": "YUV420"},
                lores={"size": (even(width), even(height)), "format": "YUV420"},
                raw=None,  # unread, its buffers would be the largest
                sensor={"output_size": _sensor_size(self._camera.sensor_resolution, main)},
                transform=transform,
                colour_space=libcamera.ColorSpace.Smpte170m(),
                buffer_count=BUFFERS,
                queue=True,
                controls={"FrameDurationLimits": (interval_us, interval_us), **self._focus()},
            )
        )
        granted = self._camera.camera_configuration()
        if granted["transform"] != transform:
            raise SourceError(
                f"source {self._settings.uri}: this camera can't turn its picture; leave "
                "source.upside_down out"
            )
        buffers = min(stream.buffer_count for stream in self._camera.libcamera_config)
        self._spare = max(0, buffers - IN_CAMERA)
        self._streams = {name: granted[name] for name in ("main", "lores")}
        for stream in self._streams.values():
            if stream["format"] not in FORMATS:
                raise SourceError(
                    f"source {self._settings.uri}: the camera gives {stream['format']} where "
                    f"{' or '.join(FORMATS)} is needed"
                )
        if granted["main"]["size"][1] <= self._clip_height_px:
            with contextlib.suppress(SourceError):
                self._encoder = HardwareH264(self._library, self._camera, fps, _monotonic_ns)

    def _focus(self) -> dict[str, float]:
        """Controls that bring the lens to `focus_m`, in dioptres, and leave it there."""
        if not (distance_m := self._settings.focus_m):
            return {}
        limits = self._camera.camera_controls.get("LensPosition")
        if limits is None:
            raise SourceError(
                f"source {self._settings.uri}: this camera's lens has no motor; turn it by "
                "hand, and leave source.focus_m out"
            )
        _, nearest, _ = limits
        if distance_m * nearest < 1:
            raise SourceError(
                f"source {self._settings.uri}: this camera is sharp from {1 / nearest:.2g} m on; "
                f"source.focus_m is {distance_m:g}"
            )
        return {"AfMode": MANUAL_FOCUS, "LensPosition": 1 / distance_m}

    def _frame(self, request: Any, index: int) -> Frame:
        """Views, or copies while so many are out that the camera would wait for a buffer."""
        lease = _Lease(request)
        self._leases.add(lease)
        sensor_ns = request.get_metadata().get("SensorTimestamp")
        now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        exposed_ns = now_ns if sensor_ns is None else _monotonic_ns(sensor_ns)
        main, lores = (
            _picture(lease.view(self._library, name), self._streams[name])
            for name in ("main", "lores")
        )
        wall_ns -= now_ns - exposed_ns
        packets = self._packets()
        frame = Frame(index, exposed_ns, wall_ns, lores.planes[0], main, packets, lease)
        return frame if len(self._leases) <= self._spare else frame.detached()

    def _packets(self) -> tuple[Any, ...]:
        if self._encoder is None:
            return ()
        if time.monotonic() > self._packets_due_s:
            self._give_up_silent(self._encoder)
        return self._encoder.packets()

    def _give_up_silent(self, encoder: HardwareH264) -> None:
        """One that has given nothing since it was opened; it may hold all buffers, too."""
        if encoder.answers:
            return
        self._clip_height_px = 0
        raise SourceLostError(
            f"source {self._settings.uri}: the hardware encoder gives nothing; clips are encoded "
            "in software from now on"
        )

    def _number(self) -> int:
        text = self._settings.uri.partition(":")[2] or "0"
        cameras = self._library.Picamera2.global_camera_info()
        if not cameras:
            raise SourceError(
                f"source {self._settings.uri}: no camera is connected; check the ribbon cable, and "
                "`rpicam-hello --list-cameras`"
            )
        if not text.isdigit() or int(text) >= len(cameras):
            known = "only camera 0" if len(cameras) == 1 else f"0 to {len(cameras) - 1}"
            raise SourceError(
                f"source {self._settings.uri}: there is no camera {text}; {known} can be used"
            )
        if "/usb" in cameras[int(text)]["Id"]:
            raise SourceError(
                f"source {self._settings.uri}: camera {text} is a USB camera; use its device, as "
                "v4l2:/dev/video0"
            )
        return int(text)


class _Lease:
    """A completed request: the camera gets it back when nothing refers to it any more."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._mapped: list[Any] = []

    def view(self, library: Any, stream: str) -> Plane:
        """The bytes of a stream's buffer itself, 1-dimensional and read-only.

        What is derived from this array keeps it, and so the lease, whatever becomes of the frame.
        """
        mapped = library.MappedArray(self._request, stream, reshape=False, write=False)
        self._mapped.append(mapped)
        return np.asarray(_Buffer(mapped.__enter__().array, self))

    def __del__(self) -> None:
        for mapped in self._mapped:
            mapped.__exit__(None, None, None)
        self._request.release()


class _Buffer:
    """Memory of a camera, as numpy takes it (`__array_interface__`), that keeps its lease."""

    def __init__(self, array: Plane, lease: _Lease) -> None:
        (address, _), shape = array.__array_interface__["data"], array.shape
        self.__array_interface__ = {
            "version": 3, "typestr": "|u1", "shape": shape, "data": (address, True),
        }  # fmt: skip
        self._lease = lease


def _library() -> Any:
    # Both write of a failure what is in our sentence, too. Who wants more sets the variable.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:FATAL")
    logging.getLogger("picamera2.picamera2").setLevel(logging.CRITICAL)
    try:
        return importlib.import_module("picamera2")
    except ImportError as error:
        raise MissingExtraError(
            "the Raspberry Pi camera", "picamera2", "sudo apt install python3-picamera2"
        ) from error


def _camera(library: Any, number: int) -> Any:
    """`Picamera2(number)`, which leaves the end of a pipe open each time that it fails."""
    camera = library.Picamera2.__new__(library.Picamera2)
    try:
        camera.__init__(number)
    except FAILURES:
        os.close(camera.notifyme_w)
        raise
    return camera


def _sensor_size(sensor: tuple[int, int], main: tuple[int, int]) -> tuple[int, int]:
    """The sensor's mode for the whole field of view: its binned one, where that is large enough.

    By itself picamera2 takes the mode nearest to the picture: for 1280x720 of an IMX708 one that
    shows the middle two thirds only.
    """
    binned = (sensor[0] // 2, sensor[1] // 2)
    return binned if binned[0] >= main[0] and binned[1] >= main[1] else sensor


def _reason(error: BaseException) -> str:
    """picamera2 wraps what libcamera said in sentences that say less, by `from` or without."""
    inner: BaseException | None = error
    while inner is not None:
        error = inner
        inner = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if "busy" in str(error):
        return "another program is using it"
    return f"{error} (LIBCAMERA_LOG_LEVELS=*:INFO tells more)"


def _monotonic_ns(sensor_ns: int) -> int:
    """The sensor's time on the clock of `time.monotonic_ns`.

    libcamera documents it as CLOCK_BOOTTIME, while its drivers pass the kernel's CLOCK_MONOTONIC
    on. The two differ by the time suspended: the one that makes the frame newest is meant.
    """
    now_ns = time.monotonic_ns()
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return now_ns - min(now_ns - sensor_ns, boot_ns - sensor_ns, key=abs)


def _size(stream: dict[str, Any]) -> tuple[int, int]:
    """(width, height) as it is used: chroma has half of both."""
    width, height = stream["size"]
    return even(width), even(height)


def _picture(flat: Plane, stream: dict[str, Any]) -> Picture:
    """Views on the planes of a YUV420 or NV12 buffer, without the padding of its rows."""
    width, height = _size(stream)
    rows = int(stream["size"][1])
    stride = int(stream["stride"])
    luma = flat[: stride * rows].reshape(rows, stride)[:height, :width]
    rest = flat[stride * rows :]
    if stream["format"] == "NV12":
        chroma = rest[: stride * (rows // 2)].reshape(rows // 2, stride)[: height // 2, :width]
        return Picture(PixelFormat.NV12, (luma, chroma.reshape(height // 2, width // 2, 2)))
    half, size = stride // 2, (stride // 2) * (rows // 2)
    planes = [
        rest[start : start + size].reshape(rows // 2, half)[: height // 2, : width // 2]
        for start in (0, size)
    ]
    return Picture(PixelFormat.I420, (luma, *planes))
