"""Footage for the virtual camera: `python -m tests.pi.footage SOURCE FRAMES`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2

from edge.config.schema import SourceSettings
from edge.sources import open_source

CAMERAS = Path("/usr/share/libcamera/pipeline/virtual/virtual.yaml")
PICTURES = Path("/var/lib/footage")
SIZES = ((2304, 1296), (1280, 720), (640, 360), (320, 180))


def write(uri: str, frames: int) -> None:
    """The first frames of a source as 0.jpg, 1.jpg …, and a camera that plays them in a loop."""
    source = open_source(SourceSettings(uri=uri, fast=True))
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    source.open()
    for index in range(frames):
        frame = source.read()
        assert frame is not None, f"{uri} has only {index} frames"
        path = PICTURES / f"{index}.jpg"
        cv2.imwrite(str(path), frame.main.bgr(), [cv2.IMWRITE_JPEG_QUALITY, 95])
    source.close()
    sizes = "".join(
        f"  - {{width: {width}, height: {height}, frame_rates: [10, 30]}}\n"
        for width, height in SIZES
    )
    CAMERAS.parent.mkdir(parents=True, exist_ok=True)
    CAMERAS.write_text(
        f'"Virtual0":\n  supported_formats:\n{sizes}  frames: {{path: "{PICTURES}/"}}\n'
        '  location: "CameraLocationBack"\n  model: "footage"\n'
    )


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
