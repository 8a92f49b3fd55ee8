"""Lines that objects are counted at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from edge.config.schema.base import Name, Problem, Section, Share, about


class Line(Section, frozen=True):
    """A line that objects are counted at, in each direction."""

    name: Annotated[Name, about("name of the line in topics and tables")]
    points: Annotated[
        tuple[tuple[Share, Share], tuple[Share, Share]],
        about(
            "start and end as shares of the picture; in = from the left of the line to its right",
            title="two points [x, y] with x and y from 0 to 1",
        ),
    ]
    labels: Annotated[
        tuple[str, ...],
        Meta(max_length=1000),
        about("labels of the model, or groups of them, that are counted; empty = any"),
    ] = ()

    def problems(self) -> Iterator[Problem]:
        if self.points[0] == self.points[1]:
            yield "points", "start and end are the same; move one of them"
