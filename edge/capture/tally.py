"""The table of triggers, crossings and stays: one CSV file for each camera and day.

`<directory>/<camera>/counts/<date>.csv`, with dates and times in local time. Track ids begin with
the id of the daemon's run, so that they stay unique over restarts.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from edge.capture.disk import capturing
from edge.capture.naming import DATE_FOLDER, is_date, local_time, sanitized
from edge.capture.stored.tree import folders, names_in
from edge.errors import CaptureError
from edge.runtime.files import make_folder, open_regular, read_regular
from edge.runtime.machine import free_bytes

FOLDER: Final = "counts"
SUFFIX: Final = ".csv"
# A row has about 100 bytes: a street with a crossing each second fills a file on one day.
MAX_FILE_BYTES: Final = 8 << 20
MAX_FILES: Final = 1000  # nearly three years; the oldest go first

Kind = Literal["trigger", "crossing", "stay"]
_ROW_START: Final = re.compile(r"^(?=[0-9]{4}-[0-9]{2}-[0-9]{2}T)", re.MULTILINE)


class TallyRow(NamedTuple):
    """time: ISO 8601 in local time with zone; of a stay, its end. name: of the rule, line or zone.

    direction: in or out, of a crossing. duration_s: of a stay.
    """

    time: str
    kind: Kind
    name: str
    direction: str = ""
    label: str = ""
    group: str = ""
    track: str = ""
    duration_s: str = ""

    @property
    def local_time(self) -> datetime | None:
        """The time with its zone; None of a damaged row."""
        try:
            time = datetime.fromisoformat(self.time)
        except ValueError:
            return None
        return time if time.tzinfo else None

    @property
    def stay_s(self) -> float | None:
        """The time of a stay; None of other rows and of a damaged one."""
        try:
            seconds = float(self.duration_s)
        except ValueError:
            return None
        return seconds if self.kind == "stay" and 0 <= seconds < math.inf else None


def tally_folder(root: Path, camera: str) -> Path:
    return root / sanitized(camera) / FOLDER


def tally_files(root: Path) -> Iterator[Path]:
    """Each day's table of all cameras; none if there is no folder. No link is followed."""
    try:
        cameras = folders(root)
    except OSError:
        return
    for camera in cameras:
        folder = camera / FOLDER
        for name in names_in(folder):
            path = folder / name
            if path.suffix == SUFFIX and is_date(path.stem):
                yield path


def read_tally(path: Path) -> Iterator[TallyRow]:
    """The rows of one file. Damaged ones, as a power cut leaves them, are skipped.

    Each row is read by itself, so that an open quote does not hide those after it. Raises OSError,
    also for a file that is larger than any that is written.
    """
    text = read_regular(path, MAX_FILE_BYTES).decode(errors="replace")
    for part in _ROW_START.split(text):
        with suppress(csv.Error):
            cells = next(csv.reader(io.StringIO(part, newline="")), [])
            if len(cells) == len(TallyRow._fields) and cells[1] in get_args(Kind):
                yield TallyRow(*cells)  # type: ignore[arg-type]


class TallyFile:
    """Appends rows. Belongs to the writing thread of the recorder."""

    def __init__(self, root: Path, min_free_bytes: int) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes

    def append(self, camera: str, wall_ns: int, row: TallyRow) -> None:
        """Adds a row to the file of a day. Raises CaptureError if it can't be written."""
        folder = tally_folder(self._root, camera)
        path = folder / f"{local_time(wall_ns):%Y-%m-%d}{SUFFIX}"
        with capturing(path):
            make_folder(folder)
            descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                self._append(descriptor, path, row)
            finally:
                os.close(descriptor)

    def _append(self, descriptor: int, path: Path, row: TallyRow) -> None:
        size = os.fstat(descriptor).st_size
        if not size:
            self._remove_oldest(path.parent)
        text = io.StringIO(newline="")
        csv.writer(text).writerows([TallyRow._fields, row] if not size else [row])
        data = text.getvalue().encode()
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data  # a power cut has left half a row
        if size + len(data) > MAX_FILE_BYTES:
            raise CaptureError(f"{path} is full; rows of this day are no longer added")
        free = free_bytes(path.parent)
        if free is not None and free < self._min_free_bytes:
            raise CaptureError(
                f"{path} was not written, as less than capture.min_free_bytes is free"
            )
        os.write(descriptor, data)

    @staticmethod
    def _remove_oldest(folder: Path) -> None:
        files = sorted(path for path in folder.iterdir() if DATE_FOLDER.fullmatch(path.stem))
        for path in files[:-MAX_FILES]:
            path.unlink(missing_ok=True)
