"""The one clock of a source: it rises steadily, whatever times the stream states."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.config.schema import SourceSettings
from edge.runtime.times import NS_PER_MS, NS_PER_S
from edge.sources import open_source
from edge.sources.clock import SourceClock
from edge.sources.reconnect import Reconnecting
from edge.vision.types import EncodedPacket, Frame, SourceInfo
from tests.support.captures import Captures, packets, play, request
from tests.support.films import encode, raw, read, served, transport

PERIOD = NS_PER_S // 10
COUNT = 20
HOURS_10 = 36_000.0

STEPS = st.one_of(
    st.just(None),
    st.just(0),
    st.just(PERIOD),
    st.integers(0, 5 * NS_PER_S),
    st.integers(-(1 << 70), 1 << 70),
)


def clocked(stated: list[int | None], period_ns: int = PERIOD) -> tuple[list[int], SourceClock]:
    clock = SourceClock(period_ns)
    return [clock(time_ns) for time_ns in stated], clock


def summed(first: int, steps: list[int | None]) -> list[int | None]:
    """Times that differ by the steps; a step of None is a missing time."""
    stated: list[int | None] = []
    for step in steps:
        first += step or 0
        stated.append(None if step is None else first)
    return stated


@given(st.integers(-(1 << 70), 1 << 70), st.lists(STEPS, max_size=60))
@settings(deadline=None)
def test_it_begins_at_0_and_rises_by_at_most_the_largest_sensible_step(first, steps):
    times, clock = clocked([first, *summed(first, steps)])
    assert times[0] == 0
    assert all(0 <= later - time <= clock.max_step_ns for time, later in pairwise(times))


@given(
    st.integers(-(1 << 70), 1 << 70),
    st.lists(st.integers(NS_PER_MS + 1, 5 * NS_PER_S), max_size=40),
)
@settings(deadline=None)
def test_sensible_times_are_kept_exactly(first, steps):
    stated = [first, *(time for time in summed(first, steps) if time is not None)]
    times, clock = clocked(list(stated))
    assert times == [time - first for time in stated]
    assert clock.jumps == 0


@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1, max_size=10), st.data())
@settings(deadline=None)
def test_steps_back_and_leaps_are_one_period_each(parts, data):
    stated: list[int | None] = []
    last = 0
    for count, back in parts:
        leap = data.draw(st.integers(1, 1 << 60)) + (0 if back else 5 * NS_PER_S)
        last = last - leap if back else last + leap
        stated += [last + n * PERIOD for n in range(count)]
        last += (count - 1) * PERIOD
    times, clock = clocked(stated)
    assert times == [n * PERIOD for n in range(len(stated))]
    assert clock.jumps == len(parts) - 1


@given(st.lists(st.booleans(), max_size=60))
@settings(deadline=None)
def test_missing_and_repeated_times_are_one_period_and_add_no_error(missing):
    true = [1_000 + n * PERIOD for n in range(len(missing))]
    times, clock = clocked([None if gap else t for gap, t in zip(missing, true, strict=True)])
    assert times == [n * PERIOD for n in range(len(missing))]
    held = [true[n - 1] if n and gap else true[n] for n, gap in enumerate(missing)]
    assert max(np.abs(np.subtract(clocked(list(held))[0], times)), default=0) <= PERIOD
    assert clock.jumps == 0


def test_times_in_whole_seconds_are_spread_over_the_second():
    times, clock = clocked([n // 10 * NS_PER_S for n in range(40)])
    assert times == [n * PERIOD for n in range(40)]
    assert clock.jumps == 0


def test_times_that_a_muxer_made_rise_by_one_tick_are_repeats():
    tick = NS_PER_S // 90_000
    stated = [0, PERIOD, *(PERIOD + n * tick for n in range(1, 30)), 4 * NS_PER_S]
    times, clock = clocked(list(stated))
    assert times[:-1] == [n * PERIOD for n in range(len(stated) - 1)]
    assert times[-1] == 4 * NS_PER_S
    assert clock.jumps == 0


def test_a_time_lapse_keeps_its_minutes():
    minute = 60 * NS_PER_S
    times, clock = clocked([0, minute, 2 * minute], period_ns=minute)
    assert times == [0, minute, 2 * minute]
    assert clock.jumps == 0


def test_a_recording_that_begins_again_goes_on_after_one_period():
    clock = SourceClock(PERIOD)
    times = [clock(t) for t in (5, 5 + PERIOD)]
    clock.begin_again()
    times += [clock(t) for t in (5, 5 + PERIOD)]
    assert times == [0, PERIOD, 2 * PERIOD, 3 * PERIOD]
    assert clock.jumps == 0


STREAM = packets(COUNT)
HALVES = STREAM[:10], STREAM[10:]
TIMES = {
    "none.h264": lambda: raw(STREAM),
    "restarts.ts": lambda: transport([(1.4, HALVES[0]), (1.4, HALVES[1])]),
    "leaps.ts": lambda: transport([(0, HALVES[0]), (HOURS_10, HALVES[1])]),
    "one_ahead.ts": lambda: transport(
        [(0, STREAM[:10]), (HOURS_10, STREAM[10:11]), (1.1, STREAM[11:])]
    ),
    "begins_late.ts": lambda: transport([(HOURS_10, STREAM)]),
    "wraps.ts": lambda: transport([((1 << 33) / 90_000 - 1, HALVES[0]), (0, HALVES[1])]),
    "pauses.ts": lambda: transport([(0, HALVES[0]), (61, HALVES[1])]),
    "repeats.ts": lambda: transport([(0, HALVES[0]), (0.9, STREAM[10:11]), (1.1, STREAM[11:])]),
}


def recorded(folder: Path, info: SourceInfo, frames: list[Frame], at: int) -> Captures:
    with Captures(folder, pre_roll_s=1, post_roll_s=0.5) as captures:
        captures.recorder.begin_stream(info)
        for frame in frames:
            captures.recorder.offer(frame, wait=True)
            if frame.index == at:
                captures.recorder.trigger(request(frame.timestamp_ns))
    assert captures.errors == []
    return captures


def check_clip(folder: Path, info: SourceInfo, frames: list[Frame], at: int) -> None:
    """The clip lasts as long as its frames' own times say, within one frame."""
    clip = recorded(folder, info, frames, at).clips[0].path
    played = play(clip)
    shown = frames[played.marks[0] : played.marks[-1] + 1]
    assert played.marks == list(range(played.marks[0], played.marks[-1] + 1))
    own_s = np.array([f.timestamp_ns - shown[0].timestamp_ns for f in shown]) / NS_PER_S
    assert played.times_s == pytest.approx(own_s, abs=1e-4)
    with av.open(str(clip)) as container:
        assert container.duration is not None
        lasts_s = container.duration / 1e6
    assert 0 <= lasts_s - own_s[-1] <= max(0.11, np.diff(own_s).max(initial=0) + 0.01)


