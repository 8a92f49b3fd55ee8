"""The disk's side of captures: stills, clips and their sidecars, within the storage limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.capture.clip import ClipWriter
from edge.capture.disk import capturing, write
from edge.capture.naming import CLIP_SUFFIX, SIDECAR_SUFFIX, STILL_SUFFIX, folder_of, free_stem
from edge.capture.request import CaptureRequest, CaptureResult
from edge.capture.sidecar import FileEntry, Sidecar, event_entry, iso_time
from edge.capture.still import encode_jpeg
from edge.capture.storage import StorageGuard
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.files import make_folder
from edge.vision.types import EncodedPacket, EncodedStream, Frame

_STEP_BYTES = 4 << 20  # a growing clip asks for room in such steps
_SIDECAR_BYTES = 4096


class CaptureGroup:
    """The files of one event under one stem. It has a name from its first file on."""

    def __init__(self, request: CaptureRequest, model: str) -> None:
        self.camera, self.rule = request.camera, request.rule
        self.wall_ns = request.wall_ns
        self.wall_offset_ns = request.wall_ns - request.timestamp_ns
        self.track_id = request.track.id if request.track else None
        self.sidecar = Sidecar(camera=request.camera, model=model, events=[event_entry(request)])
        self._base: Path | None = None

    def claim(self, root: Path) -> None:
        """Chooses a free name and makes its folder. Raises CaptureError."""
        if self._base is None:
            folder = folder_of(root, self.camera, self.wall_ns)
            with capturing(folder):
                make_folder(folder)
                self._base = folder / free_stem(folder, self.wall_ns, self.rule, self.track_id)

    def path(self, suffix: str) -> Path:
        assert self._base is not None, "claim comes first"
        return self._base.with_name(self._base.name + suffix)

    @property
    def sidecar_path(self) -> Path:
        return self.path(SIDECAR_SUFFIX)

    @property
    def media_bytes(self) -> int:
        return sum(file.bytes for file in self.sidecar.files)


@dataclass(slots=True)
class _OpenClip:
    group: CaptureGroup
    writer: ClipWriter
    stream: EncodedStream
    admitted: int


class CaptureWriter:
    """Writes one clip at a time and any number of stills. Belongs to one thread.

    Every method may raise CaptureError: that file is then given up, and the next may be tried.
    A sidecar is written after each file of its group, so that it always lists what is there.
    """

    def __init__(
        self, settings: CaptureSettings, on_capture: Callable[[CaptureResult], None]
    ) -> None:
        self._settings = settings
        self._root = Path(settings.directory)
        self._on_capture = on_capture
        self._clip: _OpenClip | None = None
        self.guard = StorageGuard(settings)

    def still(self, group: CaptureGroup, frame: Frame) -> None:
        """A full-resolution JPEG."""
        picture = frame.main
        jpeg = encode_jpeg(picture, self._settings.jpeg_quality)
        group.claim(self._root)
        path = group.path(STILL_SUFFIX)
        with self.guard.holding(group.sidecar_path):
            self.guard.admit(len(jpeg) + _SIDECAR_BYTES)
            write(path, jpeg)
            entry = FileEntry(
                name=path.name,
                kind="still",
                bytes=len(jpeg),
                width=picture.width,
                height=picture.height,
                time=iso_time(frame.wall_ns),
            )
            self._complete(group, entry, frame.wall_ns)

    def start_clip(
        self, group: CaptureGroup, stream: EncodedStream, pre_roll: Sequence[EncodedPacket]
    ) -> None:
        """Packets before the first key frame are left away."""
        admitted = sum(len(packet.data) for packet in pre_roll) + _STEP_BYTES
        group.claim(self._root)
        self.guard.hold(group.sidecar_path)
        try:
            self.guard.admit(admitted)
            writer = ClipWriter(group.path(CLIP_SUFFIX), stream, group.wall_offset_ns)
        except CaptureError:
            self.guard.release(group.sidecar_path)
            raise
        self._clip = _OpenClip(group, writer, stream, admitted)
        for packet in pre_roll:
            self.feed(packet)

    def join_clip(self, request: CaptureRequest) -> None:
        """Another event that the open clip shows."""
        if self._clip is not None:
            self._clip.group.sidecar.events.append(event_entry(request))

    def feed(self, packet: EncodedPacket) -> None:
        """Does nothing where there is no clip, or its file has failed."""
        if (clip := self._clip) is None:
            return
        try:
            clip.writer.feed(packet)
        except CaptureError:
            self._give_up(clip)
            raise
        if clip.writer.bytes > clip.admitted:
            self._make_more_room(clip)

    def end_clip(self) -> None:
        if (clip := self._clip) is None:
            return
        try:
            info = clip.writer.finish()
        except CaptureError:
            self._give_up(clip)
            raise
        self._clip = None
        entry = FileEntry(
            name=info.path.name,
            kind="clip",
            bytes=info.bytes,
            width=clip.stream.width,
            height=clip.stream.height,
            time=iso_time(info.wall_ns),
            duration_s=round(info.duration_s, 3),
            frames=info.frames,
        )
        try:
            self._complete(clip.group, entry, info.wall_ns)
        finally:
            self.guard.release(clip.group.sidecar_path)

    def _make_more_room(self, clip: _OpenClip) -> None:
        """Where there is none, the clip ends here: what it has is worth keeping."""
        clip.admitted = clip.writer.bytes + _STEP_BYTES
        written = clip.group.media_bytes + clip.writer.bytes
        self.guard.record(clip.group.sidecar_path, written)
        try:
            self.guard.admit(_STEP_BYTES)
        except CaptureError:
            self.end_clip()
            raise

    def _give_up(self, clip: _OpenClip) -> None:
        self._clip = None
        clip.writer.abort()
        self.guard.record(clip.group.sidecar_path, clip.group.media_bytes)
        self.guard.release(clip.group.sidecar_path)

    def _complete(self, group: CaptureGroup, entry: FileEntry, wall_ns: int) -> None:
        """The sidecar comes last; a file that it can't list doesn't stay."""
        path = group.sidecar_path.with_name(entry.name)
        group.sidecar.files.append(entry)
        try:
            sidecar_bytes = group.sidecar.write(group.sidecar_path)
        except CaptureError:
            group.sidecar.files.pop()
            path.unlink(missing_ok=True)
            self.guard.record(group.sidecar_path, group.media_bytes)
            raise
        self.guard.record(group.sidecar_path, group.media_bytes + sidecar_bytes)
        self._on_capture(
            CaptureResult(
                kind=entry.kind,
                camera=group.camera,
                rule=group.rule,
                event_ids=tuple(event.event_id for event in group.sidecar.events),
                path=path,
                sidecar=group.sidecar_path,
                bytes=entry.bytes,
                wall_ns=wall_ns,
                duration_s=entry.duration_s or 0.0,
                frames=entry.frames or 1,
            )
        )
