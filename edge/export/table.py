"""A CSV table for spreadsheets and R, with a row for each event."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from edge.export.groups import Group

COLUMNS = (
    "time", "camera", "rule", "event_id", "label", "group", "score", "track_id", "x0", "y0",
    "x1", "y1", "latency_ms", "model", "still", "clip", "clip_s", "zones", "deployment",
    "latitude", "longitude", "boot_id", "false_alarm",
    "method",
)  # fmt: skip


def write_csv(out: IO[str], groups: Iterable[Group], root: Path) -> int:
    """Writes a row for each event, and returns the number of rows.

    Boxes are in 0..1 of the picture, and files are relative to `root`.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = 0
    for group in groups:
        clip = group.clip
        for event in group.events:
            track = event.track
            values: tuple[object, ...] = ("",) * 8
            if track is not None:
                values = track.label, track.group, track.score, track.id, *track.box_xyxy
            files = [
                " ".join(medium.path.relative_to(root).as_posix() for medium in media)
                for media in (group.stills_of(event), [clip] if clip else [])
            ]
            writer.writerow(
                [event.time, group.camera, event.rule, event.event_id, *values, event.latency_ms,
                 group.model, *files, clip.file.duration_s if clip else "", " ".join(event.zones),
                 group.deployment, *(group.site.position or ("", "")), group.boot_id,
                 str(event.event_id in group.false_alarms).lower(), event.method]
            )  # fmt: skip
            rows += 1
    return rows
