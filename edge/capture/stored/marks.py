"""Marks that people give to captures: false alarms, for training and exports, and stars, to keep.

A mark is an empty file `<stem>.false-alarm` or `<stem>.star` beside the sidecar, which belongs to
the daemon: that may write it again while a clip goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from edge.capture.naming import SIDECAR_SUFFIX
from edge.capture.stored.tree import opened
from edge.runtime.files import is_regular

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

T = TypeVar("T")


class Mark(Enum):
    """The marks by the suffix of their file."""

    FALSE_ALARM = ".false-alarm"
    STAR = ".star"

    def path(self, sidecar: Path) -> Path:
        """The path of the mark of this capture."""
        return sidecar.with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX) + self.value)

    def is_on(self, sidecar: Path) -> bool:
        """Whether the capture has the mark."""
        return is_regular(self.path(sidecar))

    def set(self, root: Path, sidecar: Path, *, on: bool) -> None:
        """Marks a capture, or removes its mark.

        Raises FileNotFoundError for a capture that is gone, OSError if it can't be marked.
        """
        with opened(root, sidecar.parent) as folder:
            name = self.path(sidecar).name
            if on:
                os.close(os.open(name, _CREATE, 0o640, dir_fd=folder))
            if not (on and is_regular(sidecar)):  # retention may delete it at any moment
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
        if not is_regular(sidecar):
            raise FileNotFoundError(f"{sidecar} is gone")


def starred_last(captures: Iterable[tuple[Path, T]]) -> Iterator[tuple[Path, T]]:
    """The same captures, by path of the sidecar; those with a star come last."""
    starred = []
    for item in captures:
        if Mark.STAR.is_on(item[0]):
            starred.append(item)
        else:
            yield item
    yield from starred
