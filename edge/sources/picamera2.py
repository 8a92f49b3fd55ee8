"""The Raspberry Pi camera through picamera2, which only this module imports.

Two streams of the same exposure: `main` for crops and captures, `lores` for motion. Both are views
into the camera's own buffers; a buffer returns to the camera with the last view of it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import logging
import math
import os
import time
from collections.abc import Mapping
from typing import Any

from edge.config.schema import SourceSettings
from edge.errors import MissingExtraError, SourceError, SourceLostError
from edge.sources.buffers import FORMATS, Leases, picture_of, size_of
from edge.sources.hardware_h264 import HardwareH264
from edge.sources.views import even, luma_size
from edge.vision.types import Exposure, Frame, SourceInfo

BUFFERS = 8  # the recorder may hold four, the mailbox and the analysis one each
IN_CAMERA = 3  # of these, so that exposure goes on: one completed and unread, two being exposed
DEFAULT_FPS = 15.0  # half of a sensor's usual 30 fps, which halves the work for each frame
MANUAL_FOCUS = 0  # libcamera's AfModeManual
# Raised by picamera2 and libcamera where a camera is gone, busy, or closed by another thread.
FAILURES = (RuntimeError, OSError, IndexError, KeyError, concurrent.futures.CancelledError)


def connected() -> list[tuple[int, str]]:
    """Number and sensor of each camera of libcamera, without USB cameras. Never raises."""
    try:
        infos = _library().Picamera2.global_camera_info()
    except (MissingExtraError, *FAILURES):
        return []
    return [
        (number, str(info.get("Model", "camera")))
        for number, info in enumerate(infos)
        if "/usb" not in info["Id"]
    ]


class Picamera2Source:
    """`picamera2:N`, where N counts from 0 the cameras that libcamera lists.

    clip_height_px: pictures up to this height go to the Pi's own H.264 encoder, if it has one, and
    their packets come with the frames; 0 = never. writable: whether frames may be painted, which
    must not be while an encoder reads them.
    """

    def __init__(
        self,
        settings: SourceSettings,
        stall_s: float = 5.0,
        clip_height_px: int = 0,
        *,
        writable: bool = False,
    ) -> None:
        self._settings = settings
        self._stall_s = stall_s
        self._clip_height_px = clip_height_px if settings.hardware_encoder else 0
        self._camera: Any = None
        self._library: Any = None
        self._encoder: HardwareH264 | None = None
        self._packets_due_s = 0.0
        self._index = self._first_index = 0
        self._leases = Leases(writable=writable)
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
                f"source {self._settings.name}: the camera can't be started: {_reason(error)}"
            ) from error
        except SourceError:
            self.close()
            raise
        self._packets_due_s = time.monotonic() + self._stall_s
        self._first_index = self._index
        encoded = self._encoder.stream if self._encoder else None
        main, lores = (size_of(self._streams[name]) for name in ("main", "lores"))
        return SourceInfo(self._settings.name, main, lores, fps, live=True, encoded=encoded)

    def read(self) -> Frame | None:
        """The next exposure. Raises SourceLostError if none comes within the stall time."""
        camera = self._camera
        if camera is None:
            return None
        try:
            request = camera.wait(camera.capture_request(wait=False), timeout=self._stall_s)
        except FAILURES as error:
            if self._camera is None:
                return None
            reason = f"the camera failed: {_reason(error)}"
            if isinstance(error, TimeoutError):
                if self._index > self._first_index and self._encoder is not None:
                    self._give_up_silent(self._encoder)
                reason = f"no frame for {self._stall_s:g} s; check the camera's cable"
            raise SourceLostError(f"source {self._settings.name}: {reason}") from error
        index, self._index = self._index, self._index + 1
        return self._frame(request, index, camera.camera_properties.get("Model", ""))

    def close(self) -> None:
        camera, self._camera = self._camera, None
        encoder, self._encoder = self._encoder, None
        if camera is None:
            return
        # Closing a camera that is gone fails. If it still runs, the next `open` fails.
        with contextlib.suppress(*FAILURES):
            camera.cancel_all_and_flush()
            if encoder is not None:
                encoder.close()
        with contextlib.suppress(*FAILURES):
            camera.close()

    def _configure(self, fps: float) -> None:
        """Requests both streams, and keeps the configuration that was granted."""
        main = (even(self._settings.width_px), even(self._settings.height_px))
        width, height = luma_size(*main, self._settings.luma_width_px)
        interval_us = round(1_000_000 / fps)
        libcamera = importlib.import_module("libcamera")
        rotated = self._settings.upside_down
        transform = libcamera.Transform(hflip=rotated, vflip=rotated)
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": main, "format": "YUV420"},
                lores={"size": (even(width), even(height)), "format": "YUV420"},
                raw=None,  # not used, and its buffers would be the largest
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
                f"source {self._settings.name}: this camera can't rotate its picture; "
                "remove source.upside_down"
            )
        buffers = min(stream.buffer_count for stream in self._camera.libcamera_config)
        self._spare = max(0, buffers - IN_CAMERA)
        self._streams = {name: granted[name] for name in ("main", "lores")}
        for stream in self._streams.values():
            if stream["format"] not in FORMATS:
                raise SourceError(
                    f"source {self._settings.name}: the camera gives {stream['format']}, but "
                    f"{' or '.join(FORMATS)} is needed"
                )
        if granted["main"]["size"][1] <= self._clip_height_px:
            with contextlib.suppress(SourceError):
                self._encoder = HardwareH264(self._library, self._camera, fps, _monotonic_ns)

    def _focus(self) -> dict[str, float]:
        """Controls that move the lens to `focus_m` (libcamera counts in dioptres) and keep it."""
        if not (distance_m := self._settings.focus_m):
            return {}
        limits = self._camera.camera_controls.get("LensPosition")
        if limits is None:
            raise SourceError(
                f"source {self._settings.name}: this camera's lens has no motor; focus it by "
                "hand, and remove source.focus_m"
            )
        _, nearest, _ = limits
        if distance_m * nearest < 1:
            raise SourceError(
                f"source {self._settings.name}: this camera's nearest focus is {1 / nearest:.2g} "
                f"m, but source.focus_m is {distance_m:g}; raise it"
            )
        return {"AfMode": MANUAL_FOCUS, "LensPosition": 1 / distance_m}

    def _frame(self, request: Any, index: int, sensor: str) -> Frame:
        """A frame of views; of copies, if the camera would otherwise have too few buffers."""
        lease = self._leases.new(request)
        metadata = request.get_metadata()
        sensor_ns = metadata.get("SensorTimestamp")
        now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        exposed_ns = now_ns if sensor_ns is None else _monotonic_ns(sensor_ns)
        main, lores = (
            picture_of(lease.view(self._library, name), self._streams[name])
            for name in ("main", "lores")
        )
        wall_ns -= now_ns - exposed_ns
        packets = self._packets()
        exposure = _exposure(metadata, sensor)
        frame = Frame(index, exposed_ns, wall_ns, lores.planes[0], main, packets, lease, exposure)
        return frame if len(self._leases) <= self._spare else frame.detached()

    def _packets(self) -> tuple[Any, ...]:
        if self._encoder is None:
            return ()
        if time.monotonic() > self._packets_due_s:
            self._give_up_silent(self._encoder)
        return self._encoder.packets()

    def _give_up_silent(self, encoder: HardwareH264) -> None:
        """Stops using an encoder that sent no packet since `open`, as it may hold all buffers."""
        if encoder.answers:
            return
        self._clip_height_px = 0
        raise SourceLostError(
            f"source {self._settings.name}: the hardware encoder gives no packets; clips are "
            "encoded in software from now on"
        )

    def _number(self) -> int:
        text = self._settings.uri.partition(":")[2] or "0"
        cameras = self._library.Picamera2.global_camera_info()
        if not cameras:
            raise SourceError(
                f"source {self._settings.name}: no camera is connected; check the ribbon cable "
                "and the output of `rpicam-hello --list-cameras`"
            )
        if not text.isdigit() or int(text) >= len(cameras):
            known = "only camera 0" if len(cameras) == 1 else f"0 to {len(cameras) - 1}"
            raise SourceError(
                f"source {self._settings.name}: there is no camera {text}; {known} can be used"
            )
        if "/usb" in cameras[int(text)]["Id"]:
            raise SourceError(
                f"source {self._settings.name}: camera {text} is a USB camera; use its device, as "
                "v4l2:/dev/video0"
            )
        return int(text)


def _library() -> Any:
    # Both libraries log each failure, which our errors report too. The variable restores their log.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:FATAL")
    logging.getLogger("picamera2.picamera2").setLevel(logging.CRITICAL)
    try:
        return importlib.import_module("picamera2")
    except ImportError as error:
        raise MissingExtraError(
            "the Raspberry Pi camera", "picamera2", "sudo apt install python3-picamera2"
        ) from error


def _camera(library: Any, number: int) -> Any:
    """`Picamera2(number)`; if it fails, closes the end of a pipe that it leaves open."""
    camera = library.Picamera2.__new__(library.Picamera2)
    try:
        camera.__init__(number)
    except FAILURES:
        os.close(camera.notifyme_w)
        raise
    return camera


def _sensor_size(sensor: tuple[int, int], main: tuple[int, int]) -> tuple[int, int]:
    """The size of a sensor mode with the whole field of view: binned, if that is large enough.

    picamera2 would take the mode nearest to the picture: for 1280x720 of an IMX708 it shows only
    the middle two thirds.
    """
    binned = (sensor[0] // 2, sensor[1] // 2)
    return binned if binned[0] >= main[0] and binned[1] >= main[1] else sensor


def _exposure(metadata: Mapping[str, Any], sensor: str) -> Exposure:
    """What libcamera reports about a frame, without values that can't be true."""
    time_us, dioptres = metadata.get("ExposureTime", 0), metadata.get("LensPosition", -1)
    gain = metadata.get("AnalogueGain", 0) * metadata.get("DigitalGain", 1)
    return Exposure(
        sensor,
        time_us if time_us > 0 else None,
        gain if 0 < gain < math.inf else None,
        dioptres if 0 <= dioptres < math.inf else None,
    )


def _reason(error: BaseException) -> str:
    """The innermost error: picamera2 wraps those of libcamera in less specific ones."""
    inner: BaseException | None = error
    while inner is not None:
        error = inner
        inner = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if "busy" in str(error):
        return "another program is using it"
    return f"{error} (set LIBCAMERA_LOG_LEVELS=*:INFO for more)"


def _monotonic_ns(sensor_ns: int) -> int:
    """The sensor's time on the clock of `time.monotonic_ns`.

    libcamera documents CLOCK_BOOTTIME, but its drivers pass on the kernel's CLOCK_MONOTONIC. The
    two differ by the time in suspend. The clock is used on which the frame is newest.
    """
    now_ns = time.monotonic_ns()
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return now_ns - min(now_ns - sensor_ns, boot_ns - sensor_ns, key=abs)
