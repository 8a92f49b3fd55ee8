"""Writes a file and creates its folder, completely or not at all."""

from __future__ import annotations

from pathlib import Path

from edge.runtime.files import file_errors, make_folder, write_atomic


def write_file(path: Path, data: bytes) -> None:
    """Replaces the file at `path`, creating its folder. Raises FileError that names it."""
    with file_errors(path):
        make_folder(path.absolute().parent)
        write_atomic(path, data)
