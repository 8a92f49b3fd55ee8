"""Recognises the format of a dataset by its files, and reads it."""

from __future__ import annotations

from pathlib import Path

from mobiledet.dataset import coco, mot, voc
from mobiledet.dataset.base import Dataset, DatasetError
from mobiledet.dataset.writing import DATASET

KNOWN = (
    f"a COCO .json file, a folder with {DATASET} (from harvest or distill), a Pascal VOC folder "
    "with .xml files or a MOTChallenge folder with gt/gt.txt"
)


def read_dataset(path: Path, split: str = "") -> Dataset:
    """Reads a dataset of any known format and checks every file.

    split: one of a harvest; the other formats have none. Raises DatasetError.
    """
    if path.is_file() and path.suffix == ".json":
        return coco.read(path, split)
    if (path / DATASET).is_file():
        return coco.read(path / DATASET, split)
    if (path / "gt" / "gt.txt").is_file():
        return mot.read(path)
    if any(path.glob("*.xml")) or any(path.glob("Annotations/*.xml")):
        return voc.read(path)
    if not path.exists():
        raise DatasetError(f"{path}: no such dataset")
    raise DatasetError(f"{path}: unknown format; expected {KNOWN}")
