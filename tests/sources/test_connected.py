"""The list of cameras, on devices whose answers are those of real drivers."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.sources.connected import CAPABILITY, Camera, cameras, likely

CARD = 0x8000_0000
DEVICES = {  # driver, name, capabilities of the card and of the device, as `v4l2-ctl --all` prints
    "video0": ("unicam", "unicam", CARD | 0x1, 0x5220_0001),
    "video1": ("uvcvideo", "HD Webcam C270", CARD | 0x84A0_0001, 0x0420_0001),
    "video2": ("uvcvideo", "HD Webcam C270", CARD | 0x84A0_0001, 0x04A0_0000),  # metadata
    "video10": ("bcm2835-codec", "bcm2835-codec-decode", CARD | 0x0420_4000, 0x0420_4000),
    "video12": ("old", "without flags of the device", 0x1, 0),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def ioctl(descriptor: int, request: int, _buffer: bytes) -> bytes:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name not in DEVICES:
            raise OSError(errno.ENOTTY, "no video device")
        assert request == 0x80000000 | CAPABILITY.size << 16 | ord("V") << 8  # _IOR('V', 0, struct)
        driver, card, of_card, of_device = DEVICES[name]
        return CAPABILITY.pack(driver.encode(), card.encode(), b"usb", 1, of_card, of_device)

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (tmp_path / "dev").mkdir()
    return tmp_path


def plug_in(root: Path, *names: str) -> None:
    for name in names:
        (root / "dev" / name).touch()


def test_only_cameras_are_listed_in_the_order_of_their_numbers(root: Path) -> None:
    assert cameras(root) == []
    plug_in(root, *DEVICES, "video7")
    assert cameras(root) == [
        Camera("v4l2:/dev/video1", "HD Webcam C270"),
        Camera("v4l2:/dev/video12", "without flags of the device"),
    ]


def test_the_first_camera_is_proposed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert likely(root) == "synthetic:people"
    plug_in(root, "video12", "video1")
    assert likely(root) == "v4l2:/dev/video1"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert likely(root) == "v4l2:/dev/video1", "libcamera lists none"
    infos = [
        {"Id": "/base/soc/usb@1", "Model": "HD Webcam C270"},
        {"Id": "/base/soc/i2c@1/imx708@1a", "Model": "imx708"},
    ]
    library = SimpleNamespace(Picamera2=SimpleNamespace(global_camera_info=lambda: infos))
    monkeypatch.setitem(sys.modules, "picamera2", library)
    assert cameras(root)[0] == Camera("picamera2:1", "imx708")
    assert likely(root) == "picamera2:1"
    infos.clear()
    (root / "dev" / "video1").unlink()
    (root / "dev" / "video12").unlink()
    assert likely(root) == "picamera2:0", "it is to be plugged in"


def test_a_camera_without_permission_is_listed_with_the_cure(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(root, "video1")
    os.chown(root / "dev" / "video1", -1, 44) if os.geteuid() == 0 else None

    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.open", refused)
    (camera,) = cameras(root)
    assert camera.uri == "v4l2:/dev/video1"
    assert camera.problem.startswith("permission denied: ")
    assert "sudo" in camera.problem
    monkeypatch.undo()
