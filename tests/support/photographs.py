"""Photographs of animals with known names, from Debian's package `gcompris-qt-data`.

They have several free licences and are not part of the project: tests read them where the package
is installed. `python -m tests.support.photographs FOLDER` unpacks them.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

Photograph = npt.NDArray[np.uint8]

FOLDER = Path("/usr/share/gcompris-qt/rcc")
PARTS = ("explore_farm_animals", "explore_world_animals")
# Name of the photograph: COCO's label for what it shows.
LABELS = {
    "cat": "cat", "chicken": "bird", "cow": "cow", "dog": "dog", "duck": "bird",
    "horse": "horse", "owl": "bird", "sheep": "sheep", "bison": "cow", "giraffe": "giraffe",
    "panda": "bear", "polar_bear": "bear", "scarlet_macaw": "bird",
}  # fmt: skip
# Animals that are none of COCO's classes.
OTHERS = ("hedgehog", "jaguar", "kangaroo", "koala", "lemur", "moose", "pig")
_HEADER = struct.Struct(">4sIIII")  # magic, version, and the offsets of tree, data and names
_IS_FOLDER, _COMPRESSED = 2, 1 | 4
_NODE_BYTES = 22


def animals() -> dict[str, Photograph]:
    """(h, w, 3) RGB by name; skips the test where the package is not installed."""
    if not FOLDER.is_dir():
        pytest.skip("PHOTOGRAPHS ABSENT: gcompris-qt-data is not installed; this test was not run")
    return {
        Path(name).stem: np.asarray(
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], np.uint8
        )
        for name, data in _files().items()
    }


def unpack(folder: Path) -> None:
    """Writes the photographs as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in _files().items():
        (folder / name).write_bytes(data)


def _files() -> dict[str, bytes]:
    """The photographs' files by name."""
    files = {name: data for part in PARTS for name, data in _resources(FOLDER / f"{part}.rcc")}
    return {name: data for name, data in files.items() if name.endswith(".webp")}


def _resources(path: Path) -> list[tuple[str, bytes]]:
    """Name and content of each uncompressed file in a resource file of Qt (format 3)."""
    data = path.read_bytes()
    _, _, tree, contents, names = _HEADER.unpack_from(data)

    def walk(number: int) -> list[tuple[str, bytes]]:
        node = tree + number * _NODE_BYTES
        name_at, flags = struct.unpack_from(">IH", data, node)
        if flags & _IS_FOLDER:
            count, first = struct.unpack_from(">II", data, node + 6)
            return [file for child in range(first, first + count) for file in walk(child)]
        if flags & _COMPRESSED:
            return []
        (length,) = struct.unpack_from(">H", data, names + name_at)
        name = data[names + name_at + 6 :][: 2 * length].decode("utf-16-be")
        at = contents + struct.unpack_from(">I", data, node + 10)[0]
        (size,) = struct.unpack_from(">I", data, at)
        return [(name, data[at + 4 : at + 4 + size])]

    return walk(0)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
