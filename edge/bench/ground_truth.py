"""Ground truth, and the boxes of other programs, in the formats of MOTChallenge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError
from edge.runtime.files import explain, read_regular
from edge.vision.geometry import Boxes

MAX_FILE_BYTES = 500_000_000  # ten million lines
COLUMNS = "frame,id,left,top,width,height"


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one frame: ids (n,) and boxes (n, 4) xyxy in main pixels."""

    ids: npt.NDArray[np.int64]
    boxes_xyxy: Boxes


NONE = Objects(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))


@dataclass(frozen=True, slots=True)
class Reported:
    """Boxes that another program reported, by frame index from 0.

    identified: whether their ids are identities; otherwise they only tell boxes of a frame apart.
    last_frame: number of the last frame, from 1. last_line: description of its line in the file.
    """

    objects: dict[int, Objects]
    identified: bool
    last_frame: int
    last_line: str


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    frame: int
    identity: int
    box_xyxy: tuple[float, float, float, float]
    confidence: float


def load_ground_truth(path: Path) -> dict[int, Objects]:
    """Objects by frame index, which begins at 0.

    Each line of the file is an object: frame (from 1), id, left, top, width, height. Further
    columns, such as the confidence, are ignored. Raises ConfigError that names the line.
    """
    what = f"ground truth {path}"
    lines = list(_lines(path, what, f"{COLUMNS}[,…]", 6))
    if not lines:
        raise ConfigError(f"{what}: it has no objects")
    return _by_frame(lines)


def load_detections(path: Path, min_confidence: float | None = None) -> Reported:
    """The boxes of a program, as MOTChallenge's `det.txt` or as the results of a tracker.

    Each line is a box: frame (from 1), id (-1 without a tracker), left, top, width, height,
    confidence; further columns are ignored. min_confidence: lowest that counts; None counts all.
    Raises ConfigError that names the line.
    """
    what = f"detections {path}"
    lines = list(_lines(path, what, f"{COLUMNS},confidence[,…]", 7))
    if not lines:
        raise ConfigError(f"{what}: it has no boxes")
    identified = lines[0].identity >= 0
    _check_identities(what, lines, identified)
    counted = [one for one in lines if min_confidence is None or one.confidence >= min_confidence]
    last = max(lines, key=lambda one: one.frame)
    return Reported(
        _by_frame(counted, numbered=not identified),
        identified,
        last.frame + 1,
        f"{what}, line {last.number}",
    )


def _check_identities(what: str, lines: list[_Line], identified: bool) -> None:
    first_lines: dict[tuple[int, int], int] = {}
    for line in lines:
        place = f"{what}, line {line.number}: id {line.identity}"
        if (line.identity >= 0) is not identified:
            raise ConfigError(
                f"{place}, but {lines[0].identity} in line {lines[0].number}; "
                "expected -1 in all lines or in none"
            )
        first = first_lines.setdefault((line.frame, line.identity), line.number)
        if identified and first != line.number:
            raise ConfigError(f"{place} is in line {first} for frame {line.frame + 1} already")


def _by_frame(lines: list[_Line], *, numbered: bool = False) -> dict[int, Objects]:
    """numbered: the ids become the numbers of the lines, as the file has none."""
    frames: dict[int, list[_Line]] = {}
    for line in lines:
        frames.setdefault(line.frame, []).append(line)
    return {
        frame: Objects(
            np.array([one.number if numbered else one.identity for one in here], np.int64),
            np.array([one.box_xyxy for one in here], np.float32),
        )
        for frame, here in frames.items()
    }


def _lines(path: Path, what: str, expected: str, columns: int) -> Iterator[_Line]:
    """The objects of a file, checked. Raises ConfigError."""
    try:
        text = read_regular(path, MAX_FILE_BYTES, follow_link=True).decode()
    except OSError as error:
        raise ConfigError(f"{what}: {explain(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{what}: it is not a text file") from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = f"{what}, line {number}"
        try:
            values = [float(value) for value in line.split(",")[:columns]]
            frame, identity, left, top, width, height, *rest = values
            if len(values) < columns:
                raise ValueError("too few columns")
        except ValueError as error:
            raise ConfigError(f"{place}: expected {expected}, not {line[:60]!r}") from error
        if not all(map(math.isfinite, values)):
            raise ConfigError(f"{place}: expected finite numbers, not {line[:60]!r}")
        if frame < 1 or frame % 1 or identity % 1:
            raise ConfigError(f"{place}: expected whole numbers for frame, from 1, and id, "
                                 f"not {frame:g} and {identity:g}")  # fmt: skip
        if width <= 0 or height <= 0:
            raise ConfigError(f"{place}: expected a width and height above 0, "
                                 f"not {width:g} and {height:g}")  # fmt: skip
        box = (left, top, left + width, top + height)
        yield _Line(number, int(frame) - 1, int(identity), box, rest[0] if rest else 1.0)
