"""Notices frames whose picture has another size than before: a source may change it at any time."""

from __future__ import annotations

from edge.vision.types import Frame, SourceInfo

Size = tuple[int, int]


class SizeWatch:
    """Compares each frame with the one before it. The sizes are (width, height), as in SourceInfo.

    main_size, luma_size: of the last frame; at the start, of the open source. before: the size of
    the main picture before the last change.
    """

    def __init__(self, main_size: Size, luma_size: Size) -> None:
        self.main_size = self.before = main_size
        self.luma_size = luma_size

    @staticmethod
    def of(info: SourceInfo) -> SizeWatch:
        return SizeWatch(info.main_size, info.luma_size)

    @staticmethod
    def of_frame(frame: Frame) -> SizeWatch:
        return SizeWatch(*_sizes(frame))

    @property
    def luma_shape(self) -> tuple[int, int]:
        """(height, width), the order of numpy."""
        return self.luma_size[1], self.luma_size[0]

    def changed(self, frame: Frame) -> bool:
        """Whether the frame is the first of another size, with which a new stream begins."""
        main_size, luma_size = _sizes(frame)
        if (main_size, luma_size) == (self.main_size, self.luma_size):
            return False
        self.before, self.main_size, self.luma_size = self.main_size, main_size, luma_size
        return True

    def sentence(self, name: str) -> str:
        """The last change as a line for the log. name: of the source."""
        return size_change(name, self.before, self.main_size)


def size_change(name: str, before: Size, now: Size) -> str:
    """A line for the log about the main picture of the source `name`."""
    then, since = ("x".join(map(str, size)) for size in (before, now))
    return f"source {name}: its picture changed from {then} to {since} pixels"


def _sizes(frame: Frame) -> tuple[Size, Size]:
    """Of the main picture and of the luma plane."""
    height, width = frame.luma.shape
    return (frame.main.width, frame.main.height), (width, height)
