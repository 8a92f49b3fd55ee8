"""Which format a dataset has, by what lies there."""

from __future__ import annotations

from pathlib import Path

from mobiledet.dataset import coco, mot, voc
from mobiledet.dataset.base import Dataset, DatasetError

KNOWN = (
    "a COCO .json file, a folder with dataset.json (harvested), a Pascal VOC folder with .xml "
    "files or a MOTChallenge folder with gt/gt.txt"
)


def read_dataset(path: Path, split: str = "") -> Dataset:
    """Reads any of the known formats, every file of it checked.

    split: one of those that a harvest made; the other formats have none. Raises DatasetError.
    """
    if path.is_file() and path.suffix == ".json":
        return coco.read(path, split)
    if (path / "dataset.json").is_file():
        return coco.read(path / "dataset.json", split)
    if (path / "gt" / "gt.txt").is_file():
        return mot.read(path)
    if any(path.glob("*.xml")) or any(path.glob("Annotations/*.xml")):
        return voc.read(path)
    if not path.exists():
        raise DatasetError(f"{path}: there is no such dataset")
    raise DatasetError(f"{path}: unknown format; expected {KNOWN}")
