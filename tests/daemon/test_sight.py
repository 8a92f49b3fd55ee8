"""The live view's message: made on demand, and without cost when it is not requested."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest

from edge.config.schema import MotionSettings, Settings, SourceSettings
from edge.daemon import publish
from edge.daemon.commands import Remote
from edge.daemon.sight import sight as sight_of
from edge.messages import Sight, decode_reply, encode_reply
from edge.sources import open_source
from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from edge.vision.build import build_detector, build_pipeline
from edge.vision.geometry import iou
from edge.vision.pipeline import Analysis
from edge.vision.types import Frame

SIZE = (640, 480)
FPS, SECONDS = 10, 11
SCENE = f"synthetic:people?fps={FPS}&duration={SECONDS}"
MASK = ((0.0, 0.0), (0.1, 0.0), (0.1, 1.0), (0.0, 1.0))


@pytest.fixture(scope="module")
def views() -> list[tuple[Analysis, Sight, np.ndarray]]:
    """For each frame: its analysis, its message and a copy of its canvas."""
    settings = Settings(motion=MotionSettings(masks=(MASK,)))
    detector = build_detector(settings)
    source = open_source(SourceSettings(uri=SCENE, fast=True))
    pipeline = build_pipeline(settings, detector, source.open())
    views = []
    while (frame := source.read()) is not None:
        analysis = pipeline(frame)
        assert analysis.canvas is not None
        sight = sight_of(analysis, publish.classes_of(detector), SIZE)
        views.append((analysis, sight, analysis.canvas.pixels.copy()))
    return views


@contextlib.contextmanager
def showing(remote: Remote, frame: Frame, sight: Callable[[], Sight] | None) -> Iterator[list[int]]:
    """Shows frames as the analysis thread does; yields a count of the requested sights."""
    requested, over = [0], threading.Event()

    def counted() -> Sight:
        requested[0] += 1
        assert sight is not None
        return sight()

    def show_frames() -> None:
        while not over.wait(0.002):
            remote.show(frame, counted if sight is not None else None)

    thread = threading.Thread(target=show_frames)
    thread.start()
    try:
        yield requested
    finally:
        over.set()
        thread.join()


def picture(data: bytes, flag: int = cv2.IMREAD_COLOR) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def test_blobs_and_mask_show_where_motion_is(
    views: list[tuple[Analysis, Sight, np.ndarray]],
) -> None:
    moving = [(sight, picture(sight.motion_png, cv2.IMREAD_GRAYSCALE)) for _, sight, _ in views]
    assert {mask.shape for _, mask in moving} == {(240, 320)}
    assert set(np.unique(np.concatenate([mask.ravel() for _, mask in moving]))) == {0, 255}
    assert sum(bool(sight.blobs_px) for sight, _ in moving) > len(moving) / 3
    everywhere = sum(np.count_nonzero(mask) for _, mask in moving)
    assert not any(mask[:, :31].any() for _, mask in moving), "no motion inside a configured mask"
    outside = 0
    for sight, mask in moving:
        for x0, y0, x1, y1 in np.array(sight.blobs_px).reshape(-1, 4) / 2:  # pixels of the mask
            blob = mask[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
            assert blob.any()
            blob[:] = 0
        outside += np.count_nonzero(mask)
    assert outside < 0.1 * everywhere, "only specks lie outside the blobs"


def test_tracks_are_shown_where_people_are(views: list[tuple[Analysis, Sight, np.ndarray]]) -> None:
    scene = SyntheticScene("people", SceneOptions(fps=FPS))
    right = shown = 0
    for analysis, sight, _ in views:
        boxes = np.array([t.box_px for t in sight.tracks], np.float32).reshape(-1, 4)
        _, truth = scene.truth(analysis.frame.index)
        shown += len(boxes)
        right += int((iou(boxes, truth).max(axis=1, initial=0) > 0.3).sum())
        assert [t.track_id for t in sight.tracks] == [t.id for t in analysis.tracks]
    assert shown > FPS * SECONDS / 2
    assert right / shown > 0.8


def test_the_canvas_is_that_of_the_last_invocation_with_each_crop_in_its_cell(
    views: list[tuple[Analysis, Sight, np.ndarray]],
) -> None:
    looks = [(a, s) for a, s, _ in views if a.layouts]
    assert len(looks) > 10
    assert max(len(s.canvas.cells) for _, s in looks if s.canvas) > 1
    for analysis, sight in looks:
        assert sight.canvas is not None
        assert (sight.canvas.age_s, sight.canvas.width, sight.canvas.height) == (0, 300, 300)
        assert sight.regions_px == publish.detection(analysis, (("person", ""),), SIZE).regions_px
        canvas = picture(sight.canvas.jpeg)
        for cell in sight.canvas.cells:
            assert cell.crop_px in sight.regions_px
            x0, y0, x1, y1 = (round(side) for side in cell.cell_px)
            u0, v0, u1, v1 = (round(side) for side in cell.crop_px)
            if min(u0, v0) < 0 or u1 > SIZE[0] or v1 > SIZE[1]:
                continue  # the part outside the picture is grey
            crop = cv2.cvtColor(analysis.frame.main.rgb((u0, v0, u1, v1)), cv2.COLOR_RGB2BGR)
            fitted = cv2.resize(crop, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
            assert cv2.absdiff(fitted, canvas[y0:y1, x0:x1]).mean() < 12


def test_the_age_of_the_canvas_grows_between_invocations(
    views: list[tuple[Analysis, Sight, np.ndarray]],
) -> None:
    ages = [(s.canvas.age_s, bool(a.layouts)) for a, s, _ in views if s.canvas]
    for (before, _), (age, invoked) in pairwise(ages):
        assert age == (0 if invoked else pytest.approx(before + 1 / FPS, abs=0.002))


def test_a_sight_is_the_same_after_encoding_and_decoding(
    views: list[tuple[Analysis, Sight, np.ndarray]],
) -> None:
    remote = Remote(Settings(), "b007", lambda _: True)
    analysis, sight, _ = views[-1]
    with showing(remote, analysis.frame, lambda: sight):
        reply, jpeg = remote.snapshot(320, sight=True)
    assert decode_reply(encode_reply(reply, jpeg)) == (reply, jpeg)
    assert reply.sight == sight
    assert picture(jpeg).shape == (240, 320, 3)


def test_a_sight_is_made_only_when_it_is_requested(
    views: list[tuple[Analysis, Sight, np.ndarray]],
) -> None:
    remote = Remote(Settings(), "b007", lambda _: True)
    analysis, sight, _ = views[-1]
    with showing(remote, analysis.frame, lambda: sight) as requests:
        for _ in range(3):
            assert remote.snapshot(320)[0].sight is None
        assert requests == [0]
        assert remote.snapshot(320, sight=True)[0].sight == sight
        assert requests == [1]
        assert remote.snapshot(320)[0].sight is None
        assert requests == [1]


def test_a_frame_is_not_touched_when_no_command_waits_for_one() -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"{name} was read")

    remote = Remote(Settings(), "b007", lambda _: True)
    remote.show(Untouchable(), lambda: pytest.fail("a sight was made"))  # type: ignore[arg-type]


def test_a_frame_that_was_not_analysed_has_no_sight(
    views: list[tuple[Analysis, Sight, np.ndarray]],
) -> None:
    remote = Remote(Settings(), "b007", lambda _: True)
    with showing(remote, views[-1][0].frame, None):
        reply, jpeg = remote.snapshot(320, sight=True)
    assert (reply.sight, picture(jpeg).shape) == (None, (240, 320, 3))
