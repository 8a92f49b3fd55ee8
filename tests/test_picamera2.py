"""The camera source against a stand-in with picamera2's interface: no camera is needed."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from edge.errors import MissingExtraError, SourceError, SourceLostError
from edge.picture import PixelFormat
from edge.settings import SourceSettings
from edge.sources.picamera2 import Picamera2Source

PADDING = 64


class Request:
    def __init__(self, camera: Camera, number: int) -> None:
        self._camera, self._number = camera, number

    def make_buffer(self, name: str) -> np.ndarray:
        stream = self._camera.granted[name]
        (width, height), stride = stream["size"], stream["stride"]
        luma = np.full((height, stride), 255, np.uint8)
        luma[:, :width] = 50 + self._number % 200
        if stream["format"] == "NV12":
            chroma = np.full((height // 2, stride), 128, np.uint8)
        else:
            chroma = np.full((height, stride // 2), 128, np.uint8)
        return np.concatenate([luma.ravel(), chroma.ravel()])

    def get_metadata(self) -> dict[str, int]:
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 20_000_000}

    def release(self) -> None:
        self._camera.out -= 1


class Camera:
    cameras: tuple[str, ...] = ("imx708",)
    format = "YUV420"
    busy = hangs = False
    out = taken = closed = 0

    @classmethod
    def global_camera_info(cls) -> list[str]:
        return list(cls.cameras)

    def __init__(self, number: int) -> None:
        if Camera.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")

    def create_video_configuration(self, **wanted: object) -> dict[str, object]:
        return wanted

    def configure(self, wanted: dict[str, dict[str, tuple[int, int]]]) -> None:
        self.granted = {
            name: {"size": wanted[name]["size"], "format": Camera.format,
                   "stride": wanted[name]["size"][0] + PADDING}
            for name in ("main", "lores")
        }  # fmt: skip

    def camera_configuration(self) -> dict[str, dict[str, object]]:
        return self.granted

    def start(self) -> None:
        pass

    def capture_request(self, wait: bool) -> str:
        assert not wait
        return "job"

    def wait(self, job: str, timeout: float) -> Request:
        if Camera.hangs:
            raise TimeoutError
        self.out, self.taken = self.out + 1, self.taken + 1
        return Request(self, self.taken)

    def close(self) -> None:
        Camera.closed += 1


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> type[Camera]:
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=Camera))
    for name in ("cameras", "format", "busy", "hangs", "closed"):
        monkeypatch.setattr(Camera, name, getattr(Camera, name))
    return Camera


@pytest.mark.parametrize("layout", ["YUV420", "NV12"])
def test_both_streams_are_views_without_the_padding(camera: type[Camera], layout: str) -> None:
    camera.format = layout
    source = Picamera2Source(SourceSettings())
    info = source.open()
    assert (info.width, info.height, info.live) == (1280, 720, True)
    before_ns = time.monotonic_ns()
    frame = source.read()
    assert frame is not None
    assert frame.luma.shape == (180, 320)
    assert (frame.luma == 51).all()
    assert frame.main.format is (PixelFormat.NV12 if layout == "NV12" else PixelFormat.I420)
    assert np.ptp(frame.main.rgb((1, 1, 1280, 720))) == 0
    assert before_ns - 30_000_000 < frame.timestamp_ns < before_ns
    source.close()


def test_buffers_go_back_with_the_last_frame(camera: type[Camera]) -> None:
    source = Picamera2Source(SourceSettings())
    source.open()
    opened = source._camera
    kept = [source.read() for _ in range(3)]
    assert opened.out == 3
    copy = kept[0].detached()
    kept.clear()
    assert opened.out == 0
    assert (copy.luma == 51).all()
    for _ in range(2000):
        source.read()
    assert opened.out == 0


@pytest.mark.parametrize(
    ("change", "uri", "error", "said"),
    [
        ({"cameras": ()}, "picamera2:", SourceError, "no camera is connected"),
        ({}, "picamera2:3", SourceError, "there is no camera 3"),
        ({}, "picamera2:front", SourceError, "there is no camera front"),
        ({"busy": True}, "picamera2:0", SourceLostError, "another program"),
    ],
)
def test_cameras_that_can_not_be_opened(
    camera: type[Camera], change: dict, uri: str, error: type[Exception], said: str
) -> None:
    for name, value in change.items():
        setattr(camera, name, value)
    with pytest.raises(error, match=said):
        Picamera2Source(SourceSettings(uri=uri)).open()


def test_a_camera_that_gives_nothing_is_lost(camera: type[Camera]) -> None:
    source = Picamera2Source(SourceSettings(), stall_s=0.1)
    source.open()
    camera.hangs = True
    with pytest.raises(SourceLostError, match="no frame for"):
        source.read()
    source.close()
    source.close()
    assert camera.closed == 1


def test_without_picamera2_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(MissingExtraError, match="apt install python3-picamera2"):
        Picamera2Source(SourceSettings()).open()
