"""Marks captures that show nothing, so that training and exports know.

The mark is an empty file `<stem>.false-alarm` beside the sidecar, which belongs to the daemon: that
may write it again while a clip goes on.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.capture.naming import SIDECAR_SUFFIX
from edge.capture.tree import opened
from edge.runtime.files import is_regular

FALSE_ALARM_SUFFIX: Final = ".false-alarm"
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def false_alarm_of(sidecar: Path) -> Path:
    """The path of the mark of this capture."""
    return sidecar.with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX) + FALSE_ALARM_SUFFIX)


def is_false_alarm(sidecar: Path) -> bool:
    """Whether the capture has a mark."""
    return is_regular(false_alarm_of(sidecar))


def set_false_alarm(root: Path, sidecar: Path, *, on: bool) -> None:
    """Marks a capture, or removes its mark.

    Raises FileNotFoundError for a capture that is gone, OSError if it can't be marked.
    """
    with opened(root, sidecar.parent) as folder:
        name = false_alarm_of(sidecar).name
        if on:
            os.close(os.open(name, _CREATE, 0o640, dir_fd=folder))
        if not (on and is_regular(sidecar)):  # retention may delete it at any moment
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
    if not is_regular(sidecar):
        raise FileNotFoundError(f"{sidecar} is gone")
