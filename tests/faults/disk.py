"""A disk of a few megabytes that can be filled or made read-only; needs root."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE_MB = 16
PATIENCE_S = 30


class Disk:
    """A tmpfs under `folder`/captures."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "captures"
        self._path.mkdir(exist_ok=True)

    def mount(self) -> bool:
        """False where that isn't permitted."""
        return _did("mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(self._path))

    def unmount(self) -> None:
        """Also while files are open there."""
        _did("umount", "-l", str(self._path))

    @contextmanager
    def failing(self, fault: str) -> Iterator[None]:
        """disk-full, or disk-read-only."""
        filler = self._path / "filler"
        if fault == "disk-full":
            with suppress(OSError), filler.open("wb") as stream:
                while stream.write(bytes(65536)):
                    stream.flush()
        else:
            self._make_read_only()
        try:
            yield
        finally:
            if fault == "disk-full":
                filler.unlink(missing_ok=True)
            else:
                _did("mount", "-o", "remount,rw", str(self._path))

    def _make_read_only(self) -> None:
        """When no clip is open there: until then it is refused."""
        for _ in range(PATIENCE_S * 20):
            if _did("mount", "-o", "remount,ro", str(self._path)):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self._path} can't be made read-only: a file is always open there")


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk | None]:
    """None where it can't be mounted."""
    disk = Disk(folder)
    if not disk.mount():
        yield None
        return
    try:
        yield disk
    finally:
        disk.unmount()


def _did(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
