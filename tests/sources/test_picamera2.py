"""The camera source against a stand-in with picamera2's interface: no camera is needed.

`make test-picamera2` proves the same, and more, on the real picamera2 and libcamera.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.config.schema import SourceSettings
from edge.errors import MissingExtraError, SourceError, SourceLostError
from edge.sources import open_source
from edge.sources.picamera2 import BUFFERS, IN_CAMERA, Picamera2Source
from edge.vision.picture import PixelFormat
from edge.vision.types import EncodedPacket, Exposure

PADDING = 64


class Request:
    def __init__(self, camera: Camera, number: int) -> None:
        self.camera, self.number = camera, number

    def get_metadata(self) -> dict[str, Any]:
        sensor_ns = time.monotonic_ns() + Camera.suspended_ns - 20_000_000
        return {"SensorTimestamp": sensor_ns} | Camera.reported

    def release(self) -> None:
        self.camera.out -= 1


class MappedArray:
    def __init__(self, request: Request, name: str, reshape: bool, write: bool) -> None:
        assert not reshape
        assert write is Camera.painted
        stream = request.camera.granted[name]
        (width, height), stride = stream["size"], stream["stride"]
        luma = np.full((height, stride), 255, np.uint8)
        luma[:, :width] = 50 + request.number % 200
        chroma = np.full(height // 2 * stride, 128, np.uint8)
        self.array = np.concatenate([luma.ravel(), chroma])

    def __enter__(self) -> MappedArray:
        return self

    def __exit__(self, *_: object) -> None:
        self.array[:] = 0  # the camera writes its next exposure here


class Encoder:
    """Replaces picamera2's encoder, whose output alone is used."""

    gives = True
    firsttimestamp = 0

    def __init__(self, **_: object) -> None:
        pass


class Camera:
    cameras: tuple[dict[str, str], ...] = ({"Id": "/base/soc/i2c@1/imx708@1a"},)
    format = "YUV420"
    busy = hangs = encodes = painted = False
    sensor_resolution = (4608, 2592)
    suspended_ns = 0
    sensor: Any = None
    turns = True
    camera_properties: dict[str, Any] = {"Model": "imx708"}  # noqa: RUF012
    reported: dict[str, Any] = {}  # noqa: RUF012
    camera_controls: dict[str, tuple[float, float, float]] = {}  # noqa: RUF012
    wanted_controls: Any = None
    output: SimpleNamespace | None = None
    out = taken = closed = 0

    @classmethod
    def global_camera_info(cls) -> list[dict[str, str]]:
        return list(cls.cameras)

    def __init__(self, number: int) -> None:
        if Camera.busy:
            self.notifyme_w = os.open(os.devnull, os.O_RDONLY)
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError:  # as picamera2 0.3.31; later ones chain
                raise RuntimeError("Camera __init__ sequence did not complete.")  # noqa: B904

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        assert wanted["raw"] is None
        assert wanted["colour_space"] == "BT.601"
        Camera.sensor = wanted["sensor"]
        Camera.wanted_controls = wanted["controls"]
        return wanted

    def configure(self, wanted: dict[str, Any]) -> None:
        self.libcamera_config = [SimpleNamespace(buffer_count=wanted["buffer_count"])] * 2
        self.granted: dict[str, Any] = {
            name: {"size": wanted[name]["size"], "format": Camera.format,
                   "stride": wanted[name]["size"][0] + PADDING}
            for name in ("main", "lores")
        }  # fmt: skip
        self.granted["transform"] = wanted["transform"] if Camera.turns else (False, False)

    def camera_configuration(self) -> dict[str, Any]:
        return self.granted

    def start_encoder(self, encoder: Encoder, output: SimpleNamespace, name: str) -> None:
        if not Camera.encodes:
            raise FileNotFoundError("/dev/video11")
        self.encoder, self.output = encoder, output

    def stop_encoder(self, encoder: Encoder) -> None:
        assert encoder is self.encoder

    def start(self) -> None:
        pass

    def capture_request(self, wait: bool) -> str:
        assert not wait
        return "job"

    def wait(self, job: str, timeout: float) -> Request:
        if Camera.hangs:
            raise TimeoutError
        self.out, self.taken = self.out + 1, self.taken + 1
        if self.output and Encoder.gives:
            self.output.outputframe(b"h264", self.taken == 1, self.taken, None, False)
        return Request(self, self.taken)

    def cancel_all_and_flush(self) -> None:
        pass

    def close(self) -> None:
        Camera.closed += 1


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> type[Camera]:
    library = SimpleNamespace(
        Picamera2=Camera,
        MappedArray=MappedArray,
        Platform=SimpleNamespace(VC4="vc4"),
        get_platform=lambda: "vc4",
        encoders=SimpleNamespace(H264Encoder=Encoder),
        outputs=SimpleNamespace(Output=SimpleNamespace),
    )
    libcamera = SimpleNamespace(
        ColorSpace=SimpleNamespace(Smpte170m=lambda: "BT.601"),
        Transform=lambda hflip, vflip: (hflip, vflip),
    )
    monkeypatch.setitem(sys.modules, "picamera2", library)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    for name in ("cameras", "format", "busy", "hangs", "encodes", "suspended_ns", "closed", "turns",
                 "camera_controls", "reported", "painted"):  # fmt: skip
        monkeypatch.setattr(Camera, name, getattr(Camera, name))
    monkeypatch.setattr(Encoder, "gives", True)
    return Camera


