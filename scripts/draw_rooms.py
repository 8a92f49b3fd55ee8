"""Draws the rooms of `edge` and their imports, as read from the source, into an SVG.

A room is a folder or module directly in `edge`. Its column is the length of the longest chain of
imports that leads from it to a room without imports, so that every arrow points to the left. An
arrow that follows from others (a -> c, where a -> b and b -> c) is left out.
"""

from __future__ import annotations

import itertools
import textwrap
from dataclasses import dataclass, field
from functools import cache
from html import escape

from scripts.imports import EDGE, modules, rooms, rooms_of

# All in pixels. The width of the letters is an estimate for any sans-serif font.
BOX_WIDTH, COLUMN_GAP, ROW_GAP, MARGIN = 144, 56, 16, 16
TITLE_HEIGHT, LINE_HEIGHT, PADDING = 26, 15, 10
LETTERS_A_LINE = 21
COLOURS = ("#eef3fb", "#e4eefb", "#d9ecf2", "#d8f0e4", "#e6f3d6", "#f7f2d0", "#fbe8d0", "#fbe0dc")


@dataclass(slots=True, eq=False)
class Box:
    """A room in the drawing, or the place where an arrow crosses a column (with an empty name).

    left: boxes in the column to the left that it is joined to. x, y: its upper left corner.
    """

    room: str
    lines: list[str]
    column: int
    left: list[Box] = field(default_factory=list)
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        if not self.room:
            return LINE_HEIGHT
        return TITLE_HEIGHT + LINE_HEIGHT * len(self.lines) + (PADDING if self.lines else 4)

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


def drawing() -> str:
    """The drawing as an SVG document."""
    boxes = {room: Box(room, _contents(room), _column(room)) for room in rooms()}
    crossings = [
        crossing
        for room, box in boxes.items()
        for other in sorted(_direct(room))
        for crossing in _join(box, boxes[other])
    ]
    columns = _ordered([*boxes.values(), *crossings])
    height = _place(columns)
    width = 2 * MARGIN + len(columns) * BOX_WIDTH + (len(columns) - 1) * COLUMN_GAP
    every = [box for column in columns for box in column]
    body = [_arrow(box, other) for box in every for other in box.left]
    body += [_box(box) for box in every if box.room]
    return _HEAD.format(width=width, height=height) + "\n".join(body) + "\n</svg>\n"


@cache
def _column(room: str) -> int:
    return 1 + max((_column(other) for other in rooms_of(room)), default=-1)


@cache
def _reached(room: str) -> frozenset[str]:
    """All rooms that a room imports, directly or through others."""
    direct = rooms_of(room)
    return frozenset(direct).union(*(_reached(other) for other in direct))


def _direct(room: str) -> set[str]:
    """The imports that do not follow from other imports."""
    others = rooms_of(room)
    return {other for other in others if not any(other in _reached(near) for near in others)}


def _contents(room: str) -> list[str]:
    """Names of a room's modules and folders, wrapped to the width of a box."""
    folder = EDGE / room
    if not folder.is_dir():
        return []
    files = (path.relative_to(folder).parts[0] for path in modules(room))
    names = sorted({name.removesuffix(".py") for name in files} - {"__init__"})
    return textwrap.wrap(", ".join(names), LETTERS_A_LINE, break_long_words=False)


def _join(box: Box, other: Box) -> list[Box]:
    """Joins a box to one further left; returns the crossings of the columns between them."""
    crossings = [Box("", [], column) for column in range(box.column - 1, other.column, -1)]
    for right, left in itertools.pairwise([box, *crossings, other]):
        right.left.append(left)
    return crossings


def _ordered(boxes: list[Box]) -> list[list[Box]]:
    """Columns of boxes, each box near the mean height of those that it is joined to."""
    columns: list[list[Box]] = [[] for _ in range(1 + max(box.column for box in boxes))]
    for box in boxes:
        columns[box.column].append(box)
    heights: dict[Box, float] = {}
    for column in columns:
        wanted = {
            box: sum(heights[other] for other in box.left) / max(1, len(box.left)) for box in column
        }
        column.sort(key=lambda box: (wanted[box], box.room))
        for row, box in enumerate(column):
            heights[box] = (row + 0.5) / len(column)
    return columns


def _place(columns: list[list[Box]]) -> int:
    """Sets the corners of all boxes, with the columns centred; returns the drawing's height."""
    heights = [sum(box.height + ROW_GAP for box in column) - ROW_GAP for column in columns]
    height = max(heights) + 2 * MARGIN
    for number, column in enumerate(columns):
        y = (height - heights[number]) // 2
        for box in column:
            box.x, box.y = MARGIN + number * (BOX_WIDTH + COLUMN_GAP), y
            y += box.height + ROW_GAP
    return height


def _arrow(box: Box, other: Box) -> str:
    """An arrow to a box in the column to the left, or a line through it if it is a crossing."""
    x0, x1 = box.x, other.x + BOX_WIDTH
    bend = COLUMN_GAP // 2
    path = f"M{x0} {box.middle} C{x0 - bend} {box.middle} {x1 + bend} {other.middle}"
    if not other.room:
        return f'<path class="line" d="{path} {x1} {other.middle} H{other.x}"/>'
    return f'<path class="line" marker-end="url(#head)" d="{path} {x1 + 2} {other.middle}"/>'


def _box(box: Box) -> str:
    colour = COLOURS[box.column % len(COLOURS)]
    parts = [
        f'<rect x="{box.x}" y="{box.y}" width="{BOX_WIDTH}" height="{box.height}" rx="6"'
        f' fill="{colour}"/>',
        f'<text class="room" x="{box.x + PADDING}" y="{box.y + 19}">{escape(box.room)}</text>',
    ]
    for number, line in enumerate(box.lines, 1):
        y = box.y + 21 + LINE_HEIGHT * number
        parts.append(f'<text x="{box.x + PADDING}" y="{y}">{escape(line)}</text>')
    return "\n".join(parts)


_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" role="img">
<title>The rooms of edge; an arrow points from a room to one that it imports</title>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#456"/></marker></defs>
<style>
text {{ font: 12px sans-serif; fill: #333 }}
text.room {{ font: bold 15px sans-serif; fill: #000 }}
rect {{ stroke: #456 }}
path.line {{ fill: none; stroke: #456; stroke-width: 1.4 }}
</style>
<rect width="{width}" height="{height}" fill="#fff" style="stroke: none"/>
"""


if __name__ == "__main__":
    print(drawing(), end="")
