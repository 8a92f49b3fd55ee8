"""Reports places that trigger again and again, so that a person can mute them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from edge.daemon.parts import Parts
from edge.messages import TriggerPlace
from edge.runtime.times import NS_PER_S
from edge.vision.places import Place

RECENT_S = 600.0  # a place is a problem for this long after its last trigger


class PlaceReport:
    """The part of the health message about these places. The recent ones are problems as well."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._reported: set[str] = set()

    def __call__(self) -> tuple[TriggerPlace, ...]:
        """Those that no row of the present settings mutes."""
        parts, recent_ns = self._parts, time.time_ns() - round(RECENT_S * NS_PER_S)
        mutes = parts.settings.mutes
        places = [place for place in parts.places.repeated if not place.is_muted(mutes)]
        problems = {f"place {p.number}": _sentence(p) for p in places if p.last_ns >= recent_ns}
        for key, sentence in problems.items():
            parts.problems.report(sentence, key)
        for key in self._reported - problems.keys():
            parts.problems.clear(key)
        self._reported = set(problems)
        return tuple(map(_message, places))


def _sentence(place: Place) -> str:
    return (
        f"{place.count} objects ({place.label}) that did not move have triggered {place.rule} in "
        f"the same place; if they are false alarms, mute it: edge ctl mute {place.number}"
    )


def _message(place: Place) -> TriggerPlace:
    x0, y0, x1, y1 = (round(share, 4) for share in place.box)
    return TriggerPlace(
        place=place.number,
        rule=place.rule,
        label=place.label,
        group=place.group,
        box=(x0, y0, x1, y1),
        count=place.count,
        first_time=datetime.fromtimestamp(place.first_ns / NS_PER_S, UTC),
        last_time=datetime.fromtimestamp(place.last_ns / NS_PER_S, UTC),
    )
