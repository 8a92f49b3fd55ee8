"""Converts the H.264 packets of a stream to Annex B, the form that clips are written from."""

from __future__ import annotations

from typing import Any

import av
from av.bitstream import BitStreamFilterContext

_SEQUENCE_PARAMETER_SET = 7  # types of units, table 7-1 of the standard
_LAST_SLICE = 5
# Every browser and phone decodes these; the other profiles have 10 bits, 4:2:2 or 4:4:4.
PLAYED_PROFILES = ("Baseline", "Constrained Baseline", "Main", "High")
PLAYED_FORMATS = ("yuv420p", "yuvj420p")  # 8-bit 4:2:0, in limited and in full range
_NOT_INTERLACED = (0, 1)  # AVFieldOrder: unknown and progressive


def is_played(context: av.VideoCodecContext) -> bool:
    """Whether browsers play the H.264 of this decoder. It must not be interlaced.

    One picture of interlaced video may be two packets, and browsers show its lines as combs.
    """
    return (
        context.pix_fmt in PLAYED_FORMATS
        and context.profile in PLAYED_PROFILES
        and context.field_order in _NOT_INTERLACED
    )


class AnnexB:
    """Converts the packets of one stream, with parameter sets before each key frame.

    Files such as MP4 have units with their lengths, and the parameter sets once, in a record
    (`avcC`, ISO/IEC 14496-15, 5.3.3.1). RTSP streams have start codes, but a server may send the
    parameter sets only in its description. FFmpeg's bitstream filters turn both into packets from
    which a decoder can begin.

    The constructor raises av.FFmpegError if the record is damaged.
    """

    def __init__(self, stream: av.VideoStream) -> None:
        record = stream.codec_context.extradata or b""
        self._has_lengths = record[:1] == b"\x01"
        name = "h264_mp4toannexb" if self._has_lengths else "dump_extra"
        self._filter = BitStreamFilterContext(name, stream)

    def take(self, packet: av.Packet[Any]) -> tuple[bytes, bool]:
        """The data of a packet, which is empty afterwards, and whether a decoder can begin there.

        Raises av.FFmpegError for damaged data.
        """
        is_key_frame = packet.is_keyframe
        data = self._filtered(packet) if self._has_lengths else bytes(packet)
        if is_key_frame and not has_parameter_sets(data):
            if not self._has_lengths:
                data = self._filtered(packet)
            is_key_frame = has_parameter_sets(data)
        return data, is_key_frame

    def _filtered(self, packet: av.Packet[Any]) -> bytes:
        return b"".join(map(bytes, self._filter.filter(packet)))


def has_parameter_sets(data: bytes) -> bool:
    """Whether a sequence parameter set comes before the first slice, in Annex B data."""
    at = data.find(b"\x00\x00\x01")
    while 0 <= at < len(data) - 3:
        kind = data[at + 3] & 0x1F
        if kind == _SEQUENCE_PARAMETER_SET:
            return True
        if kind <= _LAST_SLICE:
            return False
        at = data.find(b"\x00\x00\x01", at + 3)
    return False
