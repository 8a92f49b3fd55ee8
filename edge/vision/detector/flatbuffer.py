"""Reads flatbuffers by the numbers of their fields, as a schema's compatibility rules allow.

A field keeps its number for ever, so that the few numbers in `graph` and `metadata` hold for every
version of TFLite. The generated readers know all fields, but cost 0.2 s at each start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from flatbuffers import encode, packer
from flatbuffers.table import Table as Raw

MAX_ITEMS = 1_000_000  # of one vector of tables or texts: damaged lengths must not be walked


class Table:
    """One table. A damaged file makes any method raise; callers guard a whole reading."""

    __slots__ = ("_raw",)

    def __init__(self, data: bytes, position: int) -> None:
        self._raw = Raw(data, position)

    @staticmethod
    def root(data: bytes) -> Table:
        return Table(data, encode.Get(packer.uoffset, data, 0))

    def number(self, field: int, kind: str, default: float = 0) -> Any:
        """A scalar. kind: its type in numpy's words, for instance `int32`."""
        offset = self._offset(field)
        if not offset:
            return default
        return self._scalars(self._raw.Pos + offset, 1, kind)[0].item()

    def array(self, field: int, kind: str) -> npt.NDArray[Any]:
        """A vector of scalars, empty if absent: a view into the file."""
        offset = self._offset(field)
        if not offset:
            return np.zeros(0, kind)
        return self._scalars(self._raw.Vector(offset), self._raw.VectorLen(offset), kind)

    def text(self, field: int) -> str:
        """A text, empty if absent."""
        offset = self._offset(field)
        return bytes(self._raw.String(self._raw.Pos + offset)).decode() if offset else ""

    def table(self, field: int) -> Table | None:
        """The table that a field, or a union, points to."""
        offset = self._offset(field)
        if not offset:
            return None
        return Table(self._raw.Bytes, self._raw.Indirect(self._raw.Pos + offset))

    def tables(self, field: int) -> list[Table]:
        """A vector of tables, empty if absent."""
        offset = self._offset(field)
        if not offset:
            return []
        count, start = self._raw.VectorLen(offset), self._raw.Vector(offset)
        if count > MAX_ITEMS:
            raise ValueError(f"a vector of {count} tables")
        data = self._raw.Bytes
        return [Table(data, self._raw.Indirect(start + 4 * row)) for row in range(count)]

    def _offset(self, field: int) -> int:
        return int(self._raw.Offset(4 + 2 * field))

    def _scalars(self, position: int, count: int, kind: str) -> npt.NDArray[Any]:
        return np.frombuffer(self._raw.Bytes, np.dtype(kind).newbyteorder("<"), count, position)
