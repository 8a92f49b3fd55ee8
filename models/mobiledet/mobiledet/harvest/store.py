"""A harvested dataset as a folder: dataset.json, images/, tracks.csv and sheet.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mobiledet.dataset import coco as coco_file
from mobiledet.dataset.base import DatasetError
from mobiledet.dataset.coco import Coco
from mobiledet.dataset.writing import DATASET, write_document
from mobiledet.files import write_file
from mobiledet.harvest import sheet
from mobiledet.harvest.labels import TrackRow, read_tracks, relabel, tracks_csv

TRACKS, SHEET = "tracks.csv", "sheet.html"


@dataclass(slots=True)
class Store:
    """The folder's content without its pictures. thumbs: by track, JPEG files in base64."""

    coco: Coco = field(default_factory=lambda: Coco([], [], []))
    rows: list[TrackRow] = field(default_factory=list)
    thumbs: dict[int, list[str]] = field(default_factory=dict)

    def sources(self) -> set[str]:
        return {image.source for image in self.coco.images}


def load(folder: Path) -> Store:
    """Reads the folder. Raises DatasetError if its dataset is missing or damaged."""
    if not (folder / DATASET).is_file():
        raise DatasetError(f"{folder}: not a harvested dataset: it has no {DATASET}")
    coco = coco_file.load(folder / DATASET)
    rows = read_tracks(folder / TRACKS)
    _check(folder / TRACKS, coco, rows)
    return Store(coco, rows, sheet.read_thumbs(folder / SHEET))


def _check(path: Path, coco: Coco, rows: list[TrackRow]) -> None:
    known = {annotation.track_id for annotation in coco.annotations + coco.rejected}
    read: set[int] = set()
    for line, row in enumerate(rows, 2):
        if row.track not in known:
            raise DatasetError(f"{path}, line {line}: {DATASET} has no track {row.track}")
        if row.track in read:
            raise DatasetError(f"{path}, line {line}: track {row.track} has a line already")
        read.add(row.track)


def save(folder: Path, store: Store) -> None:
    """Labels the annotations by the rows of their tracks, and writes everything but the pictures.

    `dataset.json`, which training reads, is written last. Raises FileError.
    """
    store.coco = relabel(store.coco, {row.track: row.label for row in store.rows})
    write_file(folder / SHEET, sheet.render(store.rows, store.thumbs).encode())
    write_file(folder / TRACKS, tracks_csv(store.rows))
    write_document(folder, store.coco)


def apply(store: Store, labels: Mapping[int, str], where: str) -> None:
    """Labels rows; `save` then labels the annotations. where: the origin of the labels.

    Raises DatasetError, whose message begins with `where`, for a track that doesn't exist.
    """
    rows = {row.track: row for row in store.rows}
    for track, label in labels.items():
        if track not in rows:
            raise DatasetError(f"{where}: {TRACKS} has no track {track}")
        rows[track].label = label.strip()