@pytest.mark.parametrize("layout", ["YUV420", "NV12"])
def test_both_streams_are_views_without_the_padding(camera: type[Camera], layout: str) -> None:
    camera.format = layout
    source = Picamera2Source(SourceSettings())
    info = source.open()
    assert (info.main_size, info.live) == ((1280, 720), True)
    before_ns = time.monotonic_ns()
    frame = source.read()
    assert frame is not None
    assert frame.luma.shape == (180, 320)
    assert (frame.luma == 51).all()
    assert frame.main.format is (PixelFormat.NV12 if layout == "NV12" else PixelFormat.I420)
    assert np.ptp(frame.main.rgb((1, 1, 1280, 720))) == 0
    assert not frame.main.planes[0].flags.writeable
    assert before_ns - 30_000_000 < frame.timestamp_ns < before_ns
    source.close()


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (
            {"ExposureTime": 8008, "AnalogueGain": 2.0, "DigitalGain": 1.25, "LensPosition": 0.5},
            Exposure("imx708", 8008, 2.5, 0.5),
        ),
        ({"ExposureTime": 33000, "AnalogueGain": 1.0}, Exposure("imx708", 33000, 1.0)),
        ({"ExposureTime": 0, "AnalogueGain": float("inf"), "LensPosition": float("nan")},
         Exposure("imx708")),
        ({}, Exposure("imx708")),
    ],
)  # fmt: skip
def test_a_frame_tells_how_it_was_exposed(
    camera: type[Camera], reported: dict[str, float], expected: Exposure
) -> None:
    camera.reported = reported
    source = Picamera2Source(SourceSettings())
    source.open()
    frame = source.read()
    assert frame is not None
    assert frame.exposure == frame.detached().exposure == expected
    source.close()


@pytest.mark.parametrize(
    ("size", "sensor"), [((1280, 720), (2304, 1296)), ((2560, 1440), (4608, 2592))]
)
def test_the_sensor_shows_its_whole_field_of_view(
    camera: type[Camera], size: tuple[int, int], sensor: tuple[int, int]
) -> None:
    Picamera2Source(SourceSettings(width_px=size[0], height_px=size[1])).open()
    assert camera.sensor == {"output_size": sensor}


def test_a_camera_rotates_its_picture_or_refuses(
    camera: type[Camera],
) -> None:
    source = Picamera2Source(SourceSettings(upside_down=True))
    source.open()
    assert source._camera.granted["transform"] == (True, True)
    camera.turns = False
    Picamera2Source(SourceSettings()).open()
    with pytest.raises(SourceError, match="can't rotate its picture"):
        Picamera2Source(SourceSettings(upside_down=True)).open()


def test_the_lens_moves_to_the_configured_distance_or_the_camera_refuses(
    camera: type[Camera],
) -> None:
    with pytest.raises(SourceError, match="no motor"):
        Picamera2Source(SourceSettings(focus_m=2)).open()
    camera.camera_controls = {"LensPosition": (0.0, 15.0, 1.0)}
    Picamera2Source(SourceSettings()).open()
    assert set(camera.wanted_controls) == {"FrameDurationLimits"}
    Picamera2Source(SourceSettings(focus_m=0.25)).open()
    assert camera.wanted_controls["LensPosition"] == 4
    assert camera.wanted_controls["AfMode"] == 0
    with pytest.raises(
        SourceError, match=r"nearest focus is 0\.067 m, but source\.focus_m is 0\.05; raise it"
    ):
        Picamera2Source(SourceSettings(focus_m=0.05)).open()


def test_a_sensor_time_that_counts_suspension_is_converted(camera: type[Camera]) -> None:
    camera.suspended_ns = 3600 * 10**9
    clock = time.clock_gettime_ns

    def boot(which: int) -> int:
        return clock(which) + camera.suspended_ns * (which == time.CLOCK_BOOTTIME)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.clock_gettime_ns", boot)
        source = Picamera2Source(SourceSettings())
        source.open()
        frame = source.read()
    assert frame is not None
    assert 0 < time.monotonic_ns() - frame.timestamp_ns < 500_000_000


def test_buffers_go_back_with_the_last_frame(camera: type[Camera]) -> None:
    source = Picamera2Source(SourceSettings())
    source.open()
    opened = source._camera
    kept = [source.read() for _ in range(3)]
    assert opened.out == 3
    copy, row = kept[0].detached(), kept[1].main.planes[0][7]
    kept.clear()
    assert opened.out == 1  # its row is still in use
    assert (row == 52).all()
    assert (copy.luma == 51).all()
    del row
    assert opened.out == 0
    kept = [source.read() for _ in range(20)]
    assert opened.out == BUFFERS - IN_CAMERA  # the others are copies
    assert [int(frame.luma[0, 0]) for frame in kept] == list(range(54, 74))
    kept.clear()
    for _ in range(2000):
        source.read()
    assert opened.out == 0


