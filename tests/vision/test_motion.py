"""Motion of objects is detected; light, noise and ghosts are not reported as motion."""

from __future__ import annotations

import numpy as np
import pytest

from edge.config.load import load
from edge.config.schema import MotionSettings
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.vision.motion import Motion, MotionDetector

SHAPE = (240, 320)
MAIN = (1280, 960)
SCALE = 4  # main pixels per luma pixel
FPS = 10


class Scene:
    """A textured background on which a test puts objects, at 10 frames per second."""

    def __init__(self, noise: float = 2.0, **settings: object) -> None:
        self.random = np.random.default_rng(1)
        coarse = self.random.uniform(60, 170, (24, 32))
        self.ground = np.kron(coarse, np.ones((10, 10)))
        self.noise = noise
        self.motion = MotionDetector(MotionSettings(**settings), SHAPE, MAIN)  # type: ignore[arg-type]
        self.index = 0

    def show(self, gain: float = 1.0, put: tuple[int, int, int, int] | None = None) -> Motion:
        """`put`: a bright object, x0 y0 x1 y1 in luma pixels."""
        picture = self.ground * gain
        if put is not None:
            x0, y0, x1, y1 = put
            picture[y0:y1, x0:x1] = 230 * gain
        picture = picture + self.random.normal(0, self.noise, SHAPE)
        self.luma = np.clip(picture, 0, 255).astype(np.uint8)
        self.index += 1
        return self.motion(self.luma, self.index * NS_PER_S // FPS)

    def settle(self, frames: int = 30) -> None:
        for _ in range(frames):
            self.show()


def test_the_first_frame_is_a_new_scene() -> None:
    motion = Scene().show()
    assert motion.scene_change
    assert motion.blobs_xyxy.shape == (0, 4)
    assert motion.activity.shape == (0,)


def soft_shares(uri: str) -> list[bool]:
    """Whether each blob of a drawn scene is soft."""
    source = open_source(load(None, {"source.uri": uri, "source.fast": True}).source)
    info = source.open()
    motion = MotionDetector(MotionSettings(), info.luma_size[::-1], info.main_size)
    soft: list[bool] = []
    while (frame := source.read()) is not None:
        soft += motion(frame.luma, frame.timestamp_ns).soft.tolist()
    source.close()
    return soft


@pytest.mark.parametrize("scene", ["headlights", "shadow"])
def test_light_and_shadow_are_soft(scene: str) -> None:
    soft = soft_shares(f"synthetic:{scene}?fps=10&duration=20&visitors=0")
    assert len(soft) > 50
    assert np.mean(soft) > 0.9


@pytest.mark.parametrize("scene", ["visits", "crossing", "snow?visitors=0"])
def test_what_has_an_outline_is_not_soft(scene: str) -> None:
    name, _, option = scene.partition("?")
    soft = soft_shares(f"synthetic:{name}?fps=10&duration=20&{option}")
    assert len(soft) > 50
    assert not any(soft)


def test_a_known_object_is_not_examined_for_softness() -> None:
    scene = Scene(noise=0.0)
    scene.ground[:] = 100
    scene.settle()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    scene.ground += 90 * np.exp(-((x - 160) ** 2 + (y - 120) ** 2) / 900)
    assert scene.show().soft.tolist() == [True]
    scene.motion.hold(np.array([[140, 100, 180, 140]], np.float32) * SCALE)
    assert scene.show().soft.tolist() == [False]


@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0])
def test_sensor_noise_is_not_motion(noise: float) -> None:
    scene = Scene(noise)
    scene.settle()
    assert sum(len(scene.show().blobs_xyxy) for _ in range(50)) == 0


def test_an_object_is_one_blob_at_its_place() -> None:
    scene = Scene()
    scene.settle()
    motion = scene.show(put=(100, 80, 120, 120))
    assert motion.blobs_xyxy * (1 / SCALE) == pytest.approx(np.array([[100, 80, 120, 120]]), abs=3)
    assert motion.activity[0] > 0.8
    assert motion.changed == pytest.approx(20 * 40 / (240 * 320), rel=0.2)


def test_a_step_of_the_light_is_not_motion_and_does_not_hide_motion() -> None:
    scene = Scene()
    scene.settle()
    blobs = [len(scene.show(gain=1.3).blobs_xyxy) for _ in range(10)]
    assert sum(blobs) == 0
    motion = scene.show(gain=1.3, put=(100, 80, 120, 120))
    assert len(motion.blobs_xyxy) == 1


def test_a_slow_change_of_the_light_is_not_motion() -> None:
    scene = Scene()
    scene.settle()
    gains = np.linspace(1, 0.5, 200)
    assert sum(len(scene.show(gain=float(gain)).blobs_xyxy) for gain in gains) == 0


def test_a_change_of_most_of_the_picture_is_one_scene_change() -> None:
    scene = Scene()
    scene.settle()
    scene.ground = 230 - scene.ground  # not explained by a gain, like a switched IR filter
    changes = [scene.show() for _ in range(5)]
    assert [motion.scene_change for motion in changes] == [True, False, False, False, False]
    assert sum(len(motion.blobs_xyxy) for motion in changes) == 0


def test_an_object_that_stands_becomes_inactive_and_is_then_absorbed() -> None:
    scene = Scene(absorb_s=5.0)
    scene.settle()
    box = (100, 80, 120, 120)
    motions = [scene.show(put=box) for _ in range(150)]
    assert motions[0].activity[0] > 0.8
    assert motions[10].activity[0] < 0.1
    assert len(motions[10].blobs_xyxy) == 1
    assert len(motions[-1].blobs_xyxy) == 0


