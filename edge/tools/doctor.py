"""`edge doctor`: checks this machine and reports how to fix each fault.

Each check is a small function that yields findings and never raises. System files are read under
`root`, so that a test can supply other ones.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edge.bus.presence import listens
from edge.config.schema import Settings
from edge.errors import BusError, EdgeError
from edge.runtime import machine
from edge.runtime.files import open_regular
from edge.runtime.permission import cure, owner
from edge.runtime.times import NS_PER_MS
from edge.sources import open_source
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.detector.runtime import installed_runtimes

PACKAGES = ("numpy", "opencv-python-headless", "av", "pyzmq", "msgspec")
# A Pi's firmware slows the CPU from 80 °C and also the GPU at 85 °C ("Frequency management and
# thermal control" in Raspberry Pi's documentation). The warning comes 5 °C before the first.
WARM_C, HOT_C = 75.0, 85.0
MIN_MEMORY_BYTES = 150_000_000  # `edge run` holds 147 MB at most on PETS (docs/BENCHMARKS.md)
EVER_BITS = 16  # get_throttled: the bits from here on repeat the flags, for the time since boot

State = Literal["ok", "warn", "fail", "skip"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the report. found: the result. fix: advice; empty where none is needed."""

    name: str
    state: State
    found: str
    fix: str = ""


