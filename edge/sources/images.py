"""Plays a folder of pictures as a source, in the natural order of their names."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.config.schema import SourceSettings
from edge.errors import SourceError
from edge.runtime.times import NS_PER_S
from edge.sources.folder import Listing
from edge.sources.pace import Pace
from edge.sources.stills import (
    SUFFIXES,
    Still,
    StillError,
    decode,
    open_regular,
    read_file,
    size_of,
)
from edge.sources.views import luma_of, luma_size
from edge.vision.types import Frame, SourceInfo

DEFAULT_FPS: Final = 1.0  # a slide show: pictures have no rate of their own
# Headers that are read to find the size of most pictures. A card reader gives some hundred a
# second, so that a folder of any length is open within seconds.
SAMPLE: Final = 1000
SHOWN_REASONS: Final = 8  # in a log line

log = logging.getLogger(__name__)


class ImagesSource:
    """Pictures of one size, that of the majority, upright. Others are skipped and counted.

    Pictures follow one another by one frame period. The wall time of a frame is the date in its
    picture's EXIF; without one, the time of play. skipped: number of pictures since `open`.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._pace = Pace(fast=settings.fast)
        self._root = Path()
        self._paths: list[Path] = []
        self._size = (0, 0)
        self._next = 0  # picture of `_paths`
        self._shown = 0
        self._skips = Skips("")

    @property
    def skipped(self) -> int:
        return self._skips.total

    def open(self) -> SourceInfo:
        """Raises SourceError for a folder without a readable picture."""
        name = self._settings.name
        self._root = Path(self._settings.uri).expanduser().resolve()
        listing = Listing(self._root)
        self._paths = listing.paths
        self._skips = Skips(name)
        self._size = self._majority_size(listing.omitted)
        self._skips.omitted = listing.omitted
        self._next = self._shown = 0
        self._pace.start()
        return SourceInfo(
            name,
            self._size,
            luma_size(*self._size, self._settings.luma_width_px),
            self._settings.fps or DEFAULT_FPS,
            live=False,
            frame_count=len(self._paths),
        )

    def read(self) -> Frame | None:
        """The next picture, when it is due. Raises SourceError if a loop finds none any more."""
        still = self._next_still()
        if still is None:
            return None
        fps = self._settings.fps or DEFAULT_FPS
        timestamp_ns, wall_ns = self._pace.wait(round(self._shown * NS_PER_S / fps))
        luma = luma_of(still.picture, self._settings.luma_width_px)
        index, self._shown = self._shown, self._shown + 1
        taken_ns = wall_ns if still.taken_ns is None else still.taken_ns
        return Frame(index, timestamp_ns, taken_ns, luma, still.picture)

    def close(self) -> None:
        self._pace.stop()
        self._skips.report(len(self._paths))

    def _next_still(self) -> Still | None:
        """Skips what can't be shown; None at the end."""
        shown_before_round = self._shown if self._next == 0 else -1
        while not self._pace.stopped:
            if self._next == len(self._paths):
                self._skips.report(len(self._paths))
                if not self._settings.loop:
                    return None
                if shown_before_round == self._shown:
                    raise SourceError(f"source {self._settings.name}: no picture is left in it")
                self._next, shown_before_round = 0, self._shown
                self._skips.begin_round()
            path = self._paths[self._next]
            self._next += 1
            try:
                still = self._still(path)
                size = still.picture.width, still.picture.height
                if size != self._size:
                    raise StillError(f"of another size ({size[0]}x{size[1]})")
            except StillError as error:
                self._skips.add(path, str(error))
                continue
            return still
        return None

    def _still(self, path: Path) -> Still:
        self._check_inside(path)
        return decode(read_file(path))

    def _check_inside(self, path: Path) -> None:
        """Raises StillError for a link to a file outside the folder."""
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise StillError("outside the folder (a link)")

    def _majority_size(self, omitted: Counter[str]) -> tuple[int, int]:
        """The size that most headers of an even sample give, and that a whole picture has."""
        failures: dict[Path, str] = {}
        every = max(1, -(-len(self._paths) // SAMPLE))
        sample = {path: self._size_in_header(path, failures) for path in self._paths[::every]}
        sizes = Counter(size for size in sample.values() if size is not None)
        groups = [[p for p in sample if sample[p] == size] for size, _ in sizes.most_common()]
        groups.append([path for path in self._paths if path not in sample])
        for group in groups:
            if (found := self._first_size(group, failures)) is not None:
                return found
        reasons = Counter(failures.values()) + omitted
        what = "no picture can be read in this folder" if failures else "no picture in this folder"
        why = f": {counted(reasons)}" if reasons else f"; it reads {', '.join(sorted(SUFFIXES))}"
        raise SourceError(f"source {self._settings.name}: {what}{why}")

    def _size_in_header(self, path: Path, failures: dict[Path, str]) -> tuple[int, int] | None:
        try:
            self._check_inside(path)
            with open_regular(path) as stream:
                return size_of(stream)
        except StillError as error:
            failures[path] = str(error)
            return None

    def _first_size(
        self, paths: Iterable[Path], failures: dict[Path, str]
    ) -> tuple[int, int] | None:
        """The size of the first picture that can be decoded."""
        for path in paths:
            try:
                picture = self._still(path).picture
            except StillError as error:
                failures[path] = str(error)
                continue
            return picture.width, picture.height
        return None


class Skips:
    """Counts the pictures that are not shown; logs the first, and once all of them by reason.

    omitted: entries that the listing left out. total: pictures that were skipped, in all rounds.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._reasons: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self.omitted: Counter[str] = Counter()
        self.total = 0

    def add(self, path: Path, reason: str) -> None:
        """Logs the first."""
        self.total += 1
        self._reasons[reason] += 1
        if self.total == 1:
            log.warning(
                "source %s: %s is skipped, as it is %s; skipped pictures are counted at the end",
                self._name, os.fsencode(path.name).decode("utf-8", "replace"), reason,
            )  # fmt: skip

    def begin_round(self) -> None:
        """A loop starts again."""
        self._reasons = Counter()

    def report(self, count: int) -> None:
        """Logs the reasons, unless they are those of the last report. count: of all pictures."""
        reasons = self._reasons + self.omitted
        if reasons and reasons != self._reported:
            self._reported = reasons
            log.warning(
                "source %s: %d of %d pictures were skipped: %s",
                self._name, self._reasons.total(), count, counted(reasons),
            )  # fmt: skip


def counted(reasons: Counter[str]) -> str:
    """The most frequent reasons, as "2 empty, 1 missing"."""
    shown = [f"{count} {reason}" for reason, count in reasons.most_common(SHOWN_REASONS)]
    rest = reasons.total() - sum(count for _, count in reasons.most_common(SHOWN_REASONS))
    return ", ".join(shown + ([f"{rest} for other reasons"] if rest else []))