def test_an_object_that_is_held_is_never_absorbed() -> None:
    scene = Scene(absorb_s=5.0)
    scene.settle()
    box = (100, 80, 120, 120)
    for _ in range(150):
        scene.motion.hold(np.array([box], np.float32) * SCALE)
        motion = scene.show(put=box)
    assert len(motion.blobs_xyxy) == 1


def test_the_blob_of_an_object_that_is_held_keeps_its_size() -> None:
    """Parts of an object that look like the background must not be absorbed one by one."""
    scene = Scene(absorb_s=5.0)
    scene.settle()
    texture = scene.random.uniform(60, 170, (8, 5)).repeat(5, 0).repeat(5, 1)
    scene.ground[80:120, 100:125] = texture
    for _ in range(200):
        scene.motion.hold(np.array([[96, 76, 129, 124]], np.float32) * SCALE)
        motion = scene.show()
    sides = motion.blobs_xyxy[:, 2:] - motion.blobs_xyxy[:, :2]
    assert sides.prod(axis=1).sum() > 0.85 * 25 * 40 * SCALE**2


def test_a_ghost_disappears_when_it_is_absorbed() -> None:
    scene = Scene()
    box = (100, 80, 120, 120)
    scene.show(put=box)  # in the first frame, so that the background contains it
    for _ in range(30):
        scene.show(put=box)
    ghost = [scene.show() for _ in range(5)][-1]
    assert len(ghost.blobs_xyxy) == 1
    assert ghost.activity[0] < 0.1
    scene.motion.absorb(tuple(ghost.blobs_xyxy[0].tolist()), scene.luma)
    assert len(scene.show().blobs_xyxy) == 0


def test_motion_inside_a_mask_is_ignored() -> None:
    left_half = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    scene = Scene(masks=(left_half,))
    scene.settle()
    assert len(scene.show(put=(100, 80, 120, 120)).blobs_xyxy) == 0
    assert len(scene.show(put=(220, 80, 240, 120)).blobs_xyxy) == 1


def test_blobs_below_the_minimum_area_are_ignored() -> None:
    scene = Scene(min_area=0.01)
    scene.settle()
    assert len(scene.show(put=(100, 80, 110, 100)).blobs_xyxy) == 0
    assert len(scene.show(put=(100, 80, 140, 120)).blobs_xyxy) == 1


def test_a_higher_sensitivity_finds_fainter_objects() -> None:
    counts = []
    for sensitivity in (0.25, 4.0):
        scene = Scene(noise=0.0, sensitivity=sensitivity)
        scene.ground[:] = 215
        scene.settle()
        counts.append(len(scene.show(put=(100, 80, 140, 120)).blobs_xyxy))
    assert counts == [0, 1]


def test_the_callers_luma_is_neither_kept_nor_changed() -> None:
    scene = Scene()
    scene.settle()
    scene.show(put=(100, 80, 120, 120))
    before = scene.luma.copy()
    scene.motion(scene.luma, scene.index * NS_PER_S)
    assert np.array_equal(scene.luma, before)
    scene.luma[:] = 0
    assert not scene.show().scene_change


def test_averages_never_become_subnormal_numbers() -> None:
    """Without a bound they do, after minutes of a picture that is entirely 0."""
    motion = MotionDetector(MotionSettings(learn_s=1.0), (24, 32), (64, 48))
    black = np.zeros((24, 32), np.uint8)
    motion(np.ones_like(black), 0)
    for step in range(1, 2000):
        motion(black, step * NS_PER_S // 5)
    least = np.finfo(np.float32).tiny
    assert motion._background._noise.min() > least
    assert motion._background._average.min() > least
    assert motion.background.max() == 0


NEAR = (60, 0, 300, 240)  # somebody close to the camera, in three quarters of the picture


def test_an_object_in_most_of_the_picture_is_not_learnt() -> None:
    """The change looks like a new scene, until the detector finds the object."""
    scene = Scene()
    scene.settle()
    assert scene.show(put=NEAR).scene_change
    box = np.array([NEAR], np.float32) * SCALE
    scene.motion.keep_under(box)
    scene.motion.hold(box)
    for _ in range(20):
        motion = scene.show(put=NEAR)
        assert not motion.scene_change
        assert len(motion.blobs_xyxy) == 1
    assert np.abs(scene.motion.background.astype(int) - scene.ground).mean() < 6
    scene.motion.hold(box[:0])
    assert len(scene.show().blobs_xyxy) == 0  # it leaves no ghost


def test_a_new_scene_is_learnt_beside_objects_that_it_shows() -> None:
    scene = Scene()
    scene.settle()
    scene.ground = scene.ground[:, ::-1].copy()  # the camera was turned
    assert scene.show().scene_change
    scene.motion.keep_under(np.array([(100, 100, 200, 200)], np.float32) * SCALE)
    motion = scene.show()
    assert not motion.scene_change
    assert 0 < motion.changed < 0.2


def test_a_scene_changes_also_while_a_known_object_is_in_most_of_it() -> None:
    scene = Scene()
    scene.settle()
    scene.motion.hold(np.array([NEAR], np.float32) * SCALE)
    scene.show(put=NEAR)
    scene.ground = scene.ground[:, ::-1].copy()
    assert scene.show(put=NEAR).scene_change