@pytest.mark.parametrize("name", TIMES)
def test_frames_and_packets_of_any_times_are_a_period_apart(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(TIMES[name]())
    info, frames = read(path)
    assert info.encoded is not None
    assert len(frames) == COUNT
    times = [frame.timestamp_ns for frame in frames]
    assert np.diff(times) == pytest.approx(np.full(COUNT - 1, PERIOD), abs=NS_PER_MS)
    assert [p.timestamp_ns for frame in frames for p in frame.packets] == times
    assert abs(frames[0].wall_ns - time.time_ns()) < 60 * NS_PER_S
    check_clip(tmp_path, info, frames, at=13)


@given(st.lists(st.tuples(st.floats(0, 80_000), st.integers(2, 9)), min_size=1, max_size=5))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_clip_lasts_as_long_as_its_frames(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("drawn")
    stream = packets(sum(count for _, count in parts))
    taken, pieces = 0, []
    for start_s, count in parts:
        pieces.append((start_s, stream[taken : taken + count]))
        taken += count
    (folder / "drawn.ts").write_bytes(transport(pieces))
    info, frames = read(folder / "drawn.ts")
    steps = np.diff([frame.timestamp_ns for frame in frames])
    assert all(0 <= step <= 5 * NS_PER_S for step in steps)
    for frame in frames:
        assert [p.timestamp_ns for p in frame.packets][-1:] in ([], [frame.timestamp_ns])
    check_clip(folder, info, frames, at=len(frames) - 1)


@pytest.mark.parametrize(
    ("codec", "form"), [("libx265", "hevc"), ("mpeg4", "m4v"), ("mjpeg", "mjpeg")]
)
def test_a_raw_stream_of_any_codec_has_the_times_of_its_rate(
    tmp_path: Path, codec: str, form: str
) -> None:
    images = [np.full((120, 160, 3), 10 * n, np.uint8) for n in range(12)]
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    info, frames = read(encode(tmp_path / f"film.{form}", images, codec, pix_fmt, form))
    assert len(frames) == 12
    steps = np.diff([frame.timestamp_ns for frame in frames])
    assert steps == pytest.approx(np.full(11, NS_PER_S / info.fps), rel=0.05)


def test_a_recording_that_begins_late_is_played_at_once(tmp_path: Path) -> None:
    (tmp_path / "late.ts").write_bytes(transport([(HOURS_10, STREAM)]))
    start_s = time.monotonic()
    frames = read(tmp_path / "late.ts", limit=4, fast=False)[1]
    assert time.monotonic() - start_s < 5
    assert frames[3].timestamp_ns - frames[0].timestamp_ns == pytest.approx(3 * PERIOD, rel=0.01)


def test_a_loop_of_raw_video_and_of_a_single_frame_goes_on(tmp_path: Path) -> None:
    (tmp_path / "film.h264").write_bytes(raw(STREAM))
    (tmp_path / "one.h264").write_bytes(raw(STREAM[:1]))
    for name, limit in (("film.h264", 50), ("one.h264", 4)):
        frames = read(tmp_path / name, limit=limit, loop=True)[1]
        steps = np.diff([frame.timestamp_ns for frame in frames])
        assert len(steps) == limit - 1
        assert len(set(steps.tolist())) == 1


def test_sampling_follows_the_clock(tmp_path: Path) -> None:
    (tmp_path / "film.ts").write_bytes(TIMES["restarts.ts"]())
    frames = read(tmp_path / "film.ts", fps=5)[1]
    assert len(frames) == COUNT // 2
    given = [packet for frame in frames for packet in frame.packets]
    assert np.diff([packet.timestamp_ns for packet in given]).min() > 0
    assert [frame.packets[-1].timestamp_ns for frame in frames] == [
        frame.timestamp_ns for frame in frames
    ]


def live(parts: list[tuple[float, list[EncodedPacket]]]) -> Callable[[Callable], object]:
    def send(write: Callable[[bytes], object]) -> None:
        for start_s, stream in parts:
            for n, packet in enumerate(stream):
                write(transport([(start_s + n / 10, [packet])]))
                time.sleep(0.02)

    return send


@pytest.mark.parametrize("fps", [0, 20])
def test_a_live_stream_is_dated_by_arrival_whatever_its_times(fps: int) -> None:
    stream = packets(110)
    parts = [(0.0, stream[:50]), (HOURS_10, stream[50:51]), (5.1, stream[51:])]
    with served(live(parts)) as uri:
        source = open_source(SourceSettings(uri=uri, fps=fps), clip_height_px=720)
        before_ns = time.monotonic_ns()
        info = source.open()
        frames = [frame for _ in range(30 if fps else 75) if (frame := source.read()) is not None]
        lasted_ns = time.monotonic_ns() - before_ns
        source.close()
    assert info.encoded is not None
    assert isinstance(source, Reconnecting)
    assert source.time_jumps == 2
    times = [packet.timestamp_ns for frame in frames for packet in frame.packets]
    assert np.diff(times).min() >= 0
    assert frames[-1].timestamp_ns - frames[0].timestamp_ns <= lasted_ns
    assert [frame.packets[-1].timestamp_ns for frame in frames] == [
        frame.timestamp_ns for frame in frames
    ]
