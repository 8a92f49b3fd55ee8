"""Readings of the machine: memory, disk, temperature and power.

Each has a value for "unknown", so that its users run on machines without the sensor or the file.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from edge.runtime.files import read_regular

BOARD = "sys/firmware/devicetree/base/model"
THERMAL = "sys/class/thermal"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
MAX_BYTES = 4096  # of a reading: a page, the most that sysfs gives
NUMBER = re.compile(r"-?[0-9]{1,9}")  # thousandths of a degree
HEXADECIMAL = re.compile(r"(0[xX])?[0-9a-fA-F]{1,16}")
FLAGS = {  # by bit; bits 16 to 19 mean that the state occurred since boot
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "temperature limit",
}


def rss_bytes(root: Path = Path("/")) -> int:
    """Resident memory of this process; 0 where the system has no /proc."""
    try:
        pages = int((root / "proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):  # also a process without a free descriptor
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def board(root: Path = Path("/")) -> str:
    """The computer, such as `Raspberry Pi 4 Model B Rev 1.5`; empty if its kernel has no name."""
    return (_text(root / BOARD) or "").rstrip("\0")


def memory_bytes() -> int:
    """Memory of the machine; 0 where the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def free_bytes(folder: Path) -> int | None:
    """Bytes that this user can still write on a folder's disk; None if there is no such folder."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def free_files(folder: Path) -> int | None:
    """Number of files that this user can still make there; None if there is no such folder.

    A file system without such a limit, as btrfs is, gives a very large number.
    """
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_favail if disk.f_files else sys.maxsize


@dataclass(frozen=True, slots=True)
class Readings:
    """temperature_c: None without a sensor. flags: the firmware's present power flags."""

    temperature_c: float | None = None
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        warm = [] if self.temperature_c is None else [f"{self.temperature_c:.0f} °C"]
        return ", ".join([*self.flags, *warm]) or "no reading now; work is restored step by step"


def read(root: Path = Path("/")) -> Readings:
    """The present readings; a machine without these files gives none."""
    return Readings(_temperature_c(root), _flags(root))


def _temperature_c(root: Path) -> float | None:
    """The hottest CPU zone; without a zone of that type, the hottest of all."""
    try:
        zones = sorted((root / THERMAL).glob("thermal_zone*"))
    except OSError:  # no free descriptor, or no permission
        return None
    cpu_zones = [zone for zone in zones if "cpu" in (_text(zone / "type") or "")]
    texts = [_text(zone / "temp") or "" for zone in cpu_zones or zones]
    return max((int(text) / 1000 for text in texts if NUMBER.fullmatch(text)), default=None)


def _flags(root: Path) -> tuple[str, ...]:
    text = _text(root / THROTTLED) or "0"
    bits = int(text, 16) if HEXADECIMAL.fullmatch(text) else 0
    return tuple(name for bit, name in FLAGS.items() if bits >> bit & 1)


def _text(path: Path) -> str | None:
    try:
        return read_regular(path, MAX_BYTES, follow_link=True).decode().strip()
    except (OSError, UnicodeDecodeError):  # a sensor may exist and give no reading
        return None
