"""The H.264 encoder of a Raspberry Pi 4 or older; picamera2 feeds it in a thread of its own."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from edge.errors import SourceError
from edge.vision.types import EncodedPacket, EncodedStream

MAX_WIDTH_PX, MAX_HEIGHT_PX = 1920, 1088  # limits of the Pi's encoder, in whole macroblocks
MAX_WAITING = 256  # packets: 8 s at 30 fps, after which the camera counts as lost anyway


class HardwareH264:
    """Encodes each exposure of the stream `main`: a key frame a second, parameter sets in band.

    library: the module picamera2. camera: configured, not started. monotonic_ns: converts the
    sensor's time to that of frames. answers: whether any packet has come. Raises SourceError if
    there is no such encoder, or if another program uses it.
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
        output.outputframe = self._collect  # a derived class would need picamera2 at import time
        try:
            camera.start_encoder(self._encoder, output, name="main")
        except (OSError, RuntimeError, KeyError) as error:
            self._abandon()
            raise SourceError(f"no encoder: {error}") from error

    def packets(self) -> tuple[EncodedPacket, ...]:
        """The packets since the last call, oldest first, about a frame behind the camera."""
        return tuple(self._packets.popleft() for _ in range(len(self._packets)))

    def close(self) -> None:
        """Call it before the camera is closed, as the encoder holds its buffers."""
        self._camera.stop_encoder(self._encoder)

    def _fits(self) -> bool:
        return self.stream.width <= MAX_WIDTH_PX and self.stream.height <= MAX_HEIGHT_PX

    def _collect(
        self,
        data: bytes,
        keyframe: bool = True,
        timestamp_us: int = 0,
        packet: object = None,  # noqa: ARG002 (for other encoders of picamera2)
        audio: bool = False,  # noqa: ARG002
    ) -> None:
        """Called in picamera2's thread; times count from the first encoded frame."""
        self.answers = True
        sensor_ns = (self._encoder.firsttimestamp + timestamp_us) * 1000
        self._packets.append(EncodedPacket(bytes(data), self._monotonic_ns(sensor_ns), keyframe))

    def _abandon(self) -> None:
        """Stops an encoder that failed to start, as its thread may poll a closed device."""
        with contextlib.suppress(OSError, RuntimeError, AttributeError):
            self._encoder.stop()
