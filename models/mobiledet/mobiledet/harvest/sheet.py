"""The contact sheet: one page, needing nothing from elsewhere, on which tracks are named.

The page is `sheet.html` beside this file, filled in with the tracks and their thumbnails as JSON. A
page that a browser opened as a file can't write one: it hands the names down as labels.json, for
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
    """A track as the page shows it. thumbs: JPEGs in base64."""

    row: TrackRow
    thumbs: list[str]


def render(rows: list[TrackRow], thumbs: dict[int, list[str]]) -> str:
    entries = [Entry(row, thumbs.get(row.track, [])) for row in rows]
    # "</" would end the block, whatever string it is in.
    data = msgspec.json.encode(entries).decode().replace("</", "<\\/")
    page = TEMPLATE.read_text("utf-8")
    before, _, rest = page.partition(OPENING)
    _, _, after = rest.partition(CLOSING)
    return f"{before}{OPENING}{data}{CLOSING}{after}"


def thumbs_in(path: Path) -> dict[int, list[str]]:
    """The thumbnails that a page holds; none where there is no page. Raises DatasetError."""
    if not path.is_file():
        return {}
    _, _, after = path.read_text("utf-8", "replace").partition(OPENING)
    data, _, _ = after.partition(CLOSING)
    try:
        entries = msgspec.json.decode(data, type=list[Entry])
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{path}: no contact sheet of a harvest: {error}") from error
    return {entry.row.track: entry.thumbs for entry in entries}
