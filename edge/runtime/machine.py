"""Readings of the machine: memory, disk, temperature and power.

Each has a value for "unknown", so that its users run on machines without the sensor or the file.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

THERMAL = "sys/class/thermal"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
FLAGS = {  # by bit; bits 16 to 19 mean that the state occurred since boot
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "temperature limit",
}


def rss_bytes(root: Path = Path("/")) -> int:
    """Resident memory of this process; 0 where the system has no /proc."""
    try:
        pages = (root / "proc/self/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


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
    zones = sorted((root / THERMAL).glob("thermal_zone*"))
    cpu_zones = [zone for zone in zones if "cpu" in (_text(zone / "type") or "")]
    texts = [_text(zone / "temp") for zone in cpu_zones or zones]
    return max((int(text) / 1000 for text in texts if text and _is_number(text)), default=None)


def _flags(root: Path) -> tuple[str, ...]:
    try:
        bits = int(_text(root / THROTTLED) or "0", 16)
    except ValueError:
        return ()
    return tuple(name for bit, name in FLAGS.items() if bits >> bit & 1)


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):  # a sensor may exist and give no reading
        return None


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdecimal()
