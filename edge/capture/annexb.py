"""H.264 byte streams: everything that is muxed here is Annex B with parameter sets in band."""

from __future__ import annotations

from edge.errors import CaptureError
from edge.vision.types import EncodedStream

_START_CODE = b"\x00\x00\x00\x01"
_SPS = 7


class AnnexB:
    """Turns a stream's packets into Annex B, whichever form they come in.

    The form is told by `extradata`: an `avcC` record (ISO/IEC 14496-15, 5.3.3.1) begins with
    version 1 and announces length-prefixed NAL units; anything else is Annex B already.

    Raises CaptureError where the record is cut short.
    """

    def __init__(self, stream: EncodedStream) -> None:
        self.parameter_sets, self._length_bytes = stream.extradata, 0
        if stream.extradata.startswith(b"\x01"):
            try:
                self.parameter_sets, self._length_bytes = _unpack_record(stream.extradata)
            except IndexError:
                raise CaptureError(
                    "no clip: the source's H.264 configuration record (avcC) is cut short"
                ) from None

    def packet(self, data: bytes) -> bytes:
        return _with_start_codes(data, self._length_bytes) if self._length_bytes else data

    def first_packet(self, data: bytes) -> bytes:
        """A key frame that a decoder can begin with: its parameter sets go before it."""
        converted = self.packet(data)
        if has_parameter_sets(converted):
            return converted
        return self.parameter_sets + converted


def has_parameter_sets(data: bytes) -> bool:
    """Whether an SPS comes before the first slice: it is the first unit, or follows a delimiter."""
    at = data.find(b"\x00\x00\x01")
    while 0 <= at < len(data) - 3:
        kind = data[at + 3] & 0x1F
        if kind == _SPS:
            return True
        if kind <= 5:  # slices: what follows them belongs to later pictures
            return False
        at = data.find(b"\x00\x00\x01", at + 3)
    return False


def _with_start_codes(data: bytes, length_bytes: int) -> bytes:
    parts = []
    at = 0
    while at + length_bytes <= len(data):
        end = at + length_bytes + int.from_bytes(data[at : at + length_bytes], "big")
        parts += [_START_CODE, data[at + length_bytes : end]]
        at = end
    return b"".join(parts)


def _unpack_record(record: bytes) -> tuple[bytes, int]:
    """The SPS and PPS of an `avcC` record (counts and 16-bit lengths), and its length size."""
    length_bytes = (record[4] & 3) + 1
    parts = []
    at = 5
    for count_mask in (0x1F, 0xFF):
        count = record[at] & count_mask
        at += 1
        for _ in range(count):
            end = at + 2 + int.from_bytes(record[at : at + 2], "big")
            parts += [_START_CODE, record[at + 2 : end]]
            at = end
    return b"".join(parts), length_bytes
