"""Makes outside text harmless for a terminal: the one place for everything that is printed."""

from __future__ import annotations

import re

# C0 and C1 controls with ESC and DEL, which control a terminal; marks that change the direction of
# text, so that a name reads as another one; line separators; halves of surrogate pairs.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""The text with each such character as `\u001b`. A valid JSON text stays valid and equal.

    The result is one line.
    """
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable_lines(text: str) -> str:
    """As `printable`, but keeps line feeds: for text that has several lines by intent."""
    return "\n".join(map(printable, text.split("\n")))
