"""The sections of captures: their files, and the place they are copied to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from edge.config.schema.base import Bytes, PathText, Problem, Section, about

# Parts of the names of captures; `edge.capture.naming` fills them in.
NAME_PARTS: Final = ("camera", "deployment", "utc", "local", "rule", "number")
# Without these, files of several days and cameras would not be unique in one folder.
NEEDED_PARTS: Final = (("camera",), ("utc", "local"), ("number",))


class CaptureSettings(Section, frozen=True):
    """Stills and clips on disk."""

    directory: Annotated[
        PathText, about("folder for captures; they go to its subfolders CAMERA/DATE")
    ] = "captures"
    name_pattern: Annotated[
        str,
        # All of it is allowed in names on FAT and exFAT. With every part filled in, a name has at
        # most 240 of the 255 characters that file systems allow, temporary suffix included.
        Meta(
            pattern=r"\A([A-Za-z0-9]|\{[a-z]{1,10}\})([A-Za-z0-9_.+-]|\{[a-z]{1,10}\})*\Z",
            max_length=70,
        ),
        about(
            "names of files, from {camera}, {deployment}, {utc} or {local}, {rule} and {number}",
            title="name of letters, digits, _ . + - and parts as {camera}, up to 70 characters",
        ),
    ] = "{camera}_{utc}_{rule}_{number}"
    pre_roll_s: Annotated[
        float, Meta(ge=0, le=60), about("length of a clip before the trigger")
    ] = 3.0
    post_roll_s: Annotated[
        float, Meta(ge=0, le=300), about("length of a clip after its last trigger")
    ] = 5.0
    max_clip_s: Annotated[
        float, Meta(gt=0, le=3600), about("longest clip, even if further triggers extend it")
    ] = 60.0
    pre_roll_bytes: Annotated[
        Bytes,
        about(
            "memory for the pictures before a trigger; 0 = a fifth of the machine's, 168 MB at most"
        ),
    ] = 0
    clip_height_px: Annotated[
        int, Meta(ge=64, le=4320), about("largest height of clips; a higher picture is shrunk")
    ] = 720
    jpeg_quality: Annotated[int, Meta(ge=1, le=100), about("JPEG quality of stills")] = 90
    max_bytes: Annotated[
        Bytes,
        about("delete the oldest captures when all together exceed this; 0 = no limit"),
    ] = 8_000_000_000
    max_age_days: Annotated[
        float, Meta(ge=0, le=36_500), about("delete captures older than this; 0 = no limit")
    ] = 0.0
    min_free_bytes: Annotated[
        Bytes, about("delete the oldest captures to keep this much of the disk free")
    ] = 500_000_000
    keep_until_uploaded: Annotated[
        bool,
        about("delete captures by age only after `edge upload`, and uploaded ones first for space"),
    ] = False

    tables: Annotated[bool, about("keep a table of triggers, crossings and stays for each day")] = (
        True
    )

    def problems(self) -> Iterator[Problem]:
        yield from self._problems_of_names()
        rolls_s = self.pre_roll_s + self.post_roll_s
        if rolls_s > self.max_clip_s:
            yield (
                "max_clip_s",
                f"{self.max_clip_s:g} s is shorter than pre_roll_s and post_roll_s together "
                f"({rolls_s:g} s); raise it or lower them",
            )

    def _problems_of_names(self) -> Iterator[Problem]:
        parts = re.findall(r"\{(\w+)\}", self.name_pattern)
        for part in dict.fromkeys(parts):
            if part not in NAME_PARTS:
                known = ", ".join(f"{{{name}}}" for name in NAME_PARTS)
                yield "name_pattern", f"there is no part {{{part}}}; the parts are {known}"
            elif parts.count(part) > 1:
                yield "name_pattern", f"{{{part}}} is there twice; remove one"
        for several in NEEDED_PARTS:
            if len(found := [name for name in several if name in parts]) != 1:
                choice = " or ".join(f"{{{name}}}" for name in several)
                problem = "is missing, so that names would not be unique; add it"
                yield "name_pattern", f"{choice} {problem}" if not found else f"use only {choice}"


class UploadSettings(Section, frozen=True):
    """Where `edge upload` copies captures. The password is in the configuration of rclone."""

    remote: Annotated[
        str,
        Meta(pattern=r"\A(|/[^\n]*|[A-Za-z0-9_.][A-Za-z0-9_.+@ -]*:[^\n]*)\Z"),
        about(
            "place for captures, as rclone names it, such as nas:captures; empty = none",
            title="REMOTE:PATH as in `rclone listremotes`, or /PATH",
        ),
    ] = ""
