"""A disk of a few megabytes that can be filled or made read-only; needs root."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE_MB = 16
PATIENCE_S = 30  # for a moment in which no file is open


class Disk:
    """A tmpfs under `folder`/captures. limits: options of its mount."""

    def __init__(self, folder: Path, limits: str = f"size={SIZE_MB}m") -> None:
        self._path = folder / "captures"
        self._limits = limits
        self._path.mkdir(exist_ok=True)

    def mount(self) -> bool:
        """Whether it was mounted, which needs root."""
        return _succeeds("mount", "-t", "tmpfs", "-o", self._limits, "tmpfs", str(self._path))

    def unmount(self) -> None:
        """Unmounts even while files are open there."""
        _succeeds("umount", "-l", str(self._path))

    @contextmanager
    def failing(self, fault: str) -> Iterator[None]:
        """Applies `disk-full` or `disk-read-only` until the end of the `with` block."""
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
                self.make_writable()

    def make_writable(self) -> None:
        """Ends `disk-read-only`."""
        _succeeds("mount", "-o", "remount,rw", str(self._path))

    def _make_read_only(self) -> None:
        """Repeats until no file is open there; until then the kernel refuses."""
        for _ in range(PATIENCE_S * 20):
            if _succeeds("mount", "-o", "remount,ro", str(self._path)):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self._path} can't be made read-only: a file is always open there")


@contextmanager
def small_disk(folder: Path, limits: str = f"size={SIZE_MB}m") -> Iterator[Disk | None]:
    """A mounted disk; None where mounting is not permitted. limits: options of its mount."""
    disk = Disk(folder, limits)
    if not disk.mount():
        yield None
        return
    try:
        yield disk
    finally:
        disk.unmount()


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
