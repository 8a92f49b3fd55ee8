"""Videos whose picture changes its size in the middle, as recorders write them."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av

from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene

BUSY_S = 12  # from then on the scene is full of people

Size = tuple[int, int]


def resized_video(path: Path, *sizes: Size, count: int = 20, fps: int = 10) -> Path:
    """H.264 in MPEG-TS: `count` frames of walking people in each size, one after the other."""
    scene = SyntheticScene("people", SceneOptions(fps=fps, objects=6))
    path.write_bytes(
        b"".join(
            _part(scene, size, number * count, count, fps) for number, size in enumerate(sizes)
        )
    )
    return path


def _part(scene: SyntheticScene, size: Size, first: int, count: int, fps: int) -> bytes:
    sink = BytesIO()
    with av.open(sink, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=fps, options={"bf": "0", "g": "10"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(first, first + count):
            drawn = av.VideoFrame.from_ndarray(
                scene.render(BUSY_S * fps + index).bgr(), format="bgr24"
            )
            image = drawn.reformat(*size, format="yuv420p")
            image.pts, image.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    return sink.getvalue()
