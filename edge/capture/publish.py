"""Gives a finished still or clip and its sidecar their names, both or neither."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edge.capture.disk import capturing
from edge.capture.sidecar import Sidecar
from edge.runtime.files import PartFile


def publish(media: PartFile, sidecar: Sidecar, path: Path) -> int:
    """Publishes a written file and its sidecar at `path`; returns the sidecar's size in bytes.

    The sidecar is complete on the disk, under its temporary name, before the file gets its name.
    So a lack of room fails both, and after a loss of power the next scan lets the sidecar follow.
    The folder must still be synced. Raises CaptureError; then neither has its name, unless the disk
    has become read-only in between.
    """
    data = sidecar.encode()
    with capturing(path):
        written = PartFile(path)
    try:
        with capturing(path):
            written.write(data)
            written.sync()
        with capturing(media.final):
            media.sync()
            media.rename()
    except BaseException:
        with suppress(OSError):
            written.discard()
        raise
    with capturing(path):
        _follow(media, written)
    return len(data)


def _follow(media: PartFile, written: PartFile) -> None:
    """Renames the sidecar, or takes the name of the file back. Raises OSError."""
    try:
        written.rename(replace=True)
    except BaseException:
        with suppress(OSError):
            media.final.unlink()
        if media.final.exists():  # the next scan lets the sidecar follow
            written.close()
        else:
            with suppress(OSError):
                written.discard()
        raise
