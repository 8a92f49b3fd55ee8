"""`edge run`, `edge replay` and `edge-train harvest` on a picture that changes its size."""

from __future__ import annotations

import http.server
import itertools
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.config.load import load
from edge.config.schema import Settings
from edge.daemon.service import Service
from edge.messages import AnyMessage, Capture, Detection, Health
from edge.messages import Track as TrackMessage
from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from edge.tools.replay import replay
from mobiledet.harvest.make import Options, harvest
from tests.faults.child import FaultyDetector
from tests.support.resized import Size, resized_video

LARGE, SMALL = (640, 480), (320, 240)
RULE = {"name": "person", "min_score": 0.2, "confirm": 1, "of_last": 1, "cooldown_s": 0.5,
        "actions": ["still", "clip"]}  # fmt: skip


def settings_for(folder: Path, uri: object, *, fast: bool = True) -> Settings:
    return load(None, {
        "source.uri": str(uri), "source.fast": fast, "capture.directory": str(folder / "captures"),
        "capture.min_free_bytes": 0, "bus.endpoint": f"ipc://{folder}/e.ipc",
        "triggers": [RULE], "health.interval_s": 0.2,
    })  # fmt: skip


def size_of(path: Path) -> tuple[int, int]:
    if path.suffix == ".jpg":
        image = cv2.imread(str(path))
        assert image is not None
        return image.shape[1], image.shape[0]
    with av.open(str(path)) as clip:
        sizes = {(frame.width, frame.height) for frame in clip.decode(video=0)}
    (size,) = sizes
    return size


@pytest.mark.parametrize(("sizes", "fast"), [((SMALL, LARGE), True), ((LARGE, SMALL), False)])
def test_a_file_that_changes_its_size_is_watched_wholly(
    tmp_path: Path,
    sizes: tuple[Size, Size],
    fast: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.vision.build.Detector", FaultyDetector)  # always finds a person
    caplog.set_level(logging.WARNING)
    messages: list[AnyMessage] = []
    settings = settings_for(tmp_path, resized_video(tmp_path / "v.ts", *sizes), fast=fast)
    daemon = Service(settings, listener=messages.append).run()
    assert daemon.progress.received == 40
    found = [message for message in messages if isinstance(message, Detection)]
    assert [size for size, _ in itertools.groupby((m.width, m.height) for m in found)] == [*sizes]
    for size in sizes:
        here = [d.box_px for m in found if (m.width, m.height) == size for d in m.detections]
        assert max(box[2] for box in here) > size[0] / 2
        assert max(box[3] for box in here) > size[1] / 2
    changes = [message for message in messages if isinstance(message, TrackMessage)]
    new = [message.track_id for message in changes if message.change == "new"]
    assert len(new) == len(set(new))
    assert {m.track_id for m in changes if m.change == "end"} <= set(new)
    captures = [Path(m.path) for m in messages if isinstance(m, Capture) and m.path]
    clips = [path for path in captures if path.suffix == ".mp4"]
    assert {size_of(path) for path in clips} == {*sizes}
    assert {size_of(path) for path in captures if path.suffix == ".jpg"} == {*sizes}
    for path in clips:
        sidecar = json.loads(path.with_suffix(".json").read_text())
        entry = next(file for file in sidecar["files"] if file["kind"] == "clip")
        assert (entry["width"], entry["height"]) == size_of(path)
    before, now = ("x".join(map(str, size)) for size in sizes)
    lines = [line for line in caplog.messages if before in line and now in line]
    assert len(lines) == 1


def test_a_picture_that_changes_its_size_at_every_frame_does_no_harm(tmp_path: Path) -> None:
    video = resized_video(tmp_path / "v.ts", *[LARGE, SMALL, (322, 242)] * 3, count=1)
    messages: list[AnyMessage] = []
    daemon = Service(settings_for(tmp_path, video), listener=messages.append).run()
    assert daemon.progress.frames == daemon.progress.received == 9


def test_a_picture_too_small_to_show_anything_is_one_sentence(tmp_path: Path) -> None:
    video = tmp_path / "one.mkv"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1, 1, "gray"
        for _ in range(3):
            image = av.VideoFrame.from_ndarray(np.zeros((1, 1), np.uint8), format="gray")
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    with pytest.raises(Exception, match="has 1x1 pixels, but at least 16x16 are needed"):
        Service(settings_for(tmp_path, video)).run()


def test_a_replay_shows_all_frames_in_a_video_of_the_first_size(tmp_path: Path) -> None:
    video = resized_video(tmp_path / "v.ts", SMALL, LARGE, (200, 300))
    out, report = tmp_path / "out.mp4", tmp_path / "report.html"
    summary = replay(settings_for(tmp_path, video), out, report, lambda *_: None)
    assert len(summary.samples) == 60
    assert size_of(out) == SMALL
    with av.open(str(out)) as played:
        *_, last = played.decode(video=0)
    assert last.to_ndarray(format="gray")[:, :70].max() < 20  # the black border of a tall picture


def test_a_harvest_has_pictures_of_both_sizes(tmp_path: Path) -> None:
    video = resized_video(tmp_path / "v.ts", LARGE, SMALL, count=40)
    out = tmp_path / "dataset"
    store = harvest(Settings(), [str(video)], out, Options(every_s=0.5), lambda _: lambda *_: None)
    images = {image.id: image for image in store.coco.images}
    assert {(image.width, image.height) for image in images.values()} == {LARGE, SMALL}
    for image in images.values():
        assert size_of(out / image.file_name) == (image.width, image.height)
    boxes = store.coco.annotations
    assert boxes
    for box in boxes:
        image = images[box.image_id]
        assert box.bbox[0] + box.bbox[2] <= image.width
        assert box.bbox[1] + box.bbox[3] <= image.height


@pytest.fixture
def growing_camera() -> Iterator[str]:
    """The address of an MJPEG camera whose picture grows after two seconds, in the same reply."""
    scene, start_s = SyntheticScene("people", SceneOptions(fps=10, objects=6)), time.monotonic()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(400):
                size = SMALL if time.monotonic() - start_s < 2 else LARGE
                image = cv2.resize(scene.render(index).bgr(), size)
                data = cv2.imencode(".jpg", image)[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + data + b"\r\n")
                except OSError:
                    return
                time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def test_a_camera_whose_picture_grows_is_reopened_and_watched_wholly(
    tmp_path: Path,
    growing_camera: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("edge.sources.reconnect.FIRST_PAUSE_S", 0.1)
    found: list[Detection] = []
    healths: list[Health] = []

    def listen(message: AnyMessage) -> None:
        if isinstance(message, Health):
            healths.append(message)
        if isinstance(message, Detection):
            found.append(message)
            if (message.width, message.height) == LARGE:
                service.stop()

    service = Service(settings_for(tmp_path, growing_camera, fast=False), listener=listen)
    deadline = threading.Timer(30, service.stop)
    deadline.start()
    service.run()
    deadline.cancel()
    assert {(message.width, message.height) for message in found} == {SMALL, LARGE}
    assert healths[-1].source_restarts == 1
    assert sum("320x240" in line and "640x480" in line for line in caplog.messages) == 1
