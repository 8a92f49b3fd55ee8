"""`python -m tests.pi.check`: the camera source on the real picamera2; a line for each fact."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest import mock

import av
import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.recorder import Recorder
from edge.capture.request import CaptureRequest, CaptureResult
from edge.config.schema import CaptureSettings, SourceSettings
from edge.errors import EdgeError, SourceError, SourceLostError
from edge.runtime.times import NS_PER_S
from edge.sources import picamera2 as adapter
from edge.sources.buffers import picture_of
from edge.sources.picamera2 import BUFFERS, Picamera2Source
from edge.sources.reconnect import Reconnecting
from edge.vision.picture import Picture
from edge.vision.types import EncodedPacket, Frame, SourceInfo
from tests.pi.fittings import Layout, Shutter, fit

FULL_SIZE = (2304, 1296)
HOLD = """
import sys
from tests.pi.check import opened
with opened():
    print("held", flush=True)
    sys.stdin.read()
"""
LAYOUTS = [Layout(name, padding) for name in ("NV12", "YUV420") for padding in (0, 64)]


def proved(fact: str) -> None:
    print(f"proved: {fact}", flush=True)


@contextmanager
def opened(
    layout: Layout | None = None, stall_s: float = 5.0, clip_height_px: int = 0, **settings: Any
) -> Iterator[tuple[Picamera2Source, SourceInfo]]:
    fit(layout)
    source = Picamera2Source(SourceSettings(**settings), stall_s, clip_height_px)
    try:
        yield source, source.open()
    finally:
        source.close()


def take(source: Picamera2Source) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def request_of(lease: object) -> Any:
    """The picamera2 request behind a frame's lease."""
    return lease._request  # type: ignore[attr-defined]


def in_use(source: Picamera2Source) -> int:
    """Buffers of both streams that the camera does not have."""
    return sum(source._camera.allocator.mapped_buffers_used.values())


def memory_kb(key: str = "VmRSS", process: int | str = "self") -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(key))


