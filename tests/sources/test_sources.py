"""Sources of frames, on real files and streams."""

from __future__ import annotations

import http.server
import itertools
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.config.schema import MotionSettings, SourceSettings
from edge.errors import SourceError, SourceLostError
from edge.sources import open_source
from edge.sources.base import Source
from edge.sources.reconnect import Reconnecting
from edge.sources.scenes.crossing import crossers
from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from edge.sources.views import luma_of
from edge.vision.motion import MotionDetector
from edge.vision.picture import PixelFormat
from edge.vision.types import Frame, SourceInfo
from tests.support.captures import frame
from tests.support.films import encode


def source(uri: object, **settings: object) -> Source:
    return open_source(SourceSettings(uri=str(uri), **settings))  # type: ignore[arg-type]


def frames(uri: object, limit: int = 10_000, **settings: object) -> list[Frame]:
    opened = source(uri, **({"fast": True} | settings))
    opened.open()
    read: list[Frame] = []
    while len(read) < limit and (frame := opened.read()) is not None:
        read.append(frame)
    opened.close()
    return read


def video(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (320, 240),
    count: int = 30,
    form: str | None = None,
) -> Path:
    """A video with a grey level of 60 + 4 per frame."""
    options = {"bf": "0", "g": "10"} if codec == "libx264" else {}
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=10, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for index in range(count):
            image = np.full((size[1], size[0], 3), 60 + 4 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size", "suffix"),
    [
        ("libx264", "yuv420p", (320, 240), ".mp4"),
        ("mjpeg", "yuvj420p", (320, 240), ".avi"),
        ("mjpeg", "yuvj422p", (322, 242), ".avi"),
        ("libx264", "yuv444p", (321, 241), ".mkv"),
    ],
)
def test_every_kind_of_video_gives_both_views(
    tmp_path: Path, codec: str, pix_fmt: str, size: tuple[int, int], suffix: str
) -> None:
    read = frames(video(tmp_path / f"v{suffix}", codec, pix_fmt, size))
    assert [frame.index for frame in read] == list(range(30))
    assert {(f.main.width, f.main.height) for f in read} == {(size[0] & ~1, size[1] & ~1)}
    assert all(frame.main.format is PixelFormat.I420 for frame in read)
    assert read[0].luma.shape[1] == 320
    for index in (0, 15, 29):
        level = read[index].main.rgb((10, 10, 50, 50)).mean()
        assert level == pytest.approx(60 + 4 * index, abs=3)
    steps = np.diff([frame.timestamp_ns for frame in read])
    assert steps == pytest.approx(np.full(29, 1e8), rel=0.02)


def test_packets_of_skipped_frames_come_with_the_next_frame(tmp_path: Path) -> None:
    path = video(tmp_path / "v.mp4")
    info = source(path).open()
    assert info.encoded is not None
    read = frames(path, fps=5)
    packets = [packet for frame in read for packet in frame.packets]
    assert 14 <= len(read) <= 16
    assert len(packets) >= 28
    assert packets[0].keyframe
    assert all(p.timestamp_ns <= f.timestamp_ns for f in read for p in f.packets)


def test_a_recording_plays_at_its_own_pace_and_a_close_ends_the_wait(tmp_path: Path) -> None:
    path = video(tmp_path / "v.mp4")
    start_s = time.monotonic()
    frames(path, limit=6, fast=False)
    assert 0.45 < time.monotonic() - start_s < 2
    slow = source(path, fps=0.2)
    slow.open()
    slow.read()
    threading.Timer(0.2, slow.close).start()
    start_s = time.monotonic()
    slow.read()
    assert time.monotonic() - start_s < 2


def test_a_loop_plays_again_and_time_never_goes_back(tmp_path: Path) -> None:
    read = frames(video(tmp_path / "v.mp4", count=8), limit=30, loop=True)
    assert len(read) == 30
    assert np.diff([frame.timestamp_ns for frame in read]).min() > 0


