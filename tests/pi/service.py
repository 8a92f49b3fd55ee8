"""`python -m tests.pi.service [real]`: `edge run --source picamera2:0` as users run it.

real: the virtual camera plays footage of people, so that some must be detected.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2

from edge.capture.sidecar import read_sidecar
from edge.client import Control, Subscriber
from edge.messages import Capture
from tests.pi.check import memory_kb, proved

FPS = 10
LIMIT_S = 90
PRE_ROLL_S = 2
# Prints the growth in MB of a process that opens the virtual camera and takes a frame.
CAMERA_ALONE = """
import edge.daemon.assemble
from tests.pi.check import fit, memory_kb, opened, take
fit()
before = memory_kb()
with opened() as (source, _):
    take(source)
    print((memory_kb() - before) / 1024)
"""


def main(real: bool) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        endpoint = f"ipc://{folder}/bus"
        process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.pi.edge", "run", "--source", "picamera2:0",
                "--set", f"source.fps={FPS}", "--set", f"capture.pre_roll_s={PRE_ROLL_S}",
                "--set", "capture.post_roll_s=2", "--set", "health.interval_s=2",
                "--capture-dir", str(folder / "captures"), "--endpoint", endpoint,
            ],
            env=os.environ | {"EDGE_TEST_FPS": str(FPS)},
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            messages = watch(endpoint, real)
            memory = {key: memory_kb(key, process.pid) / 1024 for key in ("VmRSS", "VmHWM")}
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        report(messages, memory, real)


def watch(endpoint: str, real: bool) -> dict[str, list[Any]]:
    """All messages by type, until there is a still and a clip with pre-roll, for 20 s at least.

    The first clip may have no pre-roll: people walk in the footage when the camera starts.
    """
    messages: dict[str, list[Any]] = {}
    started_s = time.monotonic()
    with Subscriber(endpoint) as subscriber, Control(f"{endpoint}-control") as control:
        while time.monotonic() < started_s + LIMIT_S:
            event = subscriber.receive(1)
            if event is not None:
                messages.setdefault(event.topic.partition(".")[0], []).append(event.message)
            elapsed_s = time.monotonic() - started_s
            if not real and elapsed_s > 8 and "asked" not in messages:
                messages["asked"] = [control.capture("still", "clip")]
            captures = messages.get("capture", [])
            stills = [message for message in captures if message.capture == "still"]
            if stills and any(map(has_pre_roll, captures)) and elapsed_s > 20:
                return messages
    raise AssertionError(f"no still and clip with pre-roll within {LIMIT_S} s: {messages}")


def report(messages: dict[str, list[Any]], memory: dict[str, float], real: bool) -> None:
    health = messages["health"][-1]
    assert health.state == "running", health
    assert 0.3 * FPS < health.fps < 1.2 * FPS, health
    proved(f"`edge run --source picamera2:0`: {health.fps:.1f} frames/s analysed of {FPS} exposed")
    if real:
        people = [
            detection.score
            for message in messages["detection"]
            for detection in message.detections
            if detection.label == "person"
        ]
        assert len(people) > 20
        latencies = sorted(message.latency_ms for message in messages["trigger"])
        proved(
            f"people in real footage: {len(people)} detections (scores up to {max(people):.2f}), "
            f"{len(latencies)} triggers, {latencies[0]:.0f} to {latencies[-1]:.0f} ms late"
        )
    still = next(message for message in messages["capture"] if message.capture == "still")
    assert cv2.imread(still.path).shape == (720, 1280, 3)
    proved("its still has the main stream's size, 1280x720")
    clips = [message for message in messages["capture"] if message.capture == "clip"]
    for clip in clips:
        with av.open(clip.path) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert 0.5 * FPS * clip.duration_s < frames < 1.2 * FPS * clip.duration_s + 1
    before_s = max(pre_roll_s(Path(clip.sidecar)) for clip in clips)
    rate = clip.size_bytes * 8e-6 / clip.duration_s
    proved(
        f"its clips play ({frames} frames, {clip.duration_s:.1f} s, {rate:.1f} Mbit/s); "
        f"{before_s:.1f} s of pre-roll"
    )
    footage_mb = float(subprocess.check_output([sys.executable, "-c", CAMERA_ALONE]))
    proved(
        f"memory: {memory['VmRSS']:.0f} MB resident, {memory['VmHWM']:.0f} at most; "
        f"{footage_mb:.0f} MB of it are the virtual camera with its footage"
    )
    assert memory["VmHWM"] - footage_mb < 400  # the limit of the service's unit
    print(f"        (dropped: {health.dropped})")


def has_pre_roll(capture: Capture) -> bool:
    """Whether it is a clip that begins as long before its event as is configured."""
    return capture.capture == "clip" and pre_roll_s(Path(capture.sidecar)) > PRE_ROLL_S - 0.3


def pre_roll_s(path: Path) -> float:
    """Seconds from the beginning of a clip to its first event."""
    sidecar = read_sidecar(path)
    assert sidecar is not None
    clip = next(file for file in sidecar.files if file.kind == "clip")
    event, begin = (datetime.fromisoformat(text) for text in (sidecar.events[0].time, clip.time))
    return (event - begin).total_seconds()


if __name__ == "__main__":
    main("real" in sys.argv[1:])
