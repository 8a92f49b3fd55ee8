from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.capture.video.encoder import Canvas
from edge.capture.video.picture_ring import PictureRing
from edge.vision.picture import PixelFormat
from tests.support.captures import picture

PICTURE = picture(0, 32, 24)


def ring(span_ns: int, capacity: int) -> PictureRing:
    return PictureRing(lambda: Canvas(32, 24, PixelFormat.I420), span_ns, capacity)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), max_size=60),
    st.integers(0, 300),
    st.integers(1, 12),
)
def test_it_keeps_the_newest_within_its_span_and_its_capacity(steps, span_ns, capacity):
    kept, now_ns, times = ring(span_ns, capacity), 0, []
    for gap_ns, as_it_came, needs_all in steps:
        now_ns += gap_ns
        times.append(now_ns)
        kept.add(PICTURE, now_ns, as_it_came=as_it_came, needed=0 if needs_all else None)
        held = [kept.get(number) for number in range(len(times))]
        assert [h.timestamp_ns for h in held if h] == times[kept.first :]
        assert len(kept) == len(times) - kept.first <= capacity
        assert kept.buffers <= capacity + 2
        if not needs_all:
            assert times[kept.first] >= now_ns - span_ns
        missing = times[: kept.first]
        assert len(kept) == capacity or not missing or missing[-1] < now_ns - span_ns


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(-5, 100))
def test_a_time_has_the_picture_at_or_before_it(gaps_ns, asked_ns):
    kept, times = ring(10**9, 100), [sum(gaps_ns[: n + 1]) for n in range(len(gaps_ns))]
    for at_ns in times:
        kept.add(PICTURE, at_ns)
    before = [n for n, at_ns in enumerate(times) if at_ns <= asked_ns]
    assert kept.number_at(asked_ns) == (before[-1] if before else 0)


def test_copies_use_their_buffers_again():
    kept = ring(5, 8)
    for at_ns in range(8):
        kept.add(PICTURE, at_ns)
    first = {id(kept.get(number).picture) for number in range(2, 8)}
    held = kept.buffers
    for at_ns in range(8, 100):
        kept.add(PICTURE, at_ns)
    assert kept.buffers == held <= 8
    assert first & {id(kept.get(number).picture) for number in range(94, 100)}


def test_needed_pictures_outlive_their_span_but_not_the_capacity():
    kept = ring(2, 5)
    for at_ns in range(4):
        kept.add(PICTURE, 10 * at_ns, needed=1)
    assert (kept.first, len(kept), kept.full) == (1, 3, False)
    for at_ns in range(4, 8):
        kept.add(PICTURE, 10 * at_ns, needed=1)
    assert (kept.first, len(kept), kept.full) == (3, 5, True)