@pytest.mark.parametrize(
    ("change", "uri", "error", "sentence"),
    [
        ({"cameras": ()}, "picamera2:", SourceError, "no camera is connected"),
        ({}, "picamera2:3", SourceError, "there is no camera 3"),
        ({}, "picamera2:front", SourceError, "there is no camera front"),
        ({"cameras": ({"Id": "/usb@1"},)}, "picamera2:0", SourceError, "v4l2:/dev/video0"),
        ({"busy": True}, "picamera2:0", SourceLostError, "another program"),
        ({"format": "YUYV"}, "picamera2:0", SourceError, "YUYV, but YUV420 or NV12 is needed"),
    ],
)
def test_a_camera_that_cannot_be_opened_is_one_sentence(
    camera: type[Camera], change: dict, uri: str, error: type[Exception], sentence: str
) -> None:
    for name, value in change.items():
        setattr(camera, name, value)
    with pytest.raises(error, match=sentence):
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


def test_a_read_ends_when_the_camera_is_closed(camera: type[Camera]) -> None:
    source = Picamera2Source(SourceSettings())
    source.open()
    opened = source._camera

    def cancelled(job: str, timeout: float) -> Request:
        source.close()
        raise CancelledError

    opened.wait = cancelled
    assert source.read() is None


def test_packets_of_the_hardware_encoder_come_with_the_frames(camera: type[Camera]) -> None:
    camera.encodes = True
    source = Picamera2Source(SourceSettings(), clip_height_px=720)
    info = source.open()
    assert info.encoded is not None
    assert (info.encoded.width, info.encoded.height) == (1280, 720)
    packets = [frame.packets[0] for _ in range(3) if (frame := source.read())]
    assert [packet.keyframe for packet in packets] == [True, False, False]
    assert packets[1].timestamp_ns - packets[0].timestamp_ns == 1000
    assert isinstance(packets[0], EncodedPacket)


@pytest.mark.parametrize(
    ("encodes", "height_px", "settings"),
    [
        (False, 720, {}),  # no such encoder
        (True, 480, {}),  # it can't scale the picture down
        (True, 0, {}),  # no clip is wanted
        (True, 2160, {"width_px": 3840, "height_px": 2160}),
        (True, 720, {"hardware_encoder": False}),
    ],
)
def test_without_a_usable_encoder_there_are_no_packets(
    camera: type[Camera], encodes: bool, height_px: int, settings: dict[str, Any]
) -> None:
    camera.encodes = encodes
    source = Picamera2Source(SourceSettings(**settings), clip_height_px=height_px)
    assert source.open().encoded is None
    frame = source.read()
    assert frame is not None
    assert frame.packets == ()


@pytest.mark.parametrize("layout", ["YUV420", "NV12"])
def test_privacy_masks_are_painted_into_the_cameras_buffers(
    camera: type[Camera], layout: str
) -> None:
    """Without a copy, and without the hardware encoder, which would read these buffers."""
    camera.format, camera.encodes, camera.painted = layout, True, True
    left = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]
    source = open_source(SourceSettings(), clip_height_px=720, masks=[left])
    assert source.open().encoded is None
    frames = [frame for _ in range(BUFFERS) if (frame := source.read()) is not None]
    for number, frame in enumerate(frames, 51):
        rgb = frame.main.rgb()
        assert not rgb[:, :640].any()
        assert rgb[:, 642:].min() > 30
        assert (frame.luma[:, :160] == 16).all()
        assert (frame.luma[:, 162:] == number).all()
        assert frame.packets == ()
    assert sum(frame.lease is not None for frame in frames) == BUFFERS - IN_CAMERA
    source.close()


@pytest.mark.parametrize("holds_buffers", [False, True])
def test_an_encoder_that_gives_no_packets_is_not_used_again(
    camera: type[Camera], monkeypatch: pytest.MonkeyPatch, holds_buffers: bool
) -> None:
    camera.encodes = True
    monkeypatch.setattr(Encoder, "gives", False)
    source = Picamera2Source(SourceSettings(), stall_s=0.05, clip_height_px=720)
    assert source.open().encoded is not None
    source.read()
    if holds_buffers:
        camera.hangs = True
    else:
        time.sleep(0.06)
    with pytest.raises(SourceLostError, match="in software from now on"):
        source.read()
    source.close()
    assert source.open().encoded is None


def test_a_camera_without_frames_does_not_count_against_its_encoder(camera: type[Camera]) -> None:
    camera.encodes = camera.hangs = True
    source = Picamera2Source(SourceSettings(), stall_s=0.05, clip_height_px=720)
    source.open()
    with pytest.raises(SourceLostError, match="cable"):
        source.read()
    source.close()
    assert source.open().encoded is not None


def test_without_picamera2_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(MissingExtraError, match="apt install python3-picamera2"):
        Picamera2Source(SourceSettings()).open()
