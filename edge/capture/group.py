"""The files of one event: a still, a clip and their sidecar under one name."""

from __future__ import annotations

from pathlib import Path

from edge.capture.disk import capturing
from edge.capture.metadata.origin import Origin
from edge.capture.naming import SIDECAR_SUFFIX, folder_of, free_stem, stem_of
from edge.capture.request import CaptureRequest, CaptureResult
from edge.capture.sidecar import FileEntry, event_entry, new_sidecar
from edge.capture.stored.tree import refuse_links
from edge.runtime.files import make_folder


class CaptureGroup:
    """The event that began it gives it a name when the first file is written; others may join."""

    def __init__(self, request: CaptureRequest, origin: Origin) -> None:
        self.event_id = request.event_id
        self.rule = request.rule
        self.wall_offset_ns = request.wall_ns - request.timestamp_ns
        self.sidecar = new_sidecar(request, origin)
        self._wall_ns = request.wall_ns
        self._base: Path | None = None

    def claim(self, root: Path, pattern: str) -> None:
        """Chooses a free name and makes its folder. Raises CaptureError.

        pattern: of the name, as in the settings. The sidecar must have its number.
        """
        if self._base is None:
            folder = self.folder(root)
            with capturing(folder):
                refuse_links(root, folder)
                make_folder(folder)
                self._base = folder / free_stem(folder, self._stem(pattern))

    def _stem(self, pattern: str) -> str:
        return stem_of(
            pattern,
            self._wall_ns,
            camera=self.sidecar.camera,
            deployment=self.sidecar.site.deployment,
            rule=self.rule,
            number=self.sidecar.sequence,
        )

    def folder(self, root: Path) -> Path:
        """The folder of its camera and day."""
        return folder_of(root, self.sidecar.camera, self._wall_ns)

    @property
    def is_claimed(self) -> bool:
        """Whether it has a name."""
        return self._base is not None

    def join(self, request: CaptureRequest) -> None:
        """Adds an event that the clip of this group also shows."""
        self.sidecar.events.append(event_entry(request))

    def path(self, suffix: str) -> Path:
        assert self._base is not None, "claim comes first"
        return self._base.with_name(self._base.name + suffix)

    @property
    def stills(self) -> int:
        """Number of its stills that are written."""
        return sum(file.kind == "still" for file in self.sidecar.files)

    @property
    def sidecar_path(self) -> Path:
        return self.path(SIDECAR_SUFFIX)

    @property
    def event_ids(self) -> tuple[str, ...]:
        """The ids of its events, that of the event which began the group first."""
        return tuple(event.event_id for event in self.sidecar.events)

    @property
    def media_bytes(self) -> int:
        """Size of the files that the sidecar lists."""
        return sum(file.bytes for file in self.sidecar.files)

    def result(self, entry: FileEntry, wall_ns: int) -> CaptureResult:
        """The result to report for one of its files."""
        return CaptureResult(
            kind=entry.kind,
            camera=self.sidecar.camera,
            rule=self.rule,
            event_ids=self.event_ids,
            path=self.sidecar_path.with_name(entry.name),
            sidecar=self.sidecar_path,
            bytes=entry.bytes,
            wall_ns=wall_ns,
            duration_s=entry.duration_s or 0.0,
            frames=entry.frames or 1,
            further=entry.kind == "still" and self.stills > 1,
        )
