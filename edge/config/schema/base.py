"""What all sections share: their base class, types of values, and the bounds of these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

DEFAULT_MODEL: Final = "person_ssdlite_mobilenet_v2_int8"
LOOKS_KEPT: Final = 16  # of a track: the longest `of_last`; 4 s at the default relook_s
MAX_STILLS: Final = 10  # of one event
MOTION_LABEL: Final = "motion"  # of what moves and has no label of the model
NO_LINE: Final = -1  # a GPIO line that is not used

# Bounds that no real camera reaches. They keep memory and time per frame small for any file.
MAX_S: Final = 7 * 86_400  # a week
MAX_LOOKS: Final = 1000
MAX_BYTES: Final = 10**15  # more than any disk holds
MAX_ROWS: Final = 32  # zones, masks, rules, and zones of a rule
MAX_CORNERS: Final = 100  # of one polygon
MAX_TOTAL_CORNERS: Final = 1000  # of all zones, and of all masks of each kind
MAX_PIXELS: Final = 20_000_000  # of a camera's picture, whose source has 8 buffers: 240 MB
MIN_FPS: Final = 0.01  # one frame in 100 s

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_S)]
Looks = Annotated[int, Meta(ge=1, le=MAX_LOOKS)]
Bytes = Annotated[int, Meta(ge=0, le=MAX_BYTES)]
SunEvent = Literal["dawn", "sunrise", "noon", "sunset", "dusk"]
SUN_EVENTS: Final[tuple[SunEvent, ...]] = get_args(SunEvent)  # in the order of a day
# A time of the day, as `edge.runtime.schedule` reads it: by the clock, or by the sun.
MOMENT: Final = (
    r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    rf"|(?:{'|'.join(SUN_EVENTS)})"
    r"(?:[+-](?:[0-9]{1,2}h(?:[0-9]{1,2}m)?|[0-9]{1,3}m))?)"
)
MomentText = Annotated[
    str, Meta(pattern=rf"\A{MOMENT}\Z", title="HH:MM, or dawn, sunset+30m and the like")
]
TimeSpan = Annotated[str, Meta(pattern=rf"\A{MOMENT}\s*-\s*{MOMENT}\Z")]
AnchorSide = Annotated[float, Meta(gt=0, le=100)]
GpioLine = Annotated[int, Meta(ge=NO_LINE, le=63)]
Name = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z", title="name of letters, digits, _ and -")
]
# A path of this machine: `edge.config.load` replaces a leading ~ by the home folder.
PathText = Annotated[str, Meta(title="path", extra={"path": True})]
# A text with a password or token: nothing shows it, neither `edge config show` nor an error.
SecretText = Annotated[str, Meta(extra={"secret": True})]
PolygonPoints = Annotated[
    tuple[tuple[Share, Share], ...], Meta(min_length=3, max_length=MAX_CORNERS)
]

Problem = tuple[str, str]  # key within the section, and one sentence


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: immutable, and an unknown key is an error."""

    def problems(self) -> Iterator[Problem]:
        """Yields values that are valid one by one and contradict each other."""
        yield from ()


def section_of_list(kind: Any) -> type[Section] | None:
    """The section that a type lists, for instance Zone for `tuple[Zone, ...]`; otherwise None."""
    arguments = get_args(kind)
    if get_origin(kind) is tuple and isinstance(arguments[0], type):
        return arguments[0] if issubclass(arguments[0], Section) else None
    return None


def is_marked(kind: Any, mark: str) -> bool:
    """Whether a type is declared with `extra={mark: True}`, as PathText and SecretText are."""
    metas = (meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta))
    return any((meta.extra or {}).get(mark) for meta in metas)


def about(text: str, title: str | None = None) -> Meta:
    """text: the description of a key. title: its type in words, if the type alone is too vague."""
    return Meta(description=text, title=title)
