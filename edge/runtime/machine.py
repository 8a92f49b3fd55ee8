"""Memory and disk, as the machine tells."""

from __future__ import annotations

import os
from pathlib import Path


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
