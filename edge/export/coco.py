"""Stills with the box that triggered them, as COCO object annotations.

Format: https://cocodataset.org/#format-data. Only the object of a still's event is annotated, not
others in the picture: a person must check the annotations before they train a detector. A capture
that was marked as a false alarm is a picture without an annotation, from which training learns.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from edge import __version__
from edge.capture.sidecar import TrackEntry
from edge.export.groups import Group


def coco(groups: Iterable[Group], root: Path) -> dict[str, Any]:
    """The document. file_name: relative to `root`. bbox: x, y, width, height in pixels."""
    categories: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for group, still in ((one, still) for one in groups for still in one.stills()):
        images.append(
            {
                "id": len(images) + 1,
                "file_name": still.path.relative_to(root).as_posix(),
                "width": still.file.width,
                "height": still.file.height,
                "date_captured": still.file.time,
            }
        )
        if (track := group.track_on(still)) is not None:
            category = categories.setdefault(track.label, len(categories) + 1)
            annotations.append(_annotation(len(annotations) + 1, len(images), category, track))
    return {
        "info": {
            "description": f"captures of edge-trigger {__version__}",
            "date_created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }


def _annotation(number: int, image: int, category: int, track: TrackEntry) -> dict[str, Any]:
    x0, y0, x1, y1 = track.box_xyxy_px
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x0, y0, round(x1 - x0, 1), round(y1 - y0, 1)],
        "area": round((x1 - x0) * (y1 - y0), 1),
        "iscrowd": 0,
        "score": track.score,
    }


def encode_coco(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
