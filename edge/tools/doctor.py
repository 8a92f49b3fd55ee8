"""`edge doctor`: what is wrong on this machine, and how to mend it.

Each check is a small function that returns findings; none raises. Files of the system are read
below `root`, so that a test can stand in for them.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edge.config.schema import Settings
from edge.errors import EdgeError
from edge.runtime.machine import read as read_sensors
from edge.sources import open_source
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.detector.runtime import installed_runtimes

PACKAGES = ("numpy", "opencv-python-headless", "av", "pyzmq", "msgspec")
WARM_C, HOT_C = 75.0, 85.0  # a Pi throttles from 80 on, hard from 85
LEAST_MEMORY_BYTES = 150_000_000
THROTTLED_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "too hot"}
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `mend` is empty where nothing has to be done."""

    name: str
    state: Literal["ok", "warn", "fail", "skip"]
    found: str
    mend: str = ""


def examine(settings: Settings, root: Path = Path("/")) -> list[Finding]:
    """All findings, in the order of the data's way through the daemon."""
    return [
        *_packages(),
        *_model(settings),
        *_source(settings),
        *_captures(settings),
        *_endpoint(settings),
        *_machine(root),
    ]


def _packages() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.machine()}")
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "fail", "not installed", f"pip install {name}")
    runtimes = installed_runtimes()
    if runtimes:
        yield Finding("runtime", "ok", ", ".join(runtimes))
    else:
        yield Finding("runtime", "fail", "none", "pip install ai-edge-litert")


def _model(settings: Settings) -> Iterator[Finding]:
    try:
        detector = Detector(settings.model, find_model(settings.model.file))
    except EdgeError as error:
        yield Finding("model", "fail", str(error), "see edge models list")
        return
    width, height = detector.input_size
    canvas = np.full((height, width, 3), 127, np.uint8)
    detector.detect(canvas)  # the first is slower
    start_ns = time.monotonic_ns()
    detector.detect(canvas)
    taken_ms = (time.monotonic_ns() - start_ns) / 1e6
    yield Finding(
        "model", "ok", f"{detector.name}, {len(detector.labels)} labels, {taken_ms:.0f} ms"
    )


def _source(settings: Settings) -> Iterator[Finding]:
    uri = settings.source.uri
    device = Path(uri.removeprefix("v4l2:"))
    if device.is_char_device() and not os.access(device, os.R_OK | os.W_OK):
        yield Finding("source", "fail", f"{device}: not permitted", "sudo usermod -aG video $USER")
        return
    source = None
    try:
        source = open_source(settings.source, settings.health.stall_s)
        info = source.open()
        size = "x".join(map(str, info.main_size))
        yield Finding("source", "ok", f"{uri}: {size} at {info.fps:g} fps")
    except EdgeError as error:
        yield Finding("source", "fail", str(error), "correct source.uri, or connect the camera")
    finally:
        if source is not None:
            source.close()


def _captures(settings: Settings) -> Iterator[Finding]:
    folder = Path(settings.capture.directory).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("captures", "fail", f"{existing}: not writable", "choose capture.directory")
        return
    free = shutil.disk_usage(existing).free
    state: Literal["ok", "fail"] = "ok" if free > settings.capture.min_free_bytes else "fail"
    mend = "" if state == "ok" else "free some space, or lower capture.min_free_bytes"
    yield Finding("captures", state, f"{folder}: {free / 1e9:.1f} GB free", mend)


def _endpoint(settings: Settings) -> Iterator[Finding]:
    endpoint = settings.bus.endpoint
    if not endpoint.startswith("ipc://"):
        yield Finding("endpoint", "skip", endpoint)
        return
    path = Path(endpoint.removeprefix("ipc://"))
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        yield Finding("endpoint", "fail", f"{path.parent}: not writable", "choose bus.endpoint")
        return
    try:
        with path.with_name(path.name + ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        pass
    except OSError:
        yield Finding("endpoint", "warn", f"{endpoint}: a daemon publishes there")
        return
    yield Finding("endpoint", "ok", f"{endpoint}: free")


def _machine(root: Path) -> Iterator[Finding]:
    yield _temperature(root)
    yield _power(root)
    yield _memory(root)
    if (root / "run/systemd/timesync").is_dir():
        synchronized = (root / "run/systemd/timesync/synchronized").exists()
        found = "synchronized" if synchronized else "not synchronized"
        mend = "" if synchronized else "connect a network once, or fit a real-time clock"
        yield Finding("clock", "ok" if synchronized else "warn", found, mend)
    else:
        yield Finding("clock", "skip", "systemd doesn't keep the time here")


def _temperature(root: Path) -> Finding:
    celsius = read_sensors(root).temperature_c
    if celsius is None:
        return Finding("temperature", "skip", "no sensor")
    state: Literal["ok", "warn", "fail"] = "ok"
    if celsius >= WARM_C:
        state = "fail" if celsius >= HOT_C else "warn"
    mend = "" if state == "ok" else "add a heat sink, shade or air"
    return Finding("temperature", state, f"{celsius:.0f} °C", mend)


def _power(root: Path) -> Finding:
    try:
        flags = int((root / THROTTLED).read_text(), 16)
    except (OSError, ValueError):
        return Finding("power", "skip", "not told here")
    now = [name for bit, name in THROTTLED_NOW.items() if flags >> bit & 1]
    if now:
        return Finding("power", "fail", ", ".join(now), "use the Pi's own power supply, cool it")
    if flags >> 16:
        return Finding("power", "warn", f"was limited since the start ({flags:#x})", "check supply")
    return Finding("power", "ok", "not limited")


def _memory(root: Path) -> Finding:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        available = next(int(li.split()[1]) * 1024 for li in lines if li.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError, IndexError):
        return Finding("memory", "skip", "not told here")
    enough = available > LEAST_MEMORY_BYTES
    mend = "" if enough else "stop other programs: the daemon needs about 200 MB"
    return Finding("memory", "ok" if enough else "warn", f"{available / 1e6:.0f} MB free", mend)
