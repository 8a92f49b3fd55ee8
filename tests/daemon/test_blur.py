"""The boxes that a still shows blurred are those known at its frame."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.daemon.blur import MAX_FRAMES, MAX_TRACKS, WHOLE, BlurredBoxes

CLASSES = (("person", ""), ("cat", "animal"), ("dog", "animal"))
PERSON, CAT, DOG, BLOB = (tuple(float(4 * n + k) for k in range(4)) for n in range(4))


def analysis(at_ns: int, *tracks: tuple[str, str, tuple[float, ...]], dogs: int = 0) -> Any:
    """tracks: label, group and box. dogs: detections without a track."""
    return SimpleNamespace(
        frame=SimpleNamespace(timestamp_ns=at_ns),
        tracks=[
            SimpleNamespace(id=int(box[0]) + 1, label=a, group=b, box_xyxy=box)
            for a, b, box in tracks
        ],
        detections=SimpleNamespace(
            boxes_xyxy=np.array([DOG] * dogs, np.float32).reshape(-1, 4),
            class_ids=np.full(dogs, 2, np.int64),
        ),
        motion=SimpleNamespace(blobs_xyxy=np.array([BLOB], np.float32)),
    )


SEEN = (("person", "", PERSON), ("cat", "animal", CAT))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((), ()),
        (("person",), (PERSON,)),
        (("animal",), (CAT, DOG)),
        (("dog",), (DOG,)),
        (("motion",), (BLOB,)),
        (("person", "motion"), (PERSON, BLOB)),
    ],
)
def test_labels_groups_and_motion_are_found(
    labels: tuple[str, ...], expected: tuple[tuple[float, ...], ...]
) -> None:
    boxes = BlurredBoxes(labels, CLASSES)
    boxes.add(analysis(10, *SEEN, dogs=1))
    assert set(boxes(10)) == set(expected)


def test_a_frame_that_was_not_analysed_has_the_boxes_before_and_after_it() -> None:
    boxes = BlurredBoxes(("person", "cat"), CLASSES)
    assert boxes(5) == ()
    boxes.add(analysis(10, SEEN[0]))
    assert boxes(5) == boxes(10) == boxes(99) == (PERSON,)
    boxes.add(analysis(20, SEEN[1]))
    boxes.add(analysis(30))
    assert set(boxes(15)) == {PERSON, CAT}
    assert set(boxes(20)) == {CAT}
    assert boxes(30) == boxes(40) == ()


def test_a_track_that_had_another_label_at_first_is_blurred_there_too() -> None:
    boxes = BlurredBoxes(("person",), CLASSES)
    boxes.add(analysis(10, ("dog", "animal", PERSON), SEEN[1]))
    assert boxes(10) == ()
    boxes.add(analysis(20, *SEEN))
    assert boxes(10) == (PERSON,)


def test_old_frames_and_tracks_are_forgotten() -> None:
    boxes = BlurredBoxes(("person",), CLASSES)
    boxes.add(analysis(0, SEEN[0]))
    for number in range(1, MAX_FRAMES + 1):
        box = tuple(float(number + k) for k in range(4))
        boxes.add(analysis(number, ("person", "", box), dogs=1))
    assert boxes(0) == (WHOLE,)
    assert boxes(1) != (WHOLE,)
    assert boxes(MAX_FRAMES) == (box,)
    assert len(boxes._tracks) == MAX_TRACKS
