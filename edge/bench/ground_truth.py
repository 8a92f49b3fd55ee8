"""Ground truth in the format of MOTChallenge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import PermanentError
from edge.vision.geometry import Boxes


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one frame: ids (n,) and boxes (n, 4) xyxy in main pixels."""

    ids: npt.NDArray[np.int64]
    boxes_xyxy: Boxes


NONE = Objects(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))


def load_ground_truth(path: Path) -> dict[int, Objects]:
    """Objects by frame index, which begins at 0.

    Each line of the file is an object: frame (from 1), id, left, top, width, height. Further
    columns, such as the confidence, are ignored. Raises PermanentError that names the line.
    """
    rows: dict[int, list[tuple[int, float, float, float, float]]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"ground truth {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = [float(value) for value in line.split(",")]
            frame, identity, left, top, width, height = values[:6]
        except ValueError as error:
            raise PermanentError(
                f"ground truth {path}, line {number}: expected "
                f"frame,id,left,top,width,height, not {line[:60]!r}"
            ) from error
        box = (int(identity), left, top, left + width, top + height)
        rows.setdefault(int(frame) - 1, []).append(box)
    if not rows:
        raise PermanentError(f"ground truth {path}: it has no objects")
    return {
        frame: Objects(
            np.array([row[0] for row in objects], np.int64),
            np.array([row[1:] for row in objects], np.float32),
        )
        for frame, objects in rows.items()
    }
