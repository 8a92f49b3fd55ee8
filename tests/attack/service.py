"""Attacks on a running daemon: messages, connections, clocks, limits and reloads."""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from edge.messages import AnyCommand, CaptureCommand, PauseCommand, SnapshotCommand, encode_command
from tests.attack.daemon import Daemon
from tests.attack.kinds import AbsentError, Attempts, Kind
from tests.attack.mutate import mutated_text

CONNECTIONS = 1100  # more than the 1,024 files that a process may open by default
OPEN_FILES = 1024
DAY_S = 86_400
CLOCK_JUMPS_S = (-50 * 365 * DAY_S, 400 * DAY_S, -DAY_S, DAY_S, 40 * DAY_S, -3600)
MAX_GROWTH_BYTES = 10_000_000
MIN_RELOADS = 100  # of fewer, the growth says nothing


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Daemon]:
    daemon = Daemon(folder, **options)
    try:
        yield daemon.started()
    finally:
        daemon.close()


def _after(daemon: Daemon) -> str | None:
    """What is wrong with the daemon; None if it works."""
    if (code := daemon.process.poll()) is not None:
        return f"the daemon ended with {code}: {daemon.log()[-500:]}"
    return None if daemon.works() else "the daemon no longer analyses frames"


def control_messages(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Damaged commands from a client that has a key."""
    commands: list[AnyCommand] = [
        CaptureCommand(captures=("still", "clip")),
        PauseCommand(duration_s=0.001),
        SnapshotCommand(max_width_px=64),
    ]
    with running(folder) as daemon, zmq.Context() as context:
        for _ in range(count):
            daemon.revive()
            body = mutated_text(encode_command(rng.choice(commands)), rng)
            parts = [body] * rng.choice((1, 1, 1, 2, 300))
            with context.socket(zmq.DEALER) as dealer:
                dealer.set(zmq.LINGER, 200)
                daemon.protect(dealer)
                dealer.send_multipart([b"", *parts] if rng.random() < 0.8 else parts)
                dealer.poll(200)
            yield None if daemon.process.poll() is None else _after(daemon)
        if fault := _after(daemon):
            yield fault


def connection_floods(folder: Path, rng: random.Random, count: int) -> Attempts:
    """More connections than a process may have files, silent or with random bytes."""
    _allow_files(4096)
    with running(folder, open_files=OPEN_FILES) as daemon:
        for _ in range(count):
            daemon.revive()
            noise = rng.choice((b"", b"GET / HTTP/1.0\r\n\r\n", rng.randbytes(64)))
            with contextlib.ExitStack() as connections:
                for _ in range(CONNECTIONS):
                    _connect(connections, daemon.port, noise)
                time.sleep(1)
                captures = daemon.captured()
                during = daemon.process.poll() is None and _grows(daemon, captures)
            fault = None if during else "no capture came during the flood"
            yield _after(daemon) or fault


def _connect(connections: contextlib.ExitStack, port: int, noise: bytes) -> None:
    with contextlib.suppress(OSError):
        connection = connections.enter_context(socket.socket())
        connection.settimeout(0.2)
        connection.connect(("127.0.0.1", port))
        connection.sendall(noise)


def _grows(daemon: Daemon, before: set[Path], timeout_s: float = 15.0) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if daemon.captured() - before:
            return True
        time.sleep(0.2)
    return False


def _allow_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise AbsentError(f"this process may open only {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def clock_jumps(folder: Path, rng: random.Random, count: int) -> Attempts:
    """The wall clock jumps, also over a restart: no capture may be deleted for its age."""
    library, offset = folder / "clock.so", folder / "offset"
    source = Path(__file__).with_name("clock.c")
    if (compiler := shutil.which("gcc") or shutil.which("cc")) is None:
        raise AbsentError("there is no C compiler")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True
    )
    offset.write_text("0")
    environment = {"LD_PRELOAD": str(library), "EDGE_ATTACK_CLOCK": str(offset)}
    with running(folder, environment=environment) as daemon:
        for number in range(count):
            daemon.revive()
            before = daemon.captured()
            offset.write_text(str(CLOCK_JUMPS_S[number % len(CLOCK_JUMPS_S)]))
            if rng.random() < 0.5:
                daemon.restart()
            came = _grows(daemon, before, 40.0)
            lost = before - daemon.captured()
            fault = _after(daemon) or (None if came else "no capture came after the jump")
            yield f"{len(lost)} captures were deleted" if lost else fault
            offset.write_text("0")


def file_limits(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Writes that fail, and files that can't be opened, while the daemon runs."""
    with running(folder) as daemon:
        for _ in range(count):
            daemon.revive()
            kind, value = rng.choice(((resource.RLIMIT_FSIZE, rng.randint(0, 20_000)),
                                      (resource.RLIMIT_NOFILE, rng.randint(8, 24))))  # fmt: skip
            # With fewer files than descriptors to wait for, poll(2) itself fails.
            pid = daemon.process.pid
            _, hard = resource.prlimit(pid, kind)
            before = resource.prlimit(pid, kind, (value, hard))
            time.sleep(2)
            ended = daemon.process.poll()
            if ended is None:
                resource.prlimit(pid, kind, before)
            captures = daemon.captured()
            fault = _after(daemon)
            yield fault or (None if _grows(daemon, captures) else "captures did not resume")


def reloads(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Reloads of a changed configuration: each is applied, and memory does not grow."""
    with running(folder) as daemon:
        text = daemon.config.read_text()
        settled = 0
        for number in range(count):
            if number == count // 5:  # pools and arenas have reached their size
                settled = daemon.rss_bytes()
            changed = text.replace("cooldown_s = 0.5", f"cooldown_s = 0.5{number:03}")
            if rng.random() < 0.1:
                changed = changed.replace("fps=10", f"fps={rng.randint(8, 12)}")
            daemon.config.write_text(changed)
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            ended = daemon.process.poll()
            yield None if ended is None else f"the daemon ended with {ended}"
        growth = daemon.rss_bytes() - settled
        grew = count >= MIN_RELOADS and growth > MAX_GROWTH_BYTES
        too_large = f"memory grew by {growth / 1e6:.1f} MB" if grew else None
        yield _after(daemon) or too_large


KINDS = [
    Kind("damaged commands", 300, control_messages),
    Kind("floods of connections", 3, connection_floods),
    Kind("jumps of the wall clock", 6, clock_jumps),
    Kind("limits of files", 6, file_limits),
    Kind("reloads", 500, reloads),
]
