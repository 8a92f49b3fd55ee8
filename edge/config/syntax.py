"""Finds the statements of a text that are not valid TOML, so that the others can be checked too.

tomllib stops at the first error. Here the statement with that error is blanked, which keeps the
numbers of the lines, and the rest is read again.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

MOST: Final = 20  # errors that are reported; a text with more is probably no TOML at all
READ_CHARACTERS: Final = 1 << 20  # of TOML read in search of errors, which bounds the time
PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
HEADER: Final = re.compile(r"""\s*\[\[?\s*[A-Za-z_"'][^,#]*(#.*)?$""")
KEY: Final = re.compile(r"""\s*([\w."'-]+)\s*=""")
CONTINUED: Final = re.compile(r"""\s*[\[\]{}"',+\d-]""")
LIST: Final = "write commas between the values of the list, and close it with ]"
VALUE_ADVICE: Final = (  # for wrong values
    (re.compile(r"=\s*\["), LIST),
    (re.compile(r"=\s*(true|false)\b", re.IGNORECASE), "write true and false in small letters"),
    (re.compile(r"=\s*(yes|no|on|off)\b", re.IGNORECASE), "write true or false"),
    (re.compile(r"=\s*[+-]?\d+,\d+\s*(#.*)?$"), "write a point, not a comma, in a number"),
    (re.compile(r"=\s*(#.*)?$"), "the value is missing"),
    (re.compile(r"=\s*[^\s\[{\"'\d]"), 'put the text into quotation marks: "…"'),
)
ADVICE: Final = {  # beginnings of tomllib's messages
    "Expected '=' after a key": "write KEY = VALUE",
    "Expected newline or end of document": "write nothing but a comment (#) after the value",
    "Unclosed array": LIST,
    "Invalid value": "write a number, true, false, a text in quotation marks, or a list of these",
    "Unclosed inline table": "close the section with }",
    "Unterminated string": "close the text with a quotation mark",
    "Illegal character '\\n'": "close the text with a quotation mark",
    "Unescaped": "write a backslash as two, or put the text into single quotation marks",
    "Cannot overwrite a value": "this key is there twice; remove one of the two",
    "Cannot declare": "this section is there already; put all its keys into one",
    "Expected ']": "close the name of the section, as in [motion] or [[triggers]]",
    "Exceeds the limit": "write a shorter number",
    "Invalid initial character for a key part": "write KEY = VALUE, or the name of a [section]",
    "Invalid statement": "write KEY = VALUE, or the name of a [section]",
}

Error = tuple[int, str]  # number of the line, and a sentence


def without_errors(text: str) -> tuple[str, dict[str, Any], list[Error]]:
    """The text without its wrong statements, its TOML, and the errors in the order of lines.

    With too many errors nothing of it is returned but the errors.
    """
    lines = text.split("\n")
    errors: list[Error] = []
    budget = READ_CHARACTERS
    while len(errors) < MOST and budget > 0:
        valid = "\n".join(lines)
        budget -= len(valid)
        try:
            return valid, tomllib.loads(valid), sorted(errors)
        except ValueError as error:
            message = str(error)
        place = PLACE.search(message)
        last = int(place[1]) - 1 if place and place[1] else len(lines) - 1
        first, read = _first_line(lines, last, budget)
        budget -= read
        errors.append((first + 1, _sentence(lines[first], message)))
        end = _end(lines, first, last)
        lines[first:end] = [""] * (end - first)
    return "", {}, [*sorted(errors), (len(lines), "more may follow; the rest was not checked")]


def _first_line(lines: list[str], last: int, budget: int) -> tuple[int, int]:
    """Where the statement begins at whose line `last` tomllib stopped: the lines before are valid.

    Returns also the number of characters that were read. budget: of these.
    """
    read = 0
    for first in range(last, 0, -1):
        if first != last and not (KEY.match(lines[first]) or HEADER.match(lines[first])):
            continue
        before = "\n".join(lines[:first])
        read += len(before)
        if read > budget:
            return last, read
        try:
            tomllib.loads(before)
        except ValueError:
            continue
        return first, read
    return 0, read


def _end(lines: list[str], first: int, last: int) -> int:
    """The line after the wrong statement; after the whole section if its header is wrong."""
    in_header = HEADER.match(lines[first])
    end = first + 1
    while end < len(lines) and not HEADER.match(lines[end]):
        is_part = not KEY.match(lines[end]) and (end <= last or CONTINUED.match(lines[end]))
        if not (in_header or is_part):
            break
        end += 1
    return end


def _sentence(line: str, message: str) -> str:
    """The error in words. The value is not repeated, as it may have a password."""
    reason = PLACE.sub("", message)
    advice = next((text for start, text in ADVICE.items() if reason.startswith(start)), reason)
    key = KEY.match(line)
    if key is None:
        twice = HEADER.match(line) and reason.startswith("Cannot")
        return ADVICE["Cannot declare"] if twice else advice
    if reason.startswith(("Invalid value", "Expected newline")):
        advice = next((text for wrong, text in VALUE_ADVICE if wrong.search(line)), advice)
    return f"{key[1]}: {advice}"