def examine(
    settings: Settings, root: Path = Path("/"), *, file: Path | None = Path("edge.toml")
) -> list[Finding]:
    """All findings, in the order in which data flows through the daemon.

    file: the configuration. Without one, what would be set in it is not examined.
    """
    if file is None:
        fix = "create one with `edge init`, or name it: edge doctor -c FILE"
        missing = Finding("configuration", "skip", "none found; checking the machine only", fix)
        return [*_packages(), missing, *_model(settings), *_machine(root)]
    return [
        *_packages(),
        Finding("configuration", "ok", str(file)),
        *_model(settings),
        *_source(settings),
        *captures(settings),
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
        yield Finding("runtime", "fail", "not installed", "pip install ai-edge-litert")


def _model(settings: Settings) -> Iterator[Finding]:
    try:
        detector = Detector(settings.model, find_model(settings.model.file))
    except EdgeError as error:
        yield Finding("model", "fail", str(error), "choose a model from `edge models list`")
        return
    width, height = detector.input_size
    canvas = np.full((height, width, 3), 127, np.uint8)
    detector.detect(canvas)  # the first invocation is slower
    start_ns = time.monotonic_ns()
    detector.detect(canvas)
    taken_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
    yield Finding(
        "model", "ok", f"{detector.name}, {len(detector.labels)} labels, {taken_ms:.0f} ms"
    )
    for warning in detector.warnings:
        yield Finding("labels", "warn", warning, f"edge models info {settings.model.file}")


def _source(settings: Settings) -> Iterator[Finding]:
    device = Path(settings.source.uri.removeprefix("v4l2:"))
    if device.is_char_device() and not os.access(device, os.R_OK | os.W_OK):
        yield Finding("source", "fail", f"{device}: permission denied", cure(device))
        return
    source = None
    try:
        source = open_source(settings.source, settings.health.stall_s, masks=settings.privacy.masks)
        info = source.open()
        size = "x".join(map(str, info.main_size))
        yield Finding("source", "ok", f"{info.name}: {size} at {info.fps:g} fps")
    except EdgeError as error:
        if _running(settings) is not None:
            yield Finding("source", "skip", "in use by the running daemon")
            return
        yield Finding("source", "fail", str(error), "correct source.uri or connect the camera")
    finally:
        if source is not None:
            source.close()


def captures(settings: Settings) -> Iterator[Finding]:
    """Whether this user can write to the folder of captures, and whether it has space."""
    folder = Path(settings.capture.directory).absolute()
    # os.path, as Path.exists raises an error below a folder that may not be entered.
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110
    if existing.stat().st_uid not in (0, os.geteuid()) and not os.access(existing, os.W_OK):
        found = f"{existing}: belongs to the user {owner(existing)}"
        yield Finding("captures", "skip", found, "check it with: sudo edge doctor")
        return
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        fix = "set capture.directory to a folder in which you can write"
        yield Finding("captures", "fail", f"{existing}: not writable", fix)
        return
    free = machine.free_bytes(existing)
    if free is None:
        fix = "check the disk, or change capture.directory"
        yield Finding("captures", "fail", f"{existing}: its disk does not respond", fix)
        return
    enough = free > settings.capture.min_free_bytes
    fix = "" if enough else "free some space or lower capture.min_free_bytes"
    yield Finding("captures", _ok_or("fail", enough), f"{folder}: {free / 1e9:.1f} GB free", fix)


def _endpoint(settings: Settings) -> Iterator[Finding]:
    endpoint = settings.bus.endpoint
    if not endpoint.startswith("ipc://"):
        yield Finding("endpoint", "skip", endpoint)
        return
    path = Path(endpoint.removeprefix("ipc://"))
    running = _running(settings)
    if running is not None:
        yield running
        return
    if not os.access(path.parent, os.W_OK | os.X_OK):
        fix = "set bus.endpoint to a path in a folder in which you can write"
        yield Finding("endpoint", "fail", f"{path.parent}: not writable", fix)
        return
    yield Finding("endpoint", "ok", f"{endpoint}: not in use")


def _running(settings: Settings) -> Finding | None:
    """The finding if a daemon uses the endpoint or if this user may not find that out."""
    endpoint = settings.bus.endpoint
    if not endpoint.startswith("ipc://"):
        return None
    path = Path(endpoint.removeprefix("ipc://"))
    try:
        if listens(endpoint):
            return Finding("endpoint", "ok", f"{endpoint}: in use by a running daemon")
        with os.fdopen(open_regular(path.with_name(path.name + ".lock")), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BusError:
        return Finding("endpoint", "fail", f"{endpoint}: permission denied", cure(path))
    except PermissionError:
        return None
    except OSError:
        return Finding("endpoint", "ok", f"{endpoint}: in use by a running daemon")
    return None


def _machine(root: Path) -> Iterator[Finding]:
    yield _temperature(root)
    yield _power(root)
    yield _memory(root)
    yield _clock(root)


def _temperature(root: Path) -> Finding:
    celsius = machine.read(root).temperature_c
    if celsius is None:
        return Finding("temperature", "skip", "no sensor")
    found = f"{celsius:.0f} °C"
    if celsius < WARM_C:
        return Finding("temperature", "ok", found)
    state: State = "fail" if celsius >= HOT_C else "warn"
    return Finding("temperature", state, found, "add a heat sink, shade or ventilation")


def _power(root: Path) -> Finding:
    try:
        bits = int((root / machine.THROTTLED).read_text(), 16)
    except (OSError, ValueError):
        return Finding("power", "skip", "this machine does not report it")
    if flags := machine.read(root).flags:
        fix = "use the Pi's own power supply; add a heat sink or ventilation"
        return Finding("power", "fail", ", ".join(flags), fix)
    if bits >> EVER_BITS:
        found = f"was limited since it was switched on ({bits:#x})"
        return Finding("power", "warn", found, "check the power supply and the cooling")
    return Finding("power", "ok", "not limited")


def _memory(root: Path) -> Finding:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        available = next(int(li.split()[1]) * 1024 for li in lines if li.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError, IndexError):
        return Finding("memory", "skip", "this machine does not report it")
    enough = available > MIN_MEMORY_BYTES
    fix = "" if enough else "stop other programs: the daemon needs about 150 MB"
    return Finding("memory", _ok_or("warn", enough), f"{available / 1e6:.0f} MB free", fix)


def _clock(root: Path) -> Finding:
    folder = root / "run/systemd/timesync"
    if not folder.is_dir():
        return Finding("clock", "skip", "not kept by systemd-timesyncd")
    if (folder / "synchronized").exists():
        return Finding("clock", "ok", "synchronized")
    fix = "connect the machine to a network once, or add a real-time clock"
    return Finding("clock", "warn", "not synchronized", fix)


def _ok_or(otherwise: State, passed: bool) -> State:
    return "ok" if passed else otherwise
