"""Finds settings that are valid one by one and contradict each other.

Each section checks its values (`Section.problems`); this module adds the checks across sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edge.config.schema import MAX_TOTAL_CORNERS, NO_LINE, SUN_EVENTS, Problem, Section, Settings
from edge.config.words import suggestion


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Yields each contradiction as a dotted key and one sentence."""
    for prefix, section in _sections(settings):
        for key, sentence in section.problems():
            yield f"{prefix}.{key}", sentence
    yield from _missing_zones(settings)
    yield from _repeated_names([zone.name for zone in settings.zones], "zones")
    yield from _repeated_names([rule.name for rule in settings.triggers], "triggers")
    yield from _repeated_names([series.name for series in settings.timelapse], "timelapse")
    yield from _repeated_names([line.name for line in settings.lines], "lines")
    yield from _repeated_names([row.name for row in settings.notify], "notify")
    yield from _names_of_rules(settings)
    yield from _missing_rules(settings)
    yield from _missing_position(settings)
    yield from _shared_line(settings)
    yield from _too_many_corners(settings)


def _sections(settings: Settings) -> Iterator[tuple[str, Section]]:
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Section):
            yield field.name, value
        elif isinstance(value, tuple):
            yield from ((f"{field.name}[{index}]", row) for index, row in enumerate(value))


def _missing_zones(settings: Settings) -> Iterator[Problem]:
    known = [zone.name for zone in settings.zones]
    for index, rule in enumerate(settings.triggers):
        yield from _missing(f"triggers[{index}].zones", rule.zones, known, "zone", "zones")


def _missing(
    key: str, names: Sequence[str], known: Sequence[str], kind: str, section: str
) -> Iterator[Problem]:
    """Names of rows of another section, in which they are not. kind: the row in a word."""
    for name in names:
        if name not in known:
            hint = suggestion(name, known) or f"; add it as a [[{section}]] section"
            yield key, f"there is no {kind} {name!r}{hint}"


def _repeated_names(names: Sequence[str], section: str) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"{section}[{index}].name", f"the name {name!r} is used twice; choose another"


def _names_of_rules(settings: Settings) -> Iterator[Problem]:
    """A series has the place of a rule in names of files and topics."""
    rules = [rule.name for rule in settings.triggers]
    for index, series in enumerate(settings.timelapse):
        if series.name in rules:
            yield f"timelapse[{index}].name", f"a trigger is named {series.name!r}; choose another"


def _missing_rules(settings: Settings) -> Iterator[Problem]:
    known = [rule.name for rule in settings.triggers]
    for index, row in enumerate(settings.notify):
        yield from _missing(f"notify[{index}].rules", row.rules, known, "rule", "triggers")


def _missing_position(settings: Settings) -> Iterator[Problem]:
    """Times by the sun need a place."""
    if settings.site.position:
        return
    times = {f"triggers[{n}].schedule": rule.schedule for n, rule in enumerate(settings.triggers)}
    for index, series in enumerate(settings.timelapse):
        times[f"timelapse[{index}].at"] = series.at
        times[f"timelapse[{index}].schedule"] = series.schedule
    times |= {f"notify[{index}].quiet": row.quiet for index, row in enumerate(settings.notify)}
    for key, texts in times.items():
        if by_sun := [text for text in texts if any(event in text for event in SUN_EVENTS)]:
            yield (
                key,
                f"{by_sun[0]!r} needs the position of the camera; add latitude and longitude to "
                "[site]",
            )


def _shared_line(settings: Settings) -> Iterator[Problem]:
    outputs = [rule.gpio for rule in settings.triggers if rule.gpio != NO_LINE]
    if settings.hooks.input_gpio in outputs:
        yield "hooks.input_gpio", "a trigger pulses that line; choose another one"


def _too_many_corners(settings: Settings) -> Iterator[Problem]:
    """The time per frame grows with the corners of all polygons."""
    polygons = {
        "zones": [zone.polygon for zone in settings.zones],
        "motion.masks": list(settings.motion.masks),
        "privacy.masks": list(settings.privacy.masks),
    }
    for key, several in polygons.items():
        if (corners := sum(map(len, several))) > MAX_TOTAL_CORNERS:
            yield (
                key,
                f"the polygons have {corners} corners together, and at most {MAX_TOTAL_CORNERS} "
                "are possible; draw simpler ones",
            )
