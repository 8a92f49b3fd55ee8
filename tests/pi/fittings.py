"""Replacements for hardware that picamera2 and libcamera lack on a machine other than a Pi.

They replace nothing that edge calls: picamera2's classes, threads, requests and jobs run, and
libcamera's `virtual` pipeline gives the frames.

- picamera2 takes buffers from a dma-heap. Here they are memory files of two planes, as the virtual
  pipeline needs them for NV12.
- picamera2 asks each camera for its raw modes. The virtual one has none, and gets an IMX708's.
- picamera2 imports `pykms` (previews on a screen) and `pidng` (raw files), which are not used.
- The virtual pipeline gives only unpadded NV12. `Layout` lays the picture out as a Pi does before
  picamera2 passes it on, and `fit` enters that in the configuration that it grants.
- The virtual pipeline lets two processes use the camera. A Pi locks the media device (`_lock`).
- The virtual pipeline gives frames as fast as buffers come back. `Shutter` paces it, and stops it
  as a pulled cable does.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import numpy.typing as npt

IMX708 = [(1536, 864), (2304, 1296), (4608, 2592)]  # Camera Module 3; the first is a crop


@dataclass(frozen=True)
class Layout:
    """Memory layout of a camera's pictures. padding: bytes after each row of luma.

    buffers: for each stream; 0 = as libcamera grants, four for its virtual camera.
    """

    format: str = "NV12"
    padding: int = 0
    buffers: int = 8

    def grant(self, stream: dict[str, Any]) -> None:
        """Enters in picamera2's configuration the layout that `fill` makes."""
        stream["format"] = self.format
        stream["stride"] += self.padding
        stream["framesize"] = stream["stride"] * stream["size"][1] * 3 // 2

    def size(self, width: int, height: int) -> int:
        return (width + self.padding) * height * 3 // 2

    def fill(
        self, shown: npt.NDArray[np.uint8], nv12: npt.NDArray[np.uint8], width: int, height: int
    ) -> None:
        """Copies plain NV12 into the memory that picamera2 maps, and fills the padding."""
        stride, luma = width + self.padding, width * height
        shown[:] = 0xA5
        rows = shown[: stride * height].reshape(height, stride)
        rows[:, :width] = nv12[:luma].reshape(height, width)
        rest = shown[stride * height :]
        chroma = nv12[luma:].reshape(height // 2, width)
        if self.format == "NV12":
            rest.reshape(height // 2, stride)[:, :width] = chroma
            return
        planes = rest.reshape(2, height // 2, stride // 2)
        planes[0, :, : width // 2], planes[1, :, : width // 2] = chroma[:, ::2], chroma[:, 1::2]


def fit(layout: Layout | None = None) -> Any:
    """Makes `import picamera2` work in this process, and returns that module."""
    for name in ("pykms", "pidng", "pidng.camdefs", "pidng.core"):
        sys.modules.setdefault(name, MagicMock())
    import picamera2
    import picamera2.picamera2 as implementation

    camera = picamera2.Picamera2
    implementation.DmaAllocator = _memory_files(layout or Layout())
    camera._get_raw_modes = lambda self: [
        {"format": "SBGGR10_CSI2P", "size": size} for size in IMX708
    ]

    def granted(self: Any, stream: dict[str, Any], config: Any) -> None:
        original(self, stream, config)
        (layout or Layout()).grant(stream)

    original = getattr(camera._update_stream_config, "original", camera._update_stream_config)
    granted.original = original  # type: ignore[attr-defined]
    camera._update_stream_config = granted
    _lock()
    return picamera2


def _lock() -> None:
    """Allows one process at a time, with the error of libcamera's lock of a media device."""
    import libcamera

    acquire, release = libcamera.Camera.acquire, libcamera.Camera.release
    if getattr(acquire, "locks", False):
        return
    held: list[int] = []

    def locked_acquire(camera: Any) -> None:
        lock = os.open("/tmp/camera.lock", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RuntimeError("Failed to acquire camera: Device or resource busy") from None
        acquire(camera)
        held.append(lock)

    def unlocked_release(camera: Any) -> None:
        release(camera)
        os.close(held.pop())

    locked_acquire.locks = True  # type: ignore[attr-defined]
    libcamera.Camera.acquire, libcamera.Camera.release = locked_acquire, unlocked_release


def _memory_files(layout: Layout) -> type[Any]:
    """picamera2's allocator with its accounting, on memory files instead of a dma-heap."""
    import libcamera
    from picamera2.allocators import DmaAllocator

    class Access:
        """Ordinary memory needs no synchronization between camera and processor."""

        def __init__(self, allocator: Any, buffer: Any, write: bool) -> None:
            self.allocator, self.buffer = allocator, buffer

        def __enter__(self) -> mmap.mmap:
            mapped: mmap.mmap = self.allocator.mapped_buffers[self.buffer]
            return mapped

        def __exit__(self, *_: object) -> None:
            pass

    class MemoryFiles(DmaAllocator):  # type: ignore[misc]  # picamera2 has no types
        def __init__(self) -> None:
            self.dmaHeap = SimpleNamespace(close=lambda: None)
            self.mapped_buffers: dict[Any, mmap.mmap] = {}
            self.mapped_buffers_used: dict[int, bool] = {}
            self.given: dict[Any, tuple[mmap.mmap, int, int]] = {}
            self.frame_buffers: dict[Any, list[Any]] = {}
            self.open_fds: list[int] = []
            self.libcamera_fds: list[int] = []
            self.sync = Access

        def allocate(self, libcamera_config: Any, _: Any) -> None:
            self.libcamera_fds = []
            self.cleanup()
            for fd in self.open_fds:
                os.close(fd)
            self.frame_buffers, self.open_fds, self.given = {}, [], {}
            for stream in libcamera_config:
                stream.buffer_count = layout.buffers or stream.buffer_count
                self.frame_buffers[stream.stream] = [
                    self._buffer(stream) for _ in range(stream.buffer_count)
                ]

        def acquire(self, buffers: Any) -> None:
            super().acquire(buffers)
            for buffer in buffers.values():
                given, width, height = self.given[buffer]
                shown = np.frombuffer(self.mapped_buffers[buffer], np.uint8)
                layout.fill(shown, np.frombuffer(given, np.uint8), width, height)

        def _buffer(self, stream: Any) -> Any:
            width, height = stream.size.width, stream.size.height
            assert (stream.stride, stream.frame_size) == (width, width * height * 3 // 2)
            fd = os.memfd_create("camera")
            os.ftruncate(fd, stream.frame_size)
            planes = []
            for offset, length in ((0, width * height), (width * height, width * height // 2)):
                plane = libcamera.FrameBuffer.Plane()
                plane.fd, plane.offset, plane.length = fd, offset, length
                planes.append(plane)
            buffer = libcamera.FrameBuffer(planes)
            self.open_fds.append(fd)
            self.libcamera_fds.append(buffer.planes[0].fd)
            self.mapped_buffers_used[buffer.planes[0].fd] = False
            self.given[buffer] = (mmap.mmap(fd, stream.frame_size), width, height)
            self.mapped_buffers[buffer] = mmap.mmap(-1, layout.size(width, height))
            return buffer

    return MemoryFiles


class Shutter:
    """Exposes at its rate instead of as soon as a buffer is free; not at all while closed.

    The virtual pipeline completes a request as soon as it is queued. A thread therefore queues
    each one when it is due. One for a process.
    """

    def __init__(self, fps: float) -> None:
        import libcamera

        self.fps = fps
        self.open = True
        self._session = 0  # requests queued before a stop are never exposed
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[int, Any, Any]] = queue.SimpleQueue()
        self._expose, self._stop = libcamera.Camera.queue_request, libcamera.Camera.stop
        libcamera.Camera.queue_request = lambda *turn: self._waiting.put((self._session, *turn))
        libcamera.Camera.stop = lambda camera: self._end_session(camera)
        threading.Thread(target=self._run, daemon=True).start()

    def _end_session(self, camera: Any) -> None:
        with self._lock:
            self._session += 1
            self._stop(camera)

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            session, camera, request = self._waiting.get()
            due_s = max(due_s + 1 / self.fps, time.monotonic() - 1 / self.fps)
            while session == self._session and (time.monotonic() < due_s or not self.open):
                time.sleep(0.002)
            with self._lock:
                if session == self._session:
                    self._expose(camera, request)
