"""Frozen, black, blocked and blurred pictures are reported; ordinary ones are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.runtime.times import NS_PER_S
from edge.sources.scenes.synthetic import SCENES, SceneOptions, SyntheticScene
from edge.vision.picture_check import PictureCheck, PictureState

Luma = npt.NDArray[np.uint8]
CHANGES = {
    "good": lambda luma: luma,
    "dim": lambda luma: luma // 2,
    "hazy": lambda luma: (luma * 0.3 + 120).astype(np.uint8),
}
FAULTS: dict[PictureState, Callable[[Luma], Luma]] = {
    PictureState.BLACK: lambda luma: (luma // 16 + 8).astype(np.uint8),
    PictureState.BLOCKED: lambda luma: (luma // 64 + 90).astype(np.uint8),
    PictureState.BLURRED: lambda luma: np.asarray(cv2.GaussianBlur(luma, (0, 0), 2), np.uint8),
}


def footage(path: Path, seconds: int) -> Iterator[Luma]:
    """One picture a second, 320 px wide."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 10 == 0:
                luma = frame.to_ndarray(format="gray8")
                height = luma.shape[0] * 320 // luma.shape[1]
                small = cv2.resize(luma, (320, height), interpolation=cv2.INTER_AREA)
                yield np.asarray(small, np.uint8)
            if index >= seconds * 10:
                return


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> list[Luma]:
    return list(footage(shared_data / "vtest.avi", 40))


def states(check: PictureCheck, pictures: list[Luma], start_s: int = 0) -> list[PictureState]:
    return [check(luma, (start_s + second) * NS_PER_S) for second, luma in enumerate(pictures)]


@pytest.mark.parametrize("name", CHANGES)
def test_real_pictures_are_good_in_any_light(pictures: list[Luma], name: str) -> None:
    check = PictureCheck(bad_s=3, frozen_s=5)
    assert set(states(check, pictures[:20])) == {PictureState.GOOD}
    changed = [CHANGES[name](luma) for luma in pictures[20:]]
    assert set(states(check, changed, 20)) == {PictureState.GOOD}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_after_a_while_and_until_its_cause_ends(
    pictures: list[Luma], fault: PictureState
) -> None:
    check = PictureCheck(bad_s=5, frozen_s=0)
    assert set(states(check, pictures[:20])) == {PictureState.GOOD}
    bad = [FAULTS[fault](luma) for luma in pictures[20:30]]
    assert states(check, bad, 20) == [PictureState.GOOD] * 4 + [fault] * 6
    assert set(states(check, pictures[30:], 30)) == {PictureState.GOOD}


def test_a_short_fault_is_not_reported(pictures: list[Luma]) -> None:
    check = PictureCheck(bad_s=5, frozen_s=0)
    lorry = [np.full_like(luma, 90) for luma in pictures[10:14]]
    assert set(states(check, [*pictures[:10], *lorry, *pictures[14:]])) == {PictureState.GOOD}


def test_identical_pictures_are_frozen_and_one_changed_pixel_is_not(pictures: list[Luma]) -> None:
    check = PictureCheck(bad_s=0, frozen_s=5)
    assert states(check, [pictures[0]] * 7) == [PictureState.GOOD] * 5 + [PictureState.FROZEN] * 2
    other = pictures[0].copy()
    other[0, 0] ^= 1
    assert check(other, 7 * NS_PER_S) is PictureState.GOOD


def test_a_gap_between_pictures_is_not_a_frozen_picture(pictures: list[Luma]) -> None:
    check = PictureCheck(bad_s=0, frozen_s=5)
    check(pictures[0], 0)
    assert check(pictures[0], 60 * NS_PER_S) is PictureState.GOOD


@pytest.mark.parametrize("scene", SCENES)
def test_changes_of_a_synthetic_scene_are_not_faults(scene: str) -> None:
    drawn = SyntheticScene(scene, SceneOptions(width=320, height=240))
    check = PictureCheck(bad_s=3, frozen_s=5)
    pictures = [drawn.render(second * 25).luma() for second in range(30)]
    assert set(states(check, pictures)) == {PictureState.GOOD}


def test_a_picture_is_checked_once_a_second_and_copied(pictures: list[Luma]) -> None:
    check = PictureCheck(bad_s=1, frozen_s=1)
    buffer = pictures[0].copy()
    for index in range(100):
        buffer[:] = pictures[index % 20]
        assert check(buffer, index * NS_PER_S // 25) is PictureState.GOOD