def open_files() -> int:
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def pixels_are_the_sensors(layout: Layout) -> None:
    with opened(layout) as (source, info):
        assert (info.main_size, info.live) == ((1280, 720), True)
        for _ in range(20):
            frame = take(source)
        camera, request = source._camera, request_of(frame.lease)
        for name, shown in (("main", frame.main.planes), ("lores", (frame.luma,))):
            stream = camera.camera_configuration()[name]
            width, height = stream["size"]
            assert stream["stride"] == width + layout.padding
            buffer = request.request.buffers[camera.stream_map[name]]
            given = np.frombuffer(camera.allocator.given[buffer][0], np.uint8)
            chroma = given[width * height :].reshape(height // 2, width // 2, 2)
            planes = [given[: width * height].reshape(height, width), chroma]
            if layout.format == "YUV420":
                planes[1:] = [chroma[..., 0], chroma[..., 1]]
            for seen, expected in zip(shown, planes, strict=False):
                np.testing.assert_array_equal(seen, expected)
            # A byte that changes in the camera's memory changes in the view: nothing was copied.
            memory = np.frombuffer(camera.allocator.mapped_buffers[buffer], np.uint8)
            memory[0] ^= 0xFF
            assert shown[0][0, 0] == memory[0]
            memory[0] ^= 0xFF
            assert not any(plane.flags.writeable for plane in shown)
        small = cv2.resize(frame.main.luma(), frame.luma.shape[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - frame.luma).mean() < 4
        assert np.ptp(frame.luma) > 100
        assert frame.main.rgb((300, 200, 401, 333)).shape == (133, 101, 3)


def check_both_streams() -> None:
    for layout in LAYOUTS:
        pixels_are_the_sensors(layout)
        made = "" if layout == Layout() else " (laid out by the test from libcamera's NV12)"
        proved(
            f"{layout.format}, {layout.padding} bytes of padding: main and lores of one exposure "
            f"are views on the camera's memory, exact in every plane{made}"
        )


def check_that_the_checks_bite() -> None:
    def careless(flat: npt.NDArray[np.uint8], stream: dict[str, Any]) -> Picture:
        return picture_of(flat, stream | {"stride": stream["size"][0]})

    try:
        with mock.patch.object(adapter, "picture_of", careless):
            pixels_are_the_sensors(Layout("YUV420", 64))
    except AssertionError:
        proved("an adapter that ignores the padding of rows fails these checks")
        return
    raise AssertionError("the padding of rows was ignored, and no check noticed")


def check_timestamps() -> None:
    apart_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    with opened() as (source, _):
        last_ns = 0
        for _ in range(200):
            before_ns = time.monotonic_ns()
            frame = take(source)
            sensor_ns = request_of(frame.lease).get_metadata()["SensorTimestamp"]
            assert frame.timestamp_ns == sensor_ns
            assert last_ns < frame.timestamp_ns < time.monotonic_ns()
            assert before_ns - frame.timestamp_ns < NS_PER_S
            age_ns = time.monotonic_ns() - frame.timestamp_ns
            assert abs(time.time_ns() - frame.wall_ns - age_ns) < 50_000_000
            last_ns = frame.timestamp_ns
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert 0 <= time.monotonic_ns() - adapter._monotonic_ns(boot_ns) < 50_000_000
    proved(
        "sensor times are monotonic nanoseconds, whichever clock a driver uses "
        f"(CLOCK_BOOTTIME was {apart_ns / NS_PER_S:.0f} s ahead of CLOCK_MONOTONIC)"
    )


def check_buffers() -> None:
    for buffers in (BUFFERS, 0):
        hold_six_frames(buffers)
    with opened() as (source, _):
        row = take(source).main.planes[0][100]
        value = row.copy()
        for _ in range(100):
            take(source)
        np.testing.assert_array_equal(row, value)
        del row
        wait_for(lambda: in_use(source) <= 4)
    proved("a row kept after its frame is gone still shows its exposure: the buffer is not reused")


def hold_six_frames(buffers: int) -> None:
    with opened(Layout(buffers=buffers)) as (source, _):
        held: deque[Frame] = deque(maxlen=6)
        for _ in range(200):
            held.append(take(source))
        files, memory, views = open_files(), memory_kb(), 0
        started_s = time.monotonic()
        for _ in range(2000):
            held.append(take(source))
            views += held[-1].lease is not None
        fps = 2000 / (time.monotonic() - started_s)
        grown = memory_kb() - memory
        granted = len(source._camera.allocator.buffers(source._camera.streams[0]))
        assert open_files() == files
        assert grown < 4096, f"{grown} kB"
        held.clear()
        wait_for(lambda: in_use(source) <= 4)
        assert all(take(source).lease is not None for _ in range(100))
    proved(
        f"2,000 frames, six held at a time, with {granted} buffers: there was always one ({views} "
        f"views, the rest copies), all came back, {grown} kB more memory; {fps:.0f} frames/s"
    )


def check_frames_after_close() -> None:
    with opened() as (source, _):
        frame = take(source)
        luma = frame.luma.copy()
    np.testing.assert_array_equal(frame.luma, luma)
    lease = frame.lease
    del frame
    request = request_of(lease)
    assert request.ref_count == 1
    del lease
    assert request.ref_count == 0
    proved("a frame outlives its camera, and its release raises no error")


def check_reopening() -> None:
    with opened() as (source, _):
        take(source)
    files, threads, memory = open_files(), threading.active_count(), memory_kb()
    for _ in range(20):
        source.open()
        indices = [take(source).index for _ in range(5)]
        assert indices == list(range(indices[0], indices[0] + 5))
        source.close()
        source.close()
    assert (open_files(), threading.active_count()) == (files, threads)
    grown = memory_kb() - memory
    proved(f"stopped and opened again 20 times: no file, no thread, {grown} kB more than before")


def check_field_of_view() -> None:
    """The mode that picamera2 chooses among those of an IMX708 (Camera Module 3)."""
    camera = fit().Picamera2
    plain = camera._is_rpi_camera, camera._make_libcamera_config
    chosen: list[tuple[int, int]] = []

    def make(self: Any, wanted: dict[str, Any]) -> Any:
        made = plain[1](self, wanted)
        chosen.append(made.sensor_config.output_size.to_tuple())
        return made

    camera._is_rpi_camera, camera._make_libcamera_config = lambda self: True, make
    try:
        with opened() as (source, _):
            main = {"size": (1280, 720)}
            make(source._camera, source._camera.create_video_configuration(main=main, raw=None))
    finally:
        camera._is_rpi_camera, camera._make_libcamera_config = plain
    assert chosen == [(2304, 1296), (1536, 864)], chosen
    proved(
        "among an IMX708's modes picamera2 takes 2304x1296, the whole field of view; "
        "without edge's choice it takes 1536x864, the middle two thirds"
    )


def check_busy_and_unknown() -> None:
    fit()
    unknown = refused(SourceError, "picamera2:7")
    proved(f"unknown: {unknown!r}")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    refused(SourceLostError, "picamera2:0")
    files = open_files()
    for _ in range(20):
        sentence = refused(SourceLostError, "picamera2:0")
    assert "another program is using it" in sentence, sentence
    assert open_files() == files
    holder.communicate("let go", timeout=20)
    with opened() as (source, _):
        take(source)
    proved(
        f"busy in another process: {sentence!r}; 20 tries leave no file open, and a try after its "
        "release succeeds"
    )


def refused(kind: type[EdgeError], uri: str = "picamera2:0", **settings: Any) -> str:
    source = Picamera2Source(SourceSettings(uri=uri, **settings))
    try:
        source.open()
    except kind as error:
        return str(error)
    finally:
        source.close()
    raise AssertionError(f"{uri} was opened")


def check_mounting_and_focus() -> None:
    """The virtual camera grants any rotation but does none, and has no lens to move."""
    with opened(upside_down=True) as (source, _):
        take(source)
        granted = source._camera.camera_configuration()["transform"]
    assert (granted.hflip, granted.vflip) == (True, True), granted
    sentence = refused(SourceError, focus_m=2.0)
    assert "no motor" in sentence, sentence
    with opened() as (source, _):
        take(source)
    proved(f"upside down: libcamera gets both flips; focus: {sentence!r}")


def check_absent() -> None:
    """The command as a user runs it: its exit code and everything that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.pi.edge", "run", "--source", "picamera2:0"],
        env=os.environ | {"LIBCAMERA_PIPELINES_MATCH_LIST": "simple"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    printed = [line for line in done.stderr.splitlines() if "TensorFlow Lite" not in line]
    assert done.returncode == 1, printed
    waiting, *sentence = printed
    assert waiting.endswith("waiting for picamera2:0"), printed
    assert len(sentence) == 1, printed
    assert "no camera is connected" in sentence[0]
    proved(f"absent: `edge run` says that it waits, then only {sentence[0]!r}; exit code 1")


def check_unplugged() -> None:
    shutter = Shutter(50)
    events: list[str] = []
    fit()
    settings = SourceSettings(retry_max_s=0.2)
    source = Reconnecting(Picamera2Source(settings, stall_s=0.5), settings, events.append)
    source.open()
    frames = [source.read() for _ in range(10)]
    last = frames[-1]
    assert last is not None
    frames.clear()
    shutter.open = False
    threading.Timer(2.0, lambda: setattr(shutter, "open", True)).start()
    started_s = time.monotonic()
    while not events:  # an exposure may have been made before
        again = source.read()
    assert again is not None
    assert again.index > last.index
    assert again.timestamp_ns > last.timestamp_ns
    assert "no frame for 0.5 s" in events[0]
    assert events[-1].endswith("is back")
    away_s = time.monotonic() - started_s
    proved(f"unplugged: {events[0]!r}; plugged in again: {events[-1]!r}, after {away_s:.1f} s")
    shutter.open = False
    threading.Timer(0.5, source.close).start()
    started_s = time.monotonic()
    while source.read() is not None:
        pass
    stopped_s = time.monotonic() - started_s
    assert stopped_s < 2
    shutter.open = True
    proved(f"closed by another thread while no frame comes: read returned {stopped_s:.1f} s later")


def check_still_and_clips() -> None:
    size = dict(zip(("width_px", "height_px"), FULL_SIZE, strict=True))
    with opened(Layout("YUV420", 64), clip_height_px=720, **size) as (source, info):
        assert info.encoded is None
        still, clip = record(source, info)
        camera = source._camera
        assert (camera.configure_count, camera.stop_count) == (1, 0)
    picture = cv2.imread(str(still.path))
    assert picture.shape == (*FULL_SIZE[::-1], 3)
    proved(
        f"a still of {FULL_SIZE[0]}x{FULL_SIZE[1]}, the main stream's size, without a mode switch"
    )
    before_s, frames = played(clip)
    proved(
        "no hardware encoder here: PyAV encodes; a clip of "
        f"{frames} frames starts {before_s:.1f} s before its trigger and plays"
    )


def check_hardware_encoder() -> None:
    """picamera2's software encoder, which has the same interface, replaces the Pi's encoder."""
    library = fit()
    library.encoders.H264Encoder = library.encoders.LibavH264Encoder
    with opened(Layout("YUV420", 64), clip_height_px=720, fps=30) as (source, info):
        assert info.encoded is not None
        times: set[int] = set()  # of all exposures, also of those that are never read
        source._camera.pre_callback = lambda request: times.add(
            request.get_metadata()["SensorTimestamp"] // 1000
        )
        packets: list[EncodedPacket] = []
        while len(packets) < 100:
            frame = take(source)
            packets += frame.packets
        known = [packet.timestamp_ns // 1000 in times for packet in packets]
        assert sum(known) > 90  # the first were exposed before the callback was set
        assert all(known[-50:])
        del frame
        _, clip = record(source, info)
        wait_for(lambda: in_use(source) <= 8)
    before_s, frames = played(clip)
    proved(
        "packets of picamera2's encoder carry the times of their frames; a clip of "
        f"{frames} frames starts {before_s:.1f} s before its trigger and plays"
    )
    # An encoder that hangs: it keeps each frame and gives no packet.
    library.encoders.H264Encoder._encode = lambda encoder, stream, request: request.acquire()
    with opened(Layout("YUV420"), stall_s=1, clip_height_px=720) as (source, info):
        assert info.encoded is not None
        try:
            while True:
                take(source)
        except SourceLostError as error:
            sentence = str(error)
        assert "hardware encoder" in sentence
        source.close()
        assert source.open().encoded is None
    proved(f"an encoder that gives nothing is abandoned: {sentence!r}")


def record(source: Picamera2Source, info: SourceInfo) -> tuple[CaptureResult, CaptureResult]:
    """A still and a clip with 2 s of pre-roll and 1 s of post-roll, from a trigger after 3 s.

    The seconds are those of exposures or packets, so that a slow machine only takes longer.
    """
    results: list[CaptureResult] = []
    settings = CaptureSettings(directory=mkdtemp(), pre_roll_s=2, post_roll_s=1)
    recorder = Recorder(settings, on_capture=results.append, on_error=fail)
    recorder.start()
    recorder.begin_stream(info)
    first_ns, newest_ns, trigger_ns = None, 0, None
    while trigger_ns is None or newest_ns < trigger_ns + 1.5 * NS_PER_S:
        frame = take(source)
        recorder.offer(frame)
        if info.encoded is None:
            newest_ns = frame.timestamp_ns
        elif frame.packets:
            newest_ns = frame.packets[-1].timestamp_ns
        first_ns = first_ns or newest_ns
        if trigger_ns is None and newest_ns > first_ns + 3 * NS_PER_S:
            trigger_ns = frame.timestamp_ns
            request = CaptureRequest(
                "1", "check", "cam0", frame.wall_ns, trigger_ns,
                ("still", "clip"), frame.detached(),
            )  # fmt: skip
            assert recorder.trigger(request)
        del frame
        time.sleep(0.03)
    recorder.stop(20)
    by_kind = {result.kind: result for result in results}
    return by_kind["still"], by_kind["clip"]


def fail(sentence: str) -> None:
    raise AssertionError(sentence)


def played(clip: CaptureResult) -> tuple[float, int]:
    """Seconds from the beginning of a clip to its trigger, and the number of decoded frames."""
    with av.open(str(clip.path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == clip.frames > 10
    seconds = float((frames[-1].time or 0) - (frames[0].time or 0))
    assert 2.5 < seconds < 5, seconds
    return seconds - 1, len(frames)


def wait_for(condition: Callable[[], bool], timeout_s: float = 5) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "the condition was not met in time"
        time.sleep(0.01)


CHECKS = [
    check_both_streams,
    check_that_the_checks_bite,
    check_timestamps,
    check_buffers,
    check_frames_after_close,
    check_reopening,
    check_field_of_view,
    check_busy_and_unknown,
    check_mounting_and_focus,
    check_absent,
    check_still_and_clips,
    check_hardware_encoder,
    check_unplugged,
]


def main(names: list[str]) -> int:
    """The number of failed checks; an exception in a thread or a destructor is a failure too."""
    failed = 0
    errors: list[BaseException | None] = []
    threading.excepthook = lambda hook: errors.append(hook.exc_value)
    sys.unraisablehook = lambda hook: errors.append(hook.exc_value)
    for check in CHECKS:
        if names and check.__name__ not in names:
            continue
        started_s = time.monotonic()
        try:
            check()
            if errors:
                raise errors.pop() or RuntimeError("an exception without a value")
            print(f"        ({check.__name__}: {time.monotonic() - started_s:.1f} s)")
        except Exception:
            failed += 1
            print(f"FAILED: {check.__name__}", flush=True)
            traceback.print_exc()
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
