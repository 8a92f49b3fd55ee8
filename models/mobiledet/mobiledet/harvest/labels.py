"""Names of tracks, and the annotations that follow from them.

A track with a name is an object. A track without a name is a place to ignore: neither object nor
background. A rejected track is not an object, and its place is background.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mobiledet.dataset.base import DatasetError
from mobiledet.dataset.coco import Annotation, Category, Coco

UNNAMED, REJECTED = "", "-"
SECONDS = ("from_s", "to_s")
COLUMNS = ("track", "label", "source", "from_s", "to_s", "pictures", "note")


class TrackRow(msgspec.Struct):
    """One line of tracks.csv.

    label: a name, `-` for rejected, or empty. note: the reason why the track is doubtful, or empty.
    """

    track: int
    label: str
    source: str
    from_s: float
    to_s: float
    pictures: int
    note: str = ""


def read_tracks(path: Path) -> list[TrackRow]:
    """Raises DatasetError that names the file and the line."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: {error}") from error
    delimiter = _delimiter(text)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise DatasetError(f"{path}, line 1: column {missing[0]} is missing")
    try:
        return [_row(path, reader.line_num, row, delimiter) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num}: not CSV: {error}") from error


def _delimiter(text: str) -> str:
    """A spreadsheet writes semicolons where its language has decimal commas."""
    header = text.partition("\n")[0]
    return ";" if header.count(";") > header.count(",") else ","


def _row(path: Path, line: int, row: Mapping[str, str], delimiter: str) -> TrackRow:
    try:
        cleaned = {name: (row[name] or "").strip() for name in COLUMNS}
        if delimiter == ";":
            cleaned |= {name: cleaned[name].replace(",", ".") for name in SECONDS}
        return msgspec.convert(cleaned, TrackRow, strict=False)
    except msgspec.ValidationError as error:
        raise DatasetError(f"{path}, line {line}: {error}") from error


def tracks_csv(rows: list[TrackRow]) -> bytes:
    """The content of tracks.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(msgspec.structs.asdict(row) for row in rows)
    return text.getvalue().encode()


def read_labels(path: Path) -> dict[int, str]:
    """Track -> label, from the page's labels.json or an edited tracks.csv. Raises DatasetError."""
    if path.suffix == ".csv":
        return {row.track: row.label for row in read_tracks(path)}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[int, str], strict=False)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{path}: neither the page's labels.json nor a .csv: {error}") from error


def relabel(coco: Coco, labels: Mapping[int, str]) -> Coco:
    """The dataset with all its tracks labelled again. One that is not in `labels` has no name."""
    everything = sorted(coco.annotations + coco.rejected, key=lambda annotation: annotation.id)
    given = {a.id: labels.get(a.track_id, UNNAMED) if a.track_id else UNNAMED for a in everything}
    names = sorted(set(given.values()) - {UNNAMED, REJECTED})
    ids = {name: number for number, name in enumerate(names, 1)}
    annotations: list[Annotation] = []
    rejected: list[Annotation] = []
    for annotation in everything:
        category_id = ids.get(given[annotation.id], 0)
        changed = msgspec.structs.replace(
            annotation, category_id=category_id, iscrowd=int(category_id == 0)
        )
        (rejected if given[annotation.id] == REJECTED else annotations).append(changed)
    categories = [Category(number, name) for name, number in ids.items()]
    return Coco(coco.images, annotations, categories, rejected, coco.origins)
