"""The contact sheet: a page in one file, on which a person names tracks.

It is `sheet.html` beside this file, filled with the tracks and their thumbnails as JSON. A browser
does not let such a page write files, so that it offers the labels as a download, labels.json, for
`edge-train label`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from mobiledet.dataset.base import DatasetError
from mobiledet.harvest.labels import TrackRow

TEMPLATE = Path(__file__).with_name("sheet.html")
OPENING, CLOSING = '<script id="tracks" type="application/json">', "</script>"


class Entry(msgspec.Struct):
    """A track on the page. thumbs: JPEG files in base64."""

    row: TrackRow
    thumbs: list[str]


def render(rows: list[TrackRow], thumbs: dict[int, list[str]]) -> str:
    """The page. thumbs: by track, JPEG files in base64."""
    entries = [Entry(row, thumbs.get(row.track, [])) for row in rows]
    # "</" would end the block, even inside a string.
    data = msgspec.json.encode(entries).decode().replace("</", "<\\/")
    page = TEMPLATE.read_text("utf-8")
    before, _, rest = page.partition(OPENING)
    _, _, after = rest.partition(CLOSING)
    return f"{before}{OPENING}{data}{CLOSING}{after}"


def read_thumbs(path: Path) -> dict[int, list[str]]:
    """The thumbnails in a page, by track; empty if there is no page. Raises DatasetError."""
    if not path.is_file():
        return {}
    _, _, after = path.read_text("utf-8", "replace").partition(OPENING)
    data, _, _ = after.partition(CLOSING)
    try:
        entries = msgspec.json.decode(data, type=list[Entry])
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{path}: not the contact sheet of a harvest: {error}") from error
    return {entry.row.track: entry.thumbs for entry in entries}
