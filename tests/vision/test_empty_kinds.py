"""Motion of a size that was nothing again and again waits; any other size does not.

Soft motion is one kind, whatever its size.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.load import load
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.vision.build import build_detector, build_pipeline
from edge.vision.geometry import Box
from edge.vision.kinds import LONGEST_PAUSE, LOOKS, REMEMBERED_S, EmptyKinds

RELOOK_S = 1.0
FRAME_NS = NS_PER_S // 10


def flake(number: int, side: float = 18) -> Box:
    """A box of this size, each number elsewhere."""
    x, y = number * 37 % 600, number * 53 % 400
    return x, y, x + side, y + side


def report(
    kinds: EmptyKinds,
    boxes: list[Box],
    timestamp_ns: int,
    *,
    has_object: bool = False,
    soft: bool = False,
) -> None:
    """Reports looks at these places in one frame, all with the same outcome."""
    each = (len(boxes),)
    kinds.report(
        np.array(boxes, np.float32),
        np.full(each, soft),
        np.full(each, has_object),
        timestamp_ns,
        RELOOK_S,
    )


def after(
    kinds: EmptyKinds, frames: int, side: float = 18, begin_ns: int = 0, *, soft: bool = False
) -> int:
    """Reports an empty look in each of these frames; returns the time of the last."""
    for number in range(frames):
        report(kinds, [flake(number, side)], begin_ns + number * FRAME_NS, soft=soft)
    return begin_ns + (frames - 1) * FRAME_NS


def is_paused(kinds: EmptyKinds, box: Box, timestamp_ns: int, *, soft: bool = False) -> bool:
    return bool(kinds.paused(np.array([box], np.float32), np.array([soft]), timestamp_ns)[0])


def test_a_kind_is_paused_wherever_it_is_and_others_are_not() -> None:
    kinds = EmptyKinds()
    assert kinds.paused(np.zeros((0, 4), np.float32), np.zeros(0, np.bool_), 0).shape == (0,)
    now_ns = after(kinds, LOOKS - 1)
    assert not is_paused(kinds, flake(90), now_ns + 1)
    now_ns = after(kinds, 1, begin_ns=now_ns + FRAME_NS)
    assert is_paused(kinds, flake(90), now_ns + 1)
    assert is_paused(kinds, flake(91, 24), now_ns + 1)
    for box in (flake(90, 40), (300.0, 100.0, 316.0, 172.0), flake(90, 8)):
        assert not is_paused(kinds, box, now_ns + 1)


def test_soft_motion_of_any_size_is_one_kind_apart_from_the_others() -> None:
    kinds = EmptyKinds()
    now_ns = 0
    for number in range(LOOKS):  # each of a size that no other has
        now_ns = after(kinds, 1, 8 * 2.5**number, number * FRAME_NS, soft=True)
    assert is_paused(kinds, flake(90, 300), now_ns + 1, soft=True)
    assert not is_paused(kinds, flake(90, 300), now_ns + 1)
    report(kinds, [flake(5, 300)], now_ns + 1, has_object=True)
    assert is_paused(kinds, flake(90), now_ns + 2, soft=True)
    report(kinds, [flake(5, 300)], now_ns + 2, has_object=True, soft=True)
    assert not is_paused(kinds, flake(90), now_ns + 3, soft=True)


def test_many_in_one_frame_are_one_look() -> None:
    kinds = EmptyKinds()
    report(kinds, [flake(number) for number in range(6 * LOOKS)], FRAME_NS)
    assert not is_paused(kinds, flake(90), FRAME_NS + 1)


def test_an_object_of_the_size_ends_the_pause() -> None:
    kinds = EmptyKinds()
    now_ns = after(kinds, 3 * LOOKS)
    report(kinds, [flake(5, 20)], now_ns + 1, has_object=True)
    assert not is_paused(kinds, flake(90), now_ns + 2)
    now_ns = after(kinds, LOOKS - 1, begin_ns=now_ns + FRAME_NS)
    assert not is_paused(kinds, flake(90), now_ns + 1)


@given(st.integers(LOOKS, 300))
def test_a_pause_is_never_longer_than_its_limit(frames: int) -> None:
    kinds = EmptyKinds()
    now_ns = after(kinds, frames)
    assert is_paused(kinds, flake(90), now_ns + 1)
    assert not is_paused(kinds, flake(90), now_ns + round(LONGEST_PAUSE * RELOOK_S * NS_PER_S))


def test_a_kind_is_forgotten() -> None:
    kinds = EmptyKinds()
    now_ns = after(kinds, 10 * LOOKS) + round((REMEMBERED_S + 1) * NS_PER_S)
    after(kinds, LOOKS - 1, begin_ns=now_ns)
    assert not is_paused(kinds, flake(90), now_ns + LOOKS * FRAME_NS)


def test_many_sizes_are_bounded_and_the_newest_are_kept() -> None:
    kinds = EmptyKinds()
    for number in range(40):
        report(kinds, [(0, 0, 4 * 1.3**number, 400 / 1.3**number)], number)
    now_ns = after(kinds, LOOKS, begin_ns=FRAME_NS)
    assert is_paused(kinds, flake(90), now_ns + 1)


def watched(uri: str) -> tuple[list[int], list[float]]:
    """Invocations of each frame, and the times of triggers in seconds."""
    rule = {"name": "visitor", "labels": ["person"], "cooldown_s": 0.0}
    settings = load(None, {"source.uri": uri, "source.fast": True, "triggers": [rule]})
    source = open_source(settings.source)
    info = source.open()
    pipeline = build_pipeline(settings, build_detector(settings), info)
    invocations, events_s = [], []
    while (frame := source.read()) is not None:
        analysis = pipeline(frame)
        invocations.append(len(analysis.layouts))
        events_s += [frame.index / info.fps for _ in analysis.events]
    source.close()
    return invocations, events_s


@pytest.mark.parametrize(
    ("scene", "most_per_s"), [("snow", 2.5), ("shadow", 1.0), ("headlights", 0.65)]
)
def test_what_moves_and_is_nothing_gets_few_looks(scene: str, most_per_s: float) -> None:
    invocations, events_s = watched(f"synthetic:{scene}?fps=10&duration=40&visitors=0")
    assert sum(invocations[200:]) < 20 * most_per_s
    assert events_s == []


def test_visitors_are_seen_in_snow() -> None:
    """Without kinds the flakes have all looks, and two of these eight visitors are seen."""
    _, events_s = watched("synthetic:snow?fps=10&duration=33")
    visits = {int((event_s - 1) // 4) for event_s in events_s if (event_s - 1) % 4 < 2}
    assert len(visits) >= 7
