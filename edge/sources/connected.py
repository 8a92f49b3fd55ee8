"""Lists the cameras that are connected to this machine, without taking pictures."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.runtime.permission import cure

# linux/videodev2.h: VIDIOC_QUERYCAP fills `struct v4l2_capability`, whose texts are the driver, the
# card and the bus, and whose numbers are the version and the capabilities of card and device.
QUERY: Final = 0x80685600
CAPABILITY: Final = struct.Struct("=16s32s32s3I12x")
CAPTURES, SENDS_OR_CONVERTS, HAS_DEVICE_FLAGS = 0x1, 0x2 | 0x4000 | 0x8000, 0x8000_0000
# Parts of a Pi's own camera and its image processor: they give no pictures without libcamera.
PARTS: Final = ("unicam", "rp1-cfe", "bcm2835-isp", "pispbe")


@dataclass(frozen=True, slots=True)
class Camera:
    """uri: for `source.uri`. problem: why this user can't open it, and the cure; mostly empty."""

    uri: str
    name: str
    problem: str = ""


def cameras(root: Path = Path("/")) -> list[Camera]:
    """Those of libcamera first, then those with a V4L2 device. Never raises."""
    return [*_of_libcamera(), *_of_v4l2(root)]


def likely(root: Path = Path("/")) -> str:
    """The address of the first camera, otherwise a drawn scene to begin with.

    Where picamera2 is installed, a Pi's own camera is to come.
    """
    usable = [camera.uri for camera in cameras(root) if not camera.problem]
    awaited = "picamera2:0" if importlib.util.find_spec("picamera2") else "synthetic:people"
    return usable[0] if usable else awaited


def _of_libcamera() -> list[Camera]:
    if importlib.util.find_spec("picamera2") is None:
        return []
    from edge.sources.picamera2 import connected

    return [Camera(f"picamera2:{number}", name) for number, name in connected()]


def _of_v4l2(root: Path) -> list[Camera]:
    devices = sorted(root.glob("dev/video[0-9]*"), key=lambda path: (len(path.name), path.name))
    found = (_v4l2_camera(device, f"v4l2:/{device.relative_to(root)}") for device in devices)
    return [camera for camera in found if camera is not None]


def _v4l2_camera(device: Path, uri: str) -> Camera | None:
    """None for a device that is no camera, such as a codec."""
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return Camera(uri, device.name, f"permission denied: {cure(device)}")
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(descriptor, QUERY, bytes(CAPABILITY.size))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    driver, card, _, _, of_card, of_device = CAPABILITY.unpack(answer)
    flags = of_device if of_card & HAS_DEVICE_FLAGS else of_card
    if not flags & CAPTURES or flags & SENDS_OR_CONVERTS or _text(driver) in PARTS:
        return None
    return Camera(uri, _text(card))


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
