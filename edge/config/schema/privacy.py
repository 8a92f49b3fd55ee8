"""What no picture may show: masked areas, and objects that stills show blurred."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from edge.config.schema.base import MAX_CORNERS, MAX_ROWS, PolygonPoints, Problem, Section, about

Point = tuple[float, float]


class PrivacySettings(Section, frozen=True):
    """Areas that are black in every picture, and objects that are blurred in stills."""

    masks: Annotated[
        tuple[PolygonPoints, ...],
        Meta(max_length=MAX_ROWS),
        about(
            "areas that are painted black before anything else uses the picture",
            title=f"list of polygons of 3 to {MAX_CORNERS} [x, y] with x and y from 0 to 1",
        ),
    ] = ()
    blur: Annotated[
        tuple[str, ...],
        Meta(max_length=1000),
        about("labels, groups or motion to blur in stills and thumbnails, never in clips"),
    ] = ()

    def problems(self) -> Iterator[Problem]:
        for number, mask in enumerate(self.masks):
            if not _has_area(mask):
                yield f"masks[{number}]", "it has no area; move its corners apart"
            elif _crosses_itself(mask):
                yield (
                    f"masks[{number}]",
                    "its edges cross, so that parts of it would not be masked; draw two masks",
                )


def _edges(mask: PolygonPoints) -> list[tuple[Point, Point]]:
    return list(zip(mask, (*mask[1:], mask[0]), strict=True))


def _has_area(mask: PolygonPoints) -> bool:
    """Whether any three corners in a row form a triangle."""
    return any(_side(a, b, c) for (a, b), (_, c) in itertools.pairwise(_edges(mask)))


def _crosses_itself(mask: PolygonPoints) -> bool:
    """Whether two edges cross; to touch is allowed."""
    return any(
        _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0
        for (a, b), (c, d) in itertools.combinations(_edges(mask), 2)
    )


def _side(a: Point, b: Point, c: Point) -> float:
    """Twice the area of the triangle; its sign is the side of the line a-b on which c lies."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
