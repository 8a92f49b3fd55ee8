"""Labelled pictures, the formats that they are read from, and the one that is written."""

from mobiledet.dataset.base import Dataset, DatasetError, Picture
from mobiledet.dataset.reading import read_dataset

__all__ = ["Dataset", "DatasetError", "Picture", "read_dataset"]
