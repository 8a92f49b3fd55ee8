"""Small videos that tests make, with any times, and a live server of them."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from edge.config.schema import SourceSettings
from edge.sources import open_source
from edge.vision.types import EncodedPacket, Frame, SourceInfo

TICKS_PER_S = 90_000  # the clock of MPEG-TS


def start_of(film: Path, frames: int, folder: Path) -> Path:
    """The first frames of a recording, as they are."""
    start = folder / film.name
    with av.open(str(film)) as source, av.open(str(start), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in islice(source.demux(video=0), frames):
            packet.stream = stream
            sink.mux(packet)
    return start


def raw(packets: Iterable[EncodedPacket]) -> bytes:
    """H.264 without a container, which states no times."""
    return b"".join(packet.data for packet in packets)


def transport(parts: Iterable[tuple[float, list[EncodedPacket]]], fps: float = 10.0) -> bytes:
    """MPEG-TS of parts that each begin at a time in seconds, as recorders join their files."""
    out = io.BytesIO()
    for start_s, packets in parts:
        part = io.BytesIO()
        with av.open(part, "w", format="mpegts") as muxer:
            stream = muxer.add_mux_stream("h264", width=320, height=240)
            for n, packet in enumerate(packets):
                muxed: Any = av.Packet(packet.data)
                muxed.stream, muxed.time_base = stream, Fraction(1, TICKS_PER_S)
                muxed.pts = muxed.dts = round((start_s + n / fps) * TICKS_PER_S)
                muxed.is_keyframe = packet.keyframe
                muxer.mux_one(muxed)
        out.write(part.getvalue())
    return out.getvalue()


def read(uri: object, limit: int = 10_000, **settings: Any) -> tuple[SourceInfo, list[Frame]]:
    """The first frames of a source, a file as fast as possible."""
    height = settings.pop("clip_height_px", 720)
    source = open_source(
        SourceSettings(uri=str(uri), **({"fast": True} | settings)), clip_height_px=height
    )
    frames: list[Frame] = []
    info = source.open()
    while len(frames) < limit and (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return info, frames


def encode(
    path: Path,
    images: Iterable[np.ndarray],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    form: str | None = None,
    prepare: Callable[[av.VideoStream], object] = lambda _: None,
    **options: str,
) -> Path:
    """Writes (h, w, 3) RGB images at 10 frames per second. prepare: sets metadata of the stream."""
    if codec == "libx264":
        options = {"bf": "0", "g": "10", "crf": "10"} | options
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=10, options=options)
        assert isinstance(stream, av.VideoStream)
        for n, image in enumerate(images):
            if n == 0:
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = pix_fmt
                prepare(stream)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = n, Fraction(1, 10)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@contextmanager
def served(send: Callable[[Callable[[bytes], object]], object]) -> Iterator[str]:
    """The address of a live stream on loopback; `send` is called for each client."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            with suppress(OSError):
                send(self.wfile.write)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live"
    finally:
        server.shutdown()
        server.server_close()
