"""How this package writes a file: whole or not at all, and with one sentence if it fails."""

from __future__ import annotations

from pathlib import Path

from edge.errors import PermanentError
from edge.runtime.files import PartFile, make_folder


def write_file(path: Path, data: bytes) -> None:
    """Replaces the file at `path`, creating its folder. Raises PermanentError that names it."""
    try:
        make_folder(path.absolute().parent)
        part = PartFile(path)
        try:
            part.write(data)
            part.publish(replace=True)
        except OSError:
            part.discard()
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PermanentError(f"{path} could not be written: {reason}") from error
