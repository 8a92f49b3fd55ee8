from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.capture.video.ring import PacketRing
from edge.vision.types import EncodedPacket

STREAMS = st.lists(
    st.tuples(st.integers(0, 400), st.booleans(), st.integers(1, 50)), max_size=60
).map(
    lambda steps: [
        EncodedPacket(b"x" * size, sum(s[0] for s in steps[: n + 1]), key)
        for n, (_, key, size) in enumerate(steps)
    ]
)


def filled(packets: list[EncodedPacket], seconds: float = 1e-6, most: int = 10_000) -> PacketRing:
    ring = PacketRing(seconds, most)
    for packet in packets:
        ring.add(packet)
    return ring


def test_an_empty_ring_gives_nothing():
    assert filled([]).since(0) == []


def test_packets_before_the_first_key_frame_are_not_kept():
    assert len(filled([EncodedPacket(b"a", 1, False), EncodedPacket(b"b", 2, False)])) == 0


@given(STREAMS, st.integers(1, 400))
def test_it_keeps_the_end_of_the_stream_from_a_key_frame_on(packets, most):
    ring = PacketRing(1e-6, most)
    for n, packet in enumerate(packets):
        ring.add(packet)
        held = ring.since(-1)
        assert len(held) == len(ring)
        assert ring.bytes == sum(len(p.data) for p in held) <= most
        if held:
            assert held[0].keyframe
            assert held == packets[n + 1 - len(held) : n + 1]


@given(STREAMS, st.integers(0, 5_000))
def test_it_covers_its_seconds_and_at_most_one_group_more(packets, span_ns):
    held = filled(packets, span_ns / 1e9).since(-1)
    keys = [p for p in packets if p.keyframe]
    if not keys:
        assert held == []
        return
    wanted_ns = packets[-1].timestamp_ns - span_ns
    reaching = [p for p in keys if p.timestamp_ns <= wanted_ns]
    assert held[0] is (reaching[-1] if reaching else keys[0])


@given(STREAMS, st.integers(-10, 20_000))
def test_since_begins_with_the_last_key_frame_at_or_before_the_time(packets, asked_ns):
    ring = filled(packets, 1.0)
    held, given_back = ring.since(-1), ring.since(asked_ns)
    before = [n for n, p in enumerate(held) if p.keyframe and p.timestamp_ns <= asked_ns]
    assert given_back == held[before[-1] if before else 0 :]


def test_a_key_frame_exactly_at_the_edge_is_where_it_begins():
    stream = [EncodedPacket(b"x", second * 10**9, True) for second in range(6)]
    assert [p.timestamp_ns // 10**9 for p in filled(stream, 3).since(-1)] == [2, 3, 4, 5]


def test_a_group_too_large_for_the_ring_is_dropped_until_the_next_key_frame():
    ring = filled([EncodedPacket(b"x" * 60, 0, True), EncodedPacket(b"x" * 60, 1, False)], 1, 100)
    assert len(ring) == 0
    ring.add(EncodedPacket(b"x", 2, False))
    assert len(ring) == 0
    ring.add(EncodedPacket(b"x", 3, True))
    assert len(ring) == 1


def test_clear_removes_all_packets():
    ring = filled([EncodedPacket(b"abc", 0, True)])
    ring.clear()
    assert (len(ring), ring.bytes, ring.since(0)) == (0, 0, [])
