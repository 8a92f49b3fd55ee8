"""`edge` with faults in it: a real daemon whose source, detector, disk and other parts fail on
command.

    python -m tests.faults.child run --config FILE …

Each line on standard input is `FAULT [SECONDS]` (see `FAULTS`). A fault without seconds lasts until
`recover`, which ends all faults.
"""

from __future__ import annotations

import dataclasses
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

import edge.runtime.machine
from edge.cli import main
from edge.config.schema import SourceSettings
from edge.errors import SourceLostError
from edge.messages import encode
from edge.runtime.files import PartFile
from edge.runtime.machine import Readings
from edge.sources.reconnect import Reconnecting
from edge.sources.scenes.synthetic import SyntheticSource
from edge.vision.detector import Detector
from edge.vision.picture import Picture, PixelFormat
from edge.vision.types import Detections, Frame, SourceInfo

FAULTS = {
    "source-hang": "a read returns only when the source is closed",
    "source-hang-hard": "a read never returns",
    "source-lost": "a read reports that the camera is gone",
    "source-exception": "a read raises an unexpected error",
    "frame-damaged": "one frame has another size than the stream",
    "frame-garbage": "frames full of random bytes",
    "frozen": "the same picture again and again",
    "black": "a black picture",
    "invoke-exception": "the model raises",
    "invoke-hang": "an invocation never ends",
    "write-hang": "a write to the disk never ends",
    "publish-hang": "the encoding of a message never ends",
    "hot": "the SoC is at 90 degrees Celsius",
    "clock-forward": "the wall clock is a day ahead",
    "clock-back": "the wall clock is a day behind",
}
DAY_NS = 86_400 * 10**9


class Active:
    """The active faults by name; a thread that reads standard input sets them."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}

    def read_commands(self) -> None:
        for line in sys.stdin:
            name, _, seconds = line.strip().partition(" ")
            if name == "recover":
                self._until_s.clear()
            else:
                assert name in FAULTS, name
                self._until_s[name] = time.monotonic() + float(seconds or "inf")

    def __contains__(self, name: str) -> bool:
        return time.monotonic() < self._until_s.get(name, 0.0)

    def once(self, name: str) -> bool:
        """Whether the fault is active; ends it."""
        return name in self and self._until_s.pop(name, None) is not None


active = Active()


class FaultySource:
    """A synthetic scene that is live, like a camera, and shows the active faults."""

    def __init__(self, settings: SourceSettings) -> None:
        self._scene = SyntheticSource(settings)
        self._closed = threading.Event()
        self._last: Frame | None = None

    def open(self) -> SourceInfo:
        self._closed.clear()
        return dataclasses.replace(self._scene.open(), live=True, frame_count=None)

    def read(self) -> Frame | None:
        if active.once("source-hang"):
            self._closed.wait()
        if "source-hang-hard" in active:
            time.sleep(1e6)
        if active.once("source-lost"):
            raise SourceLostError("the camera is gone")
        if active.once("source-exception"):
            raise ValueError("an unexpected error")
        frame = self._scene.read()
        if frame is None:
            return None
        return self._with_faults(dataclasses.replace(frame, wall_ns=time.time_ns()))

    def close(self) -> None:
        self._closed.set()
        self._scene.close()

    def _with_faults(self, frame: Frame) -> Frame:
        if active.once("frame-damaged"):
            planes = tuple(plane[:-16] for plane in frame.main.planes)
            return dataclasses.replace(frame, main=Picture(PixelFormat.I420, planes))
        if "frame-garbage" in active:
            planes = tuple(_noise(plane.shape) for plane in frame.main.planes)
            main = Picture(PixelFormat.I420, planes)
            return dataclasses.replace(frame, luma=_noise(frame.luma.shape), main=main)
        if "black" in active:
            return dataclasses.replace(frame, luma=np.asarray(frame.luma // 16, np.uint8))
        if "frozen" in active and self._last is not None:
            return dataclasses.replace(frame, luma=self._last.luma, main=self._last.main)
        self._last = frame
        return frame


class DelayedSource(SyntheticSource):
    """A scene as a recording that starts after a second, when subscribers have connected."""

    def open(self) -> SourceInfo:
        time.sleep(1)
        return super().open()


class FaultyDetector(Detector):
    """Invokes the real model, but always returns a person in the middle of the canvas."""

    def detect(self, canvas: npt.NDArray[np.uint8], min_score: float | None = None) -> Detections:
        if "invoke-exception" in active:
            raise RuntimeError("the interpreter failed")
        if "invoke-hang" in active:
            time.sleep(1e6)
        super().detect(canvas, min_score)
        width, height = self.input_size
        box = np.array([[width * 0.3, height * 0.2, width * 0.7, height * 0.8]], np.float32)
        person = self.labels.index("person")
        return Detections(box, np.array([0.9], np.float32), np.array([person], np.int64))


def _noise(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(random.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)


def _open_source(settings: SourceSettings, _stall_s: float, *listeners: Any, **_: Any) -> Any:
    if settings.fast:
        return DelayedSource(settings)
    return Reconnecting(FaultySource(settings), settings, *listeners)


def install() -> None:
    """Replaces parts of the daemon by those with faults."""
    publish, now_ns, readings = PartFile.publish, time.time_ns, edge.runtime.machine.read

    def slow_publish(part: PartFile, *, replace: bool = False) -> int:
        if "write-hang" in active:
            time.sleep(1e6)
        return publish(part, replace=replace)

    def slow_encode(*arguments: Any) -> list[bytes]:
        if "publish-hang" in active:
            time.sleep(1e6)
        return encode(*arguments)

    def jumping_ns() -> int:
        days = ("clock-forward" in active) - ("clock-back" in active)
        return now_ns() + days * DAY_NS

    def read_hot(root: Path = Path("/")) -> Readings:
        return Readings(90.0) if "hot" in active else readings(root)

    replacements: dict[str, object] = {
        "edge.runtime.machine.read": read_hot,
        "edge.runtime.files.PartFile.publish": slow_publish,
        "edge.bus.publisher.encode": slow_encode,
        "edge.daemon.assemble.open_source": _open_source,
        "edge.vision.build.Detector": FaultyDetector,
        "time.time_ns": jumping_ns,
        "time.time": lambda: jumping_ns() / 1e9,
        "edge.runtime.clock.WALL_CLOCK.wall_s": lambda: jumping_ns() / 1e9,  # kept the function
    }
    for name, replacement in replacements.items():
        mock.patch(name, replacement).start()
    threading.Thread(target=active.read_commands, daemon=True).start()


if __name__ == "__main__":
    os.environ["EDGE_DEBUG"] = ""
    install()
    main()
