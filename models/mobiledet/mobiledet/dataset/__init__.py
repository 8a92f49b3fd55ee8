"""Labelled pictures: reads them from several formats, and writes one."""

from mobiledet.dataset.base import Dataset, DatasetError, Picture, thinned
from mobiledet.dataset.reading import read_dataset

__all__ = ["Dataset", "DatasetError", "Picture", "read_dataset", "thinned"]
