"""Keeps the messages that a new subscriber needs: last health, last presence, open tracks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from edge.messages import AnyMessage, Health, Presence, Track, topic_of

MAX_TRACKS: Final = 256  # bounds memory and repeats; a picture holds far fewer


class Latest:
    """The last health, the last presence and the last message of each of 256 open tracks."""

    def __init__(self) -> None:
        self._states: dict[str, Health | Presence] = {}
        self._tracks: dict[int, Track] = {}

    def note(self, message: AnyMessage) -> None:
        """Call it with every published message, in order."""
        match message:
            case Health() | Presence():
                self._states[message.kind] = message
            case Track(change="end"):
                self._tracks.pop(message.track_id, None)
            case Track():
                self._tracks.pop(message.track_id, None)
                self._tracks[message.track_id] = message
                if len(self._tracks) > MAX_TRACKS:
                    del self._tracks[next(iter(self._tracks))]

    def repeats(self, prefixes: Iterable[bytes]) -> list[AnyMessage]:
        """The messages whose topic has one of the prefixes, by sequence, marked as repeated."""
        known: list[AnyMessage] = [*self._tracks.values(), *self._states.values()]
        topics = tuple(prefixes)
        matching = [message for message in known if _topic(message).startswith(topics)]
        return sorted(map(_repeated, matching), key=_sequence)


def _topic(message: AnyMessage) -> bytes:
    assert message.header is not None
    return topic_of(message, message.header.camera).encode()


def _sequence(message: AnyMessage) -> int:
    assert message.header is not None
    return message.header.sequence


def _repeated(message: AnyMessage) -> AnyMessage:
    assert message.header is not None
    header = msgspec.structs.replace(message.header, repeated=True)
    return msgspec.structs.replace(message, header=header)
