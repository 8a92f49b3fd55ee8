"""Pascal VOC: one XML file for each picture, in `Annotations`; pictures are in `JPEGImages`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from mobiledet.dataset.base import (
    Dataset,
    DatasetError,
    Picture,
    as_boxes,
    checked,
    checked_box,
    existing_image,
)

Object = tuple[str, tuple[float, float, float, float], bool]


def read(folder: Path) -> Dataset:
    """Reads a folder that holds `Annotations` or the XML files themselves. Raises DatasetError."""
    annotations = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    files = [_read_file(folder, path) for path in sorted(annotations.glob("*.xml"))]
    labels = sorted({name for _, _, objects in files for name, _, _ in objects})
    pictures = [_picture(image, size, objects, labels) for image, size, objects in files]
    return checked(folder, labels, pictures)


def _read_file(folder: Path, path: Path) -> tuple[Path, tuple[int, int], list[Object]]:
    try:
        root = ET.parse(path).getroot()  # noqa: S314
        name = root.findtext("filename") or f"{path.stem}.jpg"
        size = int(_text(root, "size/width")), int(_text(root, "size/height"))
        objects = [_object(path, item, size) for item in root.iter("object")]
    except (ET.ParseError, ValueError) as error:
        raise DatasetError(f"{path}: not a Pascal VOC annotation: {error}") from error
    beside = [folder / "JPEGImages" / name, path.parent / name, folder / name]
    image = next((candidate for candidate in beside if candidate.is_file()), beside[0])
    return existing_image(path, image), size, objects


def _object(path: Path, item: ET.Element, size: tuple[int, int]) -> Object:
    x0, y0, x1, y1 = (float(_text(item, f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax"))
    # The format counts pixels from 1 and includes the last.
    box = checked_box(str(path), (x0 - 1, y0 - 1, x1, y1), *size)
    return _text(item, "name"), box, item.findtext("difficult") == "1"


def _text(element: ET.Element, name: str) -> str:
    text = element.findtext(name)
    if not text:
        raise ValueError(f"<{name.replace('/', '><')}> is missing")
    return text.strip()


def _picture(
    image: Path, size: tuple[int, int], objects: list[Object], labels: list[str]
) -> Picture:
    """Objects marked as difficult are ignored, as in the challenge."""
    boxes = [box for _, box, difficult in objects if not difficult]
    ids = [labels.index(name) for name, _, difficult in objects if not difficult]
    ignored = [box for _, box, difficult in objects if difficult]
    class_ids = np.array(ids, np.int64)
    return Picture(image, *size, as_boxes(boxes), class_ids, as_boxes(ignored))
