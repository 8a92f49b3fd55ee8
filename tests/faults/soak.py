"""`make soak`: many hours of a drawn scene in one, with captures and retention.

The scene is analysed as fast as possible; then memory, open files and every counter are checked.

    python -m tests.faults.soak [--frames 2000000]

Prints a table in Markdown; the exit code is 1 if any row differs from its expectation.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.client import Subscriber
from edge.messages import Capture, Health, Trigger
from tests.faults.host import ROOT

FPS = 25
PRINT_EVERY = 50_000  # frames
MAX_BYTES = 20_000_000
WARM_UP = 0.1  # share of the run in which buffers and pools reach their size
MAX_GROWTH_BYTES = 5_000_000
CONFIG = """
[source]
uri = "synthetic:busy?duration={duration}&width=160&height=120&fps=25&objects=6"
fast = true
luma_width_px = 160
[scheduler]
invocations_per_s = 1
[regions]
pack = false
[capture]
directory = "{folder}/captures"
pre_roll_s = 1
post_roll_s = 1
max_clip_s = 10
max_bytes = {max_bytes}
min_free_bytes = 0
[[triggers]]
name = "person"
labels = ["person"]
cooldown_s = 20
once_per_track = false
[bus]
endpoint = "ipc://{folder}/e.ipc"
high_water_mark = 100000
linger_ms = 10000
[health]
interval_s = 1
"""


@dataclass
class Soak:
    """Records of one run. samples: (frames, resident bytes, open files) of each health message."""

    received: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    missing: int = 0
    last: Health | None = None
    wall_s: float = 0.0
    exit_code: int | None = None
    files: int = 0
    bytes: int = 0


def run(frames: int, folder: Path) -> Soak:
    config = folder / "edge.toml"
    text = CONFIG.format(duration=frames / FPS, folder=folder, max_bytes=MAX_BYTES)
    config.write_text(text)
    soak, start_s = Soak(), time.monotonic()
    with Subscriber(
        f"ipc://{folder}/e.ipc", topics=["trigger.", "capture.", "health."], high_water_mark=100_000
    ) as subscriber:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child", "run", "--config", str(config),
             "--log-format", "json"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("w"), cwd=ROOT,
        )  # fmt: skip
        while soak.last is None or soak.last.state != "stopping":
            event = subscriber.receive(2)
            soak.missing = subscriber.gaps.missing
            if event is not None:
                _note(soak, event.message, process.pid)
            elif process.poll() is not None:
                break
        soak.exit_code = process.wait()
    soak.wall_s = time.monotonic() - start_s
    kept = [path for path in (folder / "captures").rglob("*") if path.is_file()]
    soak.files, soak.bytes = len(kept), sum(path.stat().st_size for path in kept)
    return soak


def _note(soak: Soak, message: object, pid: int) -> None:
    match message:
        case Trigger():
            soak.received["triggers"] += 1
        case Capture(failure=""):
            soak.received["captures"] += 1
        case Health(state="stopping"):
            soak.last = message
        case Health():
            soak.last = message
            open_files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            last_frames = soak.samples[-1][0] if soak.samples else -1
            if message.frames // PRINT_EVERY > last_frames // PRINT_EVERY:
                rss_mb = message.rss_bytes / 1e6
                print(f"{message.frames} frames, {rss_mb:.1f} MB, {open_files} open files",
                      file=sys.stderr, flush=True)  # fmt: skip
            soak.samples.append((message.frames, message.rss_bytes, open_files))


def findings(soak: Soak, frames: int) -> list[tuple[str, str, bool]]:
    """Rows of name, measured value, and whether the value is as expected."""
    assert soak.last is not None, "the daemon published no health message"
    warm = [sample for sample in soak.samples if sample[0] >= WARM_UP * frames]
    tenth = max(1, len(warm) // 10)
    rss = [sample[1] for sample in warm]
    growth = sum(rss[-tenth:]) / tenth - sum(rss[:tenth]) / tenth
    open_files = [sample[2] for sample in warm]
    last, received = soak.last, soak.received
    lost = {name: count for name, count in last.dropped.items() if count}
    return [
        ("frames analysed", f"{last.frames} of {frames}", last.frames == frames),
        ("time", f"{soak.wall_s:.0f} s, {frames / soak.wall_s:.0f} frames/s", True),
        ("invocations", f"{last.invocations}", last.invocations > 0),
        ("triggers, counted and received", f"{last.triggers}, {received['triggers']}",
         last.triggers == received["triggers"] > 0),
        ("captures, counted and received", f"{last.captures}, {received['captures']}",
         last.captures == received["captures"] == 2 * last.triggers),
        ("messages missing", f"{soak.missing}", soak.missing == 0),
        ("dropped", msgspec.json.encode(lost).decode(), not lost),
        ("problems", "; ".join(last.problems) or "none", not last.problems),
        ("resident memory after warm-up, growth",
         f"{rss[0] / 1e6:.1f} MB, {growth / 1e6:+.2f} MB", growth < MAX_GROWTH_BYTES),
        ("open files, least and most", f"{min(open_files)}, {max(open_files)}",
         max(open_files) - min(open_files) <= 4),
        ("captures kept", f"{soak.files} files, {soak.bytes / 1e6:.1f} MB of "
         f"{MAX_BYTES / 1e6:.0f} MB", soak.bytes <= MAX_BYTES),
        ("exit code", f"{soak.exit_code}", soak.exit_code == 0),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-soak-") as folder:
        rows = findings(run(options.frames, Path(folder)), options.frames)
    print("| value | measured | as expected |\n| --- | --- | --- |")
    for name, measured, good in rows:
        print(f"| {name} | {measured} | {'yes' if good else 'NO'} |")
    sys.exit(not all(good for _, _, good in rows))


if __name__ == "__main__":
    main()
