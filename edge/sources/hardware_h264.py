"""The H.264 encoder in a Raspberry Pi up to 4, which picamera2 feeds in a thread of its own."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from edge.errors import SourceError
from edge.vision.types import EncodedPacket, EncodedStream

MAX_WIDTH_PX, MAX_HEIGHT_PX = 1920, 1088
MAX_WAITING = 256  # packets; who reads so late has lost the camera anyway


class HardwareH264:
    """Encodes each exposure of the stream `main`: a key frame a second, parameter sets in band.

    library: the module picamera2. camera: configured, not started. monotonic_ns: makes the
    sensor's time that of frames. Raises SourceError where there is no such encoder, or another
    program has it. `answers`: whether it has given any packet.
    """

    def __init__(
        self, library: Any, camera: Any, fps: float, monotonic_ns: Callable[[int], int]
    ) -> None:
        main = camera.camera_configuration()["main"]
        self.stream = EncodedStream(*main["size"])
        if library.get_platform() is not library.Platform.VC4 or not self._fits():
            raise SourceError(f"no encoder for {self.stream.width}x{self.stream.height} pixels")
        self.answers = False
        self._monotonic_ns = monotonic_ns
        self._packets: deque[EncodedPacket] = deque(maxlen=MAX_WAITING)
        self._camera = camera
        rate = max(1, round(fps))
        self._encoder = library.encoders.H264Encoder(repeat=True, iperiod=rate, framerate=rate)
        output = library.outputs.Output()
        output.outputframe = self._collect  # else a class derived from one that is imported late
        try:
            camera.start_encoder(self._encoder, output, name="main")
        except (OSError, RuntimeError, KeyError) as error:
            self._abandon()
            raise SourceError(f"no encoder: {error}") from error

    def packets(self) -> tuple[EncodedPacket, ...]:
        """What was encoded since the last call, oldest first; about a frame behind the camera."""
        return tuple(self._packets.popleft() for _ in range(len(self._packets)))

    def close(self) -> None:
        """Before the camera is closed: the encoder holds its buffers."""
        self._camera.stop_encoder(self._encoder)

    def _fits(self) -> bool:
        return self.stream.width <= MAX_WIDTH_PX and self.stream.height <= MAX_HEIGHT_PX

    def _collect(
        self,
        data: bytes,
        keyframe: bool = True,
        timestamp_us: int = 0,
        packet: object = None,  # noqa: ARG002 (picamera2's own, of other encoders)
        audio: bool = False,  # noqa: ARG002
    ) -> None:
        """In picamera2's thread. Its times count from the first frame that was encoded."""
        self.answers = True
        sensor_ns = (self._encoder.firsttimestamp + timestamp_us) * 1000
        self._packets.append(EncodedPacket(bytes(data), self._monotonic_ns(sensor_ns), keyframe))

    def _abandon(self) -> None:
        """Half started, it may have a thread that polls a closed device."""
        with contextlib.suppress(OSError, RuntimeError, AttributeError):
            self._encoder.stop()
