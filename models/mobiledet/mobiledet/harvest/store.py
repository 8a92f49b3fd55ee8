"""A harvested dataset as a folder: dataset.json, images/, tracks.csv and sheet.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.runtime.files import write_file
from mobiledet.dataset import coco as coco_file
from mobiledet.dataset.base import DatasetError
from mobiledet.dataset.coco import Coco
from mobiledet.harvest import sheet
from mobiledet.harvest.labels import TrackRow, read_tracks, relabel, tracks_csv

DATASET, TRACKS, SHEET, IMAGES = "dataset.json", "tracks.csv", "sheet.html", "images"


@dataclass(slots=True)
class Store:
    """thumbs: JPEGs in base64 by track."""

    coco: Coco = field(default_factory=lambda: Coco([], [], []))
    rows: list[TrackRow] = field(default_factory=list)
    thumbs: dict[int, list[str]] = field(default_factory=dict)

    def sources(self) -> set[str]:
        return {image.source for image in self.coco.images}


def load(folder: Path) -> Store:
    """Raises DatasetError where the folder is no harvested dataset."""
    if not (folder / DATASET).is_file():
        raise DatasetError(f"{folder}: no harvested dataset: there is no {DATASET} in it")
    coco = coco_file.load(folder / DATASET)
    rows = read_tracks(folder / TRACKS)
    _check(folder / TRACKS, coco, rows)
    return Store(coco, rows, sheet.thumbs_in(folder / SHEET))


def _check(path: Path, coco: Coco, rows: list[TrackRow]) -> None:
    known = {annotation.track_id for annotation in coco.annotations + coco.rejected}
    seen: set[int] = set()
    for line, row in enumerate(rows, 2):
        if row.track not in known:
            raise DatasetError(f"{path}, line {line}: there is no track {row.track} in {DATASET}")
        if row.track in seen:
            raise DatasetError(f"{path}, line {line}: track {row.track} is there twice")
        seen.add(row.track)


def save(folder: Path, store: Store) -> None:
    """Annotations as the rows name their tracks; what training reads is written last.

    Raises FileError.
    """
    store.coco = relabel(store.coco, {row.track: row.label for row in store.rows})
    write_file(folder / SHEET, sheet.render(store.rows, store.thumbs).encode())
    write_file(folder / TRACKS, tracks_csv(store.rows))
    document = msgspec.json.format(msgspec.json.encode(store.coco), indent=1) + b"\n"
    write_file(folder / DATASET, document)


def apply(store: Store, labels: Mapping[int, str], where: str) -> None:
    """Names tracks; `save` makes it count. Raises DatasetError for a track that isn't there."""
    rows = {row.track: row for row in store.rows}
    for track, label in labels.items():
        if track not in rows:
            raise DatasetError(f"{where}: there is no track {track} in {TRACKS}")
        rows[track].label = label.strip()
