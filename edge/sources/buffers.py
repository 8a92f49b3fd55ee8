"""Pictures in a camera's own buffers, without a copy; the last reader returns the buffer."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from edge.sources.views import even
from edge.vision.picture import Picture, PixelFormat, Plane

FORMATS = {"YUV420": PixelFormat.I420, "NV12": PixelFormat.NV12}  # by libcamera's names


class Lease:
    """A completed request: the camera gets its buffers back when no reference to it is left."""

    def __init__(self, request: Any, *, writable: bool) -> None:
        self._request = request
        self._writable = writable
        self._mapped: list[Any] = []

    def view(self, library: Any, stream: str) -> Plane:
        """(n,) uint8, the bytes of a stream's buffer; read-only unless the lease is writable.

        Each array that is derived from this one keeps the lease, even when the frame is gone.
        """
        write = self._writable
        mapped = library.MappedArray(self._request, stream, reshape=False, write=write)
        self._mapped.append(mapped)
        return np.asarray(_Buffer(mapped.__enter__().array, self, write))

    def __del__(self) -> None:
        for mapped in self._mapped:
            mapped.__exit__(None, None, None)
        self._request.release()


class Leases:
    """The requests that are out of the camera; its length is their number.

    writable: whether their pictures may be changed in the camera's buffers.
    """

    def __init__(self, *, writable: bool) -> None:
        self._writable = writable
        self._out: weakref.WeakSet[Lease] = weakref.WeakSet()

    def new(self, request: Any) -> Lease:
        lease = Lease(request, writable=self._writable)
        self._out.add(lease)
        return lease

    def __len__(self) -> int:
        return len(self._out)


class _Buffer:
    """A camera's memory for numpy (`__array_interface__`); it keeps the lease."""

    def __init__(self, array: Plane, lease: Lease, writable: bool) -> None:
        (address, _), shape = array.__array_interface__["data"], array.shape
        self.__array_interface__ = {
            "version": 3, "typestr": "|u1", "shape": shape, "data": (address, not writable),
        }  # fmt: skip
        self._lease = lease


def size_of(stream: dict[str, Any]) -> tuple[int, int]:
    """(width, height) of the part that is used: even, as chroma has half of both."""
    width, height = stream["size"]
    return even(width), even(height)


def picture_of(flat: Plane, stream: dict[str, Any]) -> Picture:
    """Views on the planes of a YUV420 or NV12 buffer, without the padding of its rows.

    flat: (n,) uint8. stream: its configuration as picamera2 granted it.
    """
    width, height = size_of(stream)
    rows = int(stream["size"][1])
    stride = int(stream["stride"])
    luma = flat[: stride * rows].reshape(rows, stride)[:height, :width]
    rest = flat[stride * rows :]
    if stream["format"] == "NV12":
        chroma = rest[: stride * (rows // 2)].reshape(rows // 2, stride)[: height // 2, :width]
        return Picture(PixelFormat.NV12, (luma, chroma.reshape(height // 2, width // 2, 2)))
    half, size = stride // 2, (stride // 2) * (rows // 2)
    planes = [
        rest[start : start + size].reshape(rows // 2, half)[: height // 2, : width // 2]
        for start in (0, size)
    ]
    return Picture(PixelFormat.I420, (luma, *planes))
