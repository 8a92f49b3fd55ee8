"""Encodes H.264 in software, for sources that give only pictures."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace

from edge.errors import PermanentError
from edge.runtime.times import NS_PER_S
from edge.vision.picture import Picture, PixelFormat
from edge.vision.types import EncodedPacket, EncodedStream, Frame

_TICKS_PER_S = 90_000  # the clock of MPEG streams
_KEYFRAME_INTERVAL_NS = NS_PER_S  # so a pre-roll is at most 1 s longer than configured
DEFAULT_FPS = (
    25.0  # for the rate control and the bound of the pre-roll, where the source states no rate
)
_CRF = 25  # x264's quality scale: its default is 23, and 6 more halve the size
_MAX_BITS_PER_PIXEL_S = 8  # 7 Mbit/s at 720p: a ceiling for noisy nights, not for usual scenes
_FRAMES_WITHOUT_KEYFRAME = 10_000  # key frames are requested by time, as frames may be dropped

Plane = npt.NDArray[np.uint8]


def clip_size(width: int, height: int, max_height: int) -> tuple[int, int]:
    """(width, height) of the encoded picture: scaled down only if higher, and always even."""
    if height <= max_height:
        return width & ~1, height & ~1
    even_height = max_height & ~1
    return max(2, round(width * even_height / height / 2) * 2), even_height


class FrameEncoder:
    """Encodes frames of one size and pixel format to H.264: one packet for each, at once.

    libx264 without look-ahead and B-frames; a key frame about every second of frame time, with
    its parameter sets in band. Frames may come at irregular times: each packet has the timestamp
    of its frame. Not thread-safe.

    Raises PermanentError if this build of PyAV has no libx264.
    """

    def __init__(
        self,
        width: int,
        height: int,
        fps: float,
        max_height: int,
        pixel_format: PixelFormat = PixelFormat.I420,
    ) -> None:
        self._takes = (width, height, pixel_format)
        size = clip_size(width, height, max_height)
        self.stream = EncodedStream(*size)
        self._pixel_format = pixel_format
        self._canvas = self.canvas()
        self._context = _open_encoder(self._canvas.frame, fps or DEFAULT_FPS)
        self._pending: deque[int] = deque()
        self._first_ns: int | None = None
        self._last_tick = -1
        self._next_key_ns: int | None = None

    def takes(self, picture: Picture) -> bool:
        """Whether the picture has the size and format that this encoder was made for."""
        return self._takes == (picture.width, picture.height, picture.format)

    def canvas(self) -> Canvas:
        """A new buffer for a picture that is to be encoded later."""
        return Canvas(self.stream.width, self.stream.height, self._pixel_format)

    @property
    def picture_bytes(self) -> int:
        """Size of a canvas."""
        return self.stream.width * self.stream.height * 3 // 2

    def begin_group(self) -> None:
        """Makes the next frame a key frame, as frames before it were left out."""
        self._next_key_ns = None

    def fits(self, picture: Picture) -> bool:
        """Whether the picture has the size and format of a canvas, and takes no more memory."""
        size = (self.stream.width, self.stream.height)
        yuv = picture.format in (PixelFormat.I420, PixelFormat.NV12)
        return yuv and (picture.width, picture.height) == size

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        """The packet of a frame. Copies or scales the picture once, into the encoder's buffer."""
        return self.encode_picture(frame.main, frame.timestamp_ns)

    def encode_picture(self, picture: Picture | Canvas, timestamp_ns: int) -> list[EncodedPacket]:
        """The packet of a picture, or of a canvas that it was drawn into before.

        The canvas may be reused afterwards.
        """
        if isinstance(picture, Canvas):
            canvas = picture
        else:
            canvas = self._canvas
            canvas.draw(picture)
        if self._first_ns is None:
            self._first_ns = timestamp_ns
        image = canvas.frame
        image.pts = self._tick(timestamp_ns - self._first_ns)
        key = self._next_key_ns is None or timestamp_ns >= self._next_key_ns
        image.pict_type = PictureType.I if key else PictureType.NONE
        if key:
            self._next_key_ns = timestamp_ns + _KEYFRAME_INTERVAL_NS
        self._pending.append(timestamp_ns)
        return self._packets(image)

    def flush(self) -> list[EncodedPacket]:
        """The packets that the encoder still holds; its options leave none. No frame may follow."""
        return self._packets(None)

    def _tick(self, elapsed_ns: int) -> int:
        """The encoder needs times that rise: two frames of one instant get neighbouring ticks."""
        self._last_tick = max(self._last_tick + 1, elapsed_ns * _TICKS_PER_S // NS_PER_S)
        return self._last_tick

    def _packets(self, image: av.VideoFrame | None) -> list[EncodedPacket]:
        # Without B-frames packets come in the order of their frames.
        return [
            EncodedPacket(bytes(packet), self._pending.popleft(), packet.is_keyframe)
            for packet in self._context.encode(image)
        ]


class Canvas:
    """A buffer that a frame is drawn into and the encoder reads, in the size of the clip.

    It can be reused after `FrameEncoder.encode_picture`, as x264 has copied it then. NV12 stays
    NV12, the format that x264 works on; the others become I420.
    """

    def __init__(self, width: int, height: int, pixel_format: PixelFormat) -> None:
        self.frame = av.VideoFrame(
            width, height, "nv12" if pixel_format is PixelFormat.NV12 else "yuv420p"
        )
        self.frame.time_base = Fraction(1, _TICKS_PER_S)
        self._planes = [_plane_view(plane) for plane in self.frame.planes]
        if pixel_format is PixelFormat.NV12:
            self._planes[1] = self._planes[1].reshape(height // 2, -1, 2)
        luma, *chroma = self._planes  # without the padding; chroma has half of both sides
        self._planes = [luma[:height, :width]]
        self._planes += [plane[: height // 2, : width // 2] for plane in chroma]

    def draw(self, picture: Picture) -> None:
        if picture.format is PixelFormat.RGB:
            self._draw_rgb(picture.planes[0], cv2.COLOR_RGB2YUV_I420)
        elif picture.format is PixelFormat.BGR:
            self._draw_rgb(picture.planes[0], cv2.COLOR_BGR2YUV_I420)
        else:
            for source, target in zip(picture.planes, self._planes, strict=True):
                _scale(source, target)

    def _draw_rgb(self, plane: Plane, code: int) -> None:
        """Scales first, so that only the pixels that are encoded are converted."""
        height, width = self._planes[0].shape
        small = plane
        if plane.shape[:2] != (height, width):
            small = np.empty((height, width, 3), np.uint8)
            _scale(plane, small)
        flat, at = cv2.cvtColor(small, code).reshape(-1), 0
        for target in self._planes:
            np.copyto(target, flat[at : at + target.size].reshape(target.shape))
            at += target.size


def _plane_view(plane: VideoPlane) -> Plane:
    """(rows, line size) uint8, padding included: writing into it writes into the video frame."""
    buffer = cast(memoryview, plane)  # PyAV's planes are buffers, which Python 3.11 can't type
    return np.frombuffer(buffer, np.uint8).reshape(-1, plane.line_size)


def _scale(source: Plane, target: Plane) -> None:
    """Scales into the target's memory; an odd last row or column is cut off."""
    height, width = target.shape[:2]
    if source.shape[0] - height in (0, 1) and source.shape[1] - width in (0, 1):
        np.copyto(target, source[:height, :width])
        return
    # Linear is the fastest. It reads two pixels each way, enough down to half the size.
    area = source.shape[0] > 2 * height
    cv2.resize(
        source,
        (width, height),
        dst=target,
        interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR,
    )


def _open_encoder(image: av.VideoFrame, fps: float) -> av.VideoCodecContext:
    try:
        context = av.CodecContext.create("libx264", "w")
    except av.FFmpegError as error:
        raise PermanentError(
            "clips need an encoder for H.264, but the installed PyAV has no libx264: "
            "install PyAV's own wheel (pip install av)"
        ) from error
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = image.width, image.height
    context.pix_fmt = image.format.name
    context.time_base = Fraction(1, _TICKS_PER_S)
    context.framerate = Fraction(fps).limit_denominator(1001)
    context.thread_count = 1
    context.gop_size = _FRAMES_WITHOUT_KEYFRAME
    context.max_b_frames = 0
    # The YUV of `Picture` is BT.601 in limited range; players otherwise assume BT.709 for HD.
    context.colorspace = Colorspace.ITU601
    context.color_range = ColorRange.MPEG
    max_bits_per_s = _MAX_BITS_PER_PIXEL_S * image.width * image.height
    context.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "crf": str(_CRF),
        "maxrate": str(max_bits_per_s),
        "bufsize": str(2 * max_bits_per_s),
    }
    context.open()
    return context