def test_a_truncated_file_plays_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = video(tmp_path / "v.avi", "mjpeg", "yuvj420p").read_bytes()
    (tmp_path / "t.avi").write_bytes(whole[: len(whole) * 2 // 3])
    assert 5 < len(frames(tmp_path / "t.avi")) < 30


def test_a_folder_of_images(tmp_path: Path) -> None:
    for index in range(5):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((101, 201, 3), 40 * index, np.uint8))
    (tmp_path / "2b.png").write_bytes(b"no image")
    read = frames(tmp_path)
    assert [int(frame.main.rgb().mean()) for frame in read] == [0, 40, 80, 120, 160]
    assert (read[0].main.width, read[0].main.height) == (200, 100)


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("/nowhere.mp4", "there is no such file"),
        ("rstp://x", "did you mean rtsp"),
        ("synthetic:what", "Scenes are still"),
        ("synthetic:walk?speed=3", "unknown option 'speed'"),
        ("synthetic:walk?fps=x", "is not a number"),
    ],
)
def test_an_unknown_source_is_one_sentence(uri: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        source(uri)


def test_a_source_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for uri in (tmp_path / "text.mp4", tmp_path):
        with pytest.raises(SourceError, match=str(tmp_path)):
            source(uri).open()
    with pytest.raises(SourceLostError, match="v4l2:/dev/video99"):
        source("v4l2:/dev/video99").open()


def test_a_stream_that_breaks_off_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = video(tmp_path / "v.ts", form="mpegts").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(film)  # and then the connection ends

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("edge.sources.reconnect.FIRST_PAUSE_S", 0.1)
    events: list[str] = []
    settings = SourceSettings(uri=f"http://127.0.0.1:{server.server_port}/v.ts")
    resumed: list[SourceInfo] = []
    stream = open_source(settings, 5.0, events.append)
    assert isinstance(stream, Reconnecting)
    stream.on_resume = resumed.append
    assert stream.open().live
    read = [stream.read() for _ in range(70)]
    stream.close()
    server.shutdown()
    assert [frame.index for frame in read if frame] == list(range(70))
    assert np.diff([frame.timestamp_ns for frame in read if frame]).min() >= 0
    assert len(events) == 4  # lost, back, lost, back
    assert [info.name for info in resumed] == [settings.uri] * 2
    assert stream.read() is None


@pytest.mark.parametrize("name", ["still", "noise", "drift", "step", "flicker", "infrared"])
def test_light_and_noise_are_not_motion(name: str) -> None:
    scene = SyntheticScene(name, SceneOptions())
    motion = MotionDetector(MotionSettings(), (240, 320), (640, 480))
    seen = [motion(luma_of(scene.render(i), 320), i * 40_000_000) for i in range(400)]
    assert sum(len(m.blobs_xyxy) for m in seen[50:]) == 0


def test_walkers_are_motion_inside_the_true_boxes() -> None:
    scene = SyntheticScene("walk", SceneOptions())
    motion = MotionDetector(MotionSettings(), (240, 320), (640, 480))
    covered = []
    for index in range(400):
        blobs = motion(luma_of(scene.render(index), 320), index * 40_000_000).blobs_xyxy
        for x0, y0, x1, y1 in scene.truth(index)[1] if index > 50 else []:
            if x1 - x0 > 20:
                x, y = (x0 + x1) / 2, (y0 + y1) / 2
                covered.append(any(a <= x <= c and b <= y <= d for a, b, c, d in blobs))
    assert len(covered) > 300
    assert np.mean(covered) > 0.98


def test_the_boxes_of_crossing_figures_are_exact() -> None:
    size = (640, 480)
    lanes = crossers(np.random.default_rng(1), size, 4, quiet_s=0)
    assert {lane.label for lane in lanes} == {"deer", "car"}
    whole = 0
    for lane, time_s in itertools.product(lanes, np.linspace(4, 14, 21).tolist()):
        dark, light = (np.full((480, 640), level, np.uint8) for level in (0, 255))
        for ground in (dark, light):
            lane.draw((ground, dark[::2, ::2].copy(), dark[::2, ::2].copy()), time_s)
        rows, columns = np.nonzero(light.astype(int) - dark < 127)  # the figure covers half of it
        x0, y0, x1, y1 = lane.box_xyxy(time_s)
        if x0 >= 0 and x1 <= 640:
            drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert drawn == pytest.approx((x0, y0, x1, y1), abs=1)
            whole += 1
        elif len(columns):
            assert x0 - 1 <= columns.min()
            assert columns.max() < x1 + 1
    assert whole > 20


def test_passes_differ() -> None:
    scene = SyntheticScene("crossing", SceneOptions(objects=1, fps=5))
    heights = {round(float(b[3] - b[1])) for n in range(600) for b in scene.truth(n)[1]}
    assert max(heights) - min(heights) > 4


def test_the_time_of_a_source_never_goes_back_over_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sources.reconnect.FIRST_PAUSE_S", 0.0)
    steps: list[int | None] = [100, 200, None, 50, 250]  # None: the source is lost

    class Stepping:
        def open(self) -> SourceInfo:
            self.index = -1
            return SourceInfo("c", (320, 240), (160, 120), 10.0, live=True)

        def read(self) -> Frame | None:
            if not steps:
                return None
            step_ns = steps.pop(0)
            if step_ns is None:
                raise SourceLostError("gone")
            self.index += 1
            return frame(self.index, timestamp_ns=step_ns)

        def close(self) -> None:
            pass

    source = Reconnecting(Stepping(), SourceSettings())
    source.open()
    frames = [given for _ in range(4) if (given := source.read()) is not None]
    assert [given.timestamp_ns for given in frames] == [100, 200, 200, 250]
    assert [given.index for given in frames] == [0, 1, 2, 3]
    assert source.reopened == 1


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_an_avi_file_with_b_frames_keeps_its_pace(tmp_path: Path, codec: str) -> None:
    """AVI has no times of presentation, and those that FFmpeg makes up step back."""
    images = [np.roll(np.indices((96, 128)).sum(0), 4 * n, axis=1) for n in range(40)]
    film = encode(
        tmp_path / "v.avi",
        [np.repeat((image % 200).astype(np.uint8)[:, :, None], 3, axis=2) for image in images],
        codec,
        bf="2",
    )
    opened = source(film, fast=True)
    opened.open()
    times_s: list[float] = []
    while (frame := opened.read()) is not None:
        times_s.append(frame.timestamp_ns / 1e9)
    assert len(times_s) == 40
    assert times_s[-1] - times_s[0] == pytest.approx(3.9, abs=0.3)
    assert opened.time_jumps == 0  # type: ignore[attr-defined]


def test_a_recording_that_begins_in_the_middle_plays_from_its_first_key_frame(
    tmp_path: Path,
) -> None:
    data = video(tmp_path / "v.ts", form="mpegts").read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    keys = [n for n, packet in enumerate(packets) if packet[3] & 0x20 and packet[5] & 0x40]
    late, without = tmp_path / "late.ts", tmp_path / "without.ts"
    late.write_bytes(b"".join(packets[:3] + packets[keys[0] + 3 :]))
    without.write_bytes(b"".join(packets[:3] + packets[keys[0] + 3 : keys[1]]))
    assert 19 <= len(frames(late)) <= 30
    with pytest.raises(SourceError, match="nothing in it can be decoded"):
        frames(without)


@pytest.mark.parametrize("size", [0, 1000, -2000])
def test_a_file_that_is_cut_off_or_empty_is_one_sentence(tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video(tmp_path / "v.mp4").read_bytes()[:size])
    with pytest.raises(SourceError, match="not a video, or it is damaged or incomplete"):
        frames(cut)


@pytest.mark.parametrize("scene", ["traffic", "snow", "headlights", "shadow"])
def test_a_scene_of_what_is_nothing_moves_by_itself_and_may_have_a_visitor(scene: str) -> None:
    quiet = SyntheticScene(scene, SceneOptions(fps=5, visitors=0))
    visited = SyntheticScene(scene, SceneOptions(fps=5))
    index = 27  # 5.4 s: in the second visit, which is from 5 to 7 s
    assert "person" not in quiet.labels
    assert visited.labels[0] == "person"
    assert visited.truth(index)[0].tolist()[:1] == [0]
    before, after = (quiet.render(n).planes[0].astype(np.int16) for n in (index, index + 5))
    assert np.count_nonzero(np.abs(after - before) > 25) > 500  # far above the noise
