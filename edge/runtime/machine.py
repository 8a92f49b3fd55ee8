"""Memory and disk, as the machine tells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

THERMAL = "sys/class/thermal"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
FLAGS = {  # present state; the bits from 16 on say what has ever been
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "temperature limit",
}


def rss_bytes(root: Path = Path("/")) -> int:
    """Resident memory of this process; 0 where the system doesn't tell."""
    try:
        pages = (root / "proc/self/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def free_bytes(folder: Path) -> int | None:
    """Left to this user on the disk that a folder is on; None where there is no such folder."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


@dataclass(frozen=True, slots=True)
class Readings:
    """temperature_c: None where there is no sensor. flags: of now; empty where there are none."""

    temperature_c: float | None = None
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        warm = [] if self.temperature_c is None else [f"{self.temperature_c:.0f} °C"]
        return ", ".join([*self.flags, *warm]) or "no reading now, calming down"


def read(root: Path = Path("/")) -> Readings:
    """Of this machine; nothing where it has no such files."""
    return Readings(_temperature_c(root), _flags(root))


def _temperature_c(root: Path) -> float | None:
    """The hottest zone of the CPU or, where none says so, of all."""
    zones = sorted((root / THERMAL).glob("thermal_zone*"))
    of_cpu = [zone for zone in zones if "cpu" in (_text(zone / "type") or "")]
    found = [_text(zone / "temp") for zone in of_cpu or zones]
    return max((int(text) / 1000 for text in found if text and _is_number(text)), default=None)


def _flags(root: Path) -> tuple[str, ...]:
    try:
        bits = int(_text(root / THROTTLED) or "0", 16)
    except ValueError:
        return ()
    return tuple(name for bit, name in FLAGS.items() if bits >> bit & 1)


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):  # a sensor may be there and not answer
        return None


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdecimal()
