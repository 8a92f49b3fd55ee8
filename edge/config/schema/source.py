"""The section of the camera, stream or file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from edge.config.masking import masked
from edge.config.schema.base import MAX_PIXELS, MIN_FPS, Problem, Seconds, Section, about


class SourceSettings(Section, frozen=True):
    """The source of the frames."""

    uri: Annotated[
        str,
        about("camera, address, video file or folder of pictures, as docs/sources.md lists them"),
    ] = "picamera2:0"
    fps: Annotated[
        float, Meta(ge=0, le=240), about("frames per second; 0 = the rate of the source")
    ] = 0.0
    width_px: Annotated[int, Meta(ge=64, le=8192), about("width of the picture; cameras only")] = (
        1280
    )
    height_px: Annotated[
        int, Meta(ge=64, le=8192), about("height of the picture; cameras only")
    ] = 720
    luma_width_px: Annotated[
        int,
        Meta(ge=64, le=1280),
        about("width of the luma plane for motion detection; raise it for distant objects"),
    ] = 320
    upside_down: Annotated[
        bool, about("rotate the picture by 180° (picamera2 camera mounted upside down)")
    ] = False
    focus_m: Annotated[
        float,
        Meta(ge=0, le=1000),
        about("focus distance, for picamera2 cameras with a lens motor; 0 = libcamera decides"),
    ] = 0.0
    hardware_encoder: Annotated[
        bool,
        about(
            "encode clips with the H.264 encoder of a Pi 4 or older, for pictures up to "
            "clip_height_px high"
        ),
    ] = True
    fast: Annotated[
        bool, about("files: process every frame, as fast as possible, instead of in real time")
    ] = False
    loop: Annotated[bool, about("files: start again at the end")] = False
    retry_max_s: Annotated[
        Seconds,
        about(
            "longest pause between attempts to open a live source that can't be reached, at the "
            "start and later"
        ),
    ] = 30.0
    snapshot_every_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        about(
            "period at which a picture is fetched from a web address; 0 = the address gives video"
        ),
    ] = 0.0

    @property
    def name(self) -> str:
        """The address without credentials: the one form of it that is shown, logged or sent."""
        return masked(self.uri)

    @property
    def snapshot_pause_s(self) -> float:
        """The time between two pictures of a web address; 0 for video."""
        if not self.snapshot_every_s:
            return 0.0
        return max(self.snapshot_every_s, 1 / self.fps if self.fps else 0.0)

    def problems(self) -> Iterator[Problem]:
        if 0 < self.fps < MIN_FPS:
            yield "fps", f"{self.fps:g} is too slow; choose 0 or a rate from {MIN_FPS:g} up"
        if self.width_px * self.height_px > MAX_PIXELS:
            yield (
                "width_px",
                f"{self.width_px} x {self.height_px} is more than {MAX_PIXELS:_} pixels, which "
                "need too much memory; lower it or height_px",
            )
