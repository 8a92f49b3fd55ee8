"""No source gives a pixel of a masked place, nor packets that show it."""

from __future__ import annotations

import ast
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.config.schema import SourceSettings
from edge.sources import open_source
from edge.vision.types import Frame, SourceInfo
from tests.sources.test_addresses import Quiet, served
from tests.sources.test_snapshot import camera, reply
from tests.support.films import encode

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 320, 240
MASK = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
INSIDE, LUMA_INSIDE = np.s_[60:180, 80:240], np.s_[15:45, 20:60]
OUTSIDE = np.ones((HEIGHT, WIDTH), bool)
OUTSIDE[58:182, 78:242] = False


def scene(number: int) -> np.ndarray:
    """(h, w, 3) RGB: a texture that moves, so that video predicts each picture from the last."""
    texture = np.random.default_rng(1).integers(60, 220, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    large = cv2.resize(texture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.roll(large, (2 * number, 3 * number), (0, 1))


def jpeg_of(number: int) -> bytes:
    return cv2.imencode(".jpg", scene(number)[..., ::-1])[1].tobytes()


def stream(to: Quiet, _: int) -> None:
    """Motion JPEG over HTTP, as network cameras send it."""
    to.send_response(200)
    to.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
    to.end_headers()
    with suppress(OSError):
        for number in range(20):
            data = jpeg_of(number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            to.wfile.write(head.encode() + data + b"\r\n")


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a source of this kind, and its other settings."""
    answers: dict[str, Callable[[Quiet, int], None]] = {
        "mjpeg": stream,
        "snapshots": lambda to, _: reply(to, jpeg_of(0)),
    }
    if kind in answers:
        with served(camera(answers[kind])) as address:
            yield f"http://{address}/", {"snapshot_every_s": 0.01} if kind == "snapshots" else {}
        return
    if kind == "images":
        for number in range(5):
            (folder / f"{number}.jpg").write_bytes(jpeg_of(number))
        yield str(folder), {}
    elif kind == "synthetic":
        yield f"synthetic:still?width={WIDTH}&height={HEIGHT}&duration=1", {}
    else:
        path = folder / ("film.avi" if kind == "mjpeg file" else "film.mp4")
        codec = ("mjpeg", "yuvj420p") if kind == "mjpeg file" else ("libx264", "yuv420p")
        yield str(encode(path, map(scene, range(10)), *codec)), {}


def read(uri: str, masked: bool, limit: int = 4, **settings: Any) -> tuple[SourceInfo, list[Frame]]:
    source = open_source(
        SourceSettings(uri=uri, fast=True, luma_width_px=80, **settings),
        clip_height_px=720,
        masks=[MASK] if masked else (),
    )
    info = source.open()
    frames = [frame for _ in range(limit) if (frame := source.read()) is not None]
    source.close()
    assert len(frames) == limit
    return info, frames


@pytest.mark.parametrize(
    "kind", ["h264", "mjpeg file", "mjpeg", "snapshots", "images", "synthetic"]
)
def test_the_mask_is_black_in_every_frame_of_every_source(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as (uri, settings):
        plain_info, plain = read(uri, masked=False, **settings)
        info, frames = read(uri, masked=True, **settings)
    assert (plain_info.encoded is not None) == (kind == "h264")
    assert info.encoded is None
    for frame, open_frame in zip(frames, plain, strict=True):
        assert open_frame.main.rgb()[INSIDE].mean() > 50
        assert not frame.main.rgb()[INSIDE].any()
        assert (frame.luma[LUMA_INSIDE] == 16).all()
        assert frame.packets == ()
        # The decoder's own pictures are as before: the rest would show smears of black otherwise.
        assert (frame.main.rgb()[OUTSIDE] == open_frame.main.rgb()[OUTSIDE]).all()


def test_the_masks_stay_when_a_lost_camera_is_back() -> None:
    def answer(to: Quiet, number: int) -> None:
        if number == 3:
            to.send_error(503)
        else:
            reply(to, jpeg_of(number))

    with served(camera(answer)) as address:
        _, frames = read(f"http://{address}/", masked=True, limit=8, snapshot_every_s=0.01)
    assert all(not frame.main.rgb()[INSIDE].any() for frame in frames)


def test_it_is_said_once_that_clips_are_encoded(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    with opened("h264", tmp_path) as (uri, _):
        read(uri, masked=False)
        assert "privacy" not in caplog.text
        read(uri, masked=True)
    assert caplog.text.count("clips are encoded from these") == 1


# Drawn scenes, sources that are only checked, and training data without a configuration.
WITHOUT_MASKS = {
    "edge/bench/footage.py": 1,
    "edge/commands/questions.py": 1,
    "models/mobiledet/mobiledet/harvest/make.py": 1,
}


def test_whoever_opens_a_source_gives_it_the_masks() -> None:
    without: dict[str, int] = {}
    calls = 0
    for path in itertools.chain(*(ROOT.glob(f"{top}/**/*.py") for top in ("edge", "models"))):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "open_source(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("open_source"):
                calls += 1
                if "masks" not in {keyword.arg for keyword in node.keywords}:
                    name = path.relative_to(ROOT).as_posix()
                    without[name] = without.get(name, 0) + 1
    assert calls >= 9
    assert without == WITHOUT_MASKS
