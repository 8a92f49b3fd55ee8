"""Writes stills, clips and their sidecars to disk, within the storage limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from edge.capture.disk import capturing
from edge.capture.group import CaptureGroup
from edge.capture.metadata.facts import StillFacts, clip_tags
from edge.capture.metadata.origin import Origin
from edge.capture.naming import CLIP_SUFFIX, STILL_SUFFIXES
from edge.capture.publish import publish
from edge.capture.request import CaptureRequest, CaptureResult, LaterStill
from edge.capture.sidecar import FileEntry, TrackEntry, iso_time, track_entry, utc_time
from edge.capture.still import encode_jpeg, metadata
from edge.capture.stored.storage import StorageGuard
from edge.capture.tally import TallyFile
from edge.capture.video.clip import ClipInfo, ClipWriter
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.messages import CaptureKind
from edge.runtime.files import PartFile, sync_directory
from edge.vision.geometry import Box
from edge.vision.types import EncodedPacket, EncodedStream, Frame

# A growing clip asks for room in steps: each is 4 s of video at 8 Mbit/s.
_STEP_BYTES = 4 << 20
_SIDECAR_BYTES = 4096  # room for a sidecar: one block of the usual file systems

OnFailure: TypeAlias = Callable[[CaptureKind, Iterable[str], str], None]
Blurred: TypeAlias = Callable[[int], Sequence[Box]]


def none_blurred(_timestamp_ns: int) -> tuple[Box, ...]:
    """Nothing is blurred in any frame."""
    return ()


@dataclass(slots=True)
class _OpenClip:
    group: CaptureGroup
    writer: ClipWriter
    stream: EncodedStream
    admitted: int


class CaptureWriter:
    """Writes one clip at a time and any number of stills. Belongs to one thread.

    `on_capture` receives each finished file. `on_failure` receives the kind of a capture that
    failed, the events that requested it and the reason. Every method raises CaptureError if a file
    could not be written; the next may be tried. `blurred` returns the boxes that are blurred in the
    still of a frame, by its `timestamp_ns`. A sidecar is written after each file of its group,
    so that it always lists the files that exist.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        origin: Origin,
        on_capture: Callable[[CaptureResult], object],
        on_failure: OnFailure,
        blurred: Blurred = none_blurred,
    ) -> None:
        self.guard = StorageGuard(settings)
        self.tally = TallyFile(Path(settings.directory), settings.min_free_bytes)
        self._root = Path(settings.directory)
        self._settings = settings
        self._origin = origin
        self._on_capture = on_capture
        self._on_failure = on_failure
        self._blurred = blurred
        self._clip: _OpenClip | None = None
        self._clip_ended = ""  # the reason, if the last clip ended early
        self._open: dict[str, CaptureGroup] = {}  # by event: those for which stills follow

    def group(self, request: CaptureRequest) -> CaptureGroup:
        """A group of files for this request, without a name yet. Any thread may call it."""
        group = CaptureGroup(request, self._origin)
        if request.follows:
            self._open[request.event_id] = group
        return group

    def later_still(self, still: LaterStill) -> None:
        """A further still of an event; the event has none if even the last one has no picture."""
        group = self._open.pop(still.event_id) if still.last else self._open[still.event_id]
        if still.frame is not None:
            self.still(group, still.frame, track_entry(still.track), later=True)
        elif still.last and not group.stills:
            self._on_failure("still", (still.event_id,), "no picture came while it could be taken")

    def still(
        self,
        group: CaptureGroup,
        frame: Frame,
        track: TrackEntry | None = None,
        *,
        later: bool = False,
    ) -> None:
        """A JPEG in full resolution. track: the object in a later still."""
        with self._failing("still", group.event_id):
            picture = frame.main
            facts = StillFacts(
                group.sidecar, frame.wall_ns, track if later else group.sidecar.events[0].track,
                (picture.width, picture.height), self._origin.board, frame.exposure,
            )  # fmt: skip
            jpeg = encode_jpeg(
                picture,
                self._settings.jpeg_quality,
                metadata(facts),
                self._blurred(frame.timestamp_ns),
            )
            self._claim(group, len(jpeg) + _SIDECAR_BYTES)
            path = group.path(STILL_SUFFIXES[group.stills])
            entry = FileEntry(
                name=path.name,
                kind="still",
                bytes=len(jpeg),
                width=picture.width,
                height=picture.height,
                time=iso_time(frame.wall_ns),
                time_utc=utc_time(frame.wall_ns),
                track=track,
            )
            with self.guard.holding(group.sidecar_path):
                self._complete(group, entry, frame.wall_ns, _written(path, jpeg))

    def start_clip(
        self, group: CaptureGroup, stream: EncodedStream, pre_roll: Sequence[EncodedPacket]
    ) -> None:
        """Starts a clip of this group; packets before the first key frame are omitted."""
        admitted = sum(len(packet.data) for packet in pre_roll) + _STEP_BYTES
        with self._failing("clip", group.event_id):
            self._open_clip(group, stream, admitted)
        for packet in pre_roll:
            self.feed(packet)

    def join_clip(self, request: CaptureRequest) -> None:
        """Adds an event to the open clip; reports its failure if that clip has ended early."""
        if self._clip is not None:
            self._clip.group.join(request)
        else:
            self._on_failure("clip", (request.event_id,), self._clip_ended)

    def feed(self, packet: EncodedPacket) -> None:
        """Adds a packet to the open clip; does nothing if there is none, as after a failure."""
        if (clip := self._clip) is None:
            return
        try:
            clip.writer.feed(packet)
        except CaptureError as error:
            self._abandon(clip, error)
            raise
        if clip.writer.bytes > clip.admitted:
            self._make_more_room(clip)

    def end_clip(self) -> None:
        """Completes the open clip, if any."""
        if (clip := self._clip) is None:
            return
        try:
            info = clip.writer.complete()
            entry = _clip_entry(info, clip.stream)
            self._complete(clip.group, entry, info.wall_ns, clip.writer.part)
        except CaptureError as error:
            self._abandon(clip, error)
            raise
        self._clip = None
        self.guard.release(clip.group.sidecar_path)

    def _open_clip(self, group: CaptureGroup, stream: EncodedStream, admitted: int) -> None:
        self._claim(group, admitted)
        self.guard.hold(group.sidecar_path)
        try:
            tags = partial(clip_tags, group.sidecar)
            writer = ClipWriter(group.path(CLIP_SUFFIX), stream, group.wall_offset_ns, tags)
        except CaptureError:
            self.guard.release(group.sidecar_path)
            raise
        self._clip = _OpenClip(group, writer, stream, admitted)

    def _make_more_room(self, clip: _OpenClip) -> None:
        """Without room, the clip ends here, and the part that is written is kept."""
        clip.admitted = clip.writer.bytes + _STEP_BYTES
        written = clip.group.media_bytes + clip.writer.bytes
        self.guard.record(clip.group.sidecar_path, written, clip.group.sidecar)
        try:
            self.guard.admit(_STEP_BYTES)
        except CaptureError as error:
            self._clip_ended = str(error)
            self.end_clip()
            raise

    def _abandon(self, clip: _OpenClip, error: CaptureError) -> None:
        self._clip = None
        self._clip_ended = str(error)
        clip.writer.abort()
        self.guard.record(clip.group.sidecar_path, clip.group.media_bytes, clip.group.sidecar)
        self.guard.release(clip.group.sidecar_path)
        self._on_failure("clip", clip.group.event_ids, str(error))

    def _claim(self, group: CaptureGroup, bytes_: int) -> None:
        """Makes room for a file of the group, and gives a new group its number and name.

        Room comes first, as a disk without room for files has none for the folder of a new day.
        """
        if group.is_claimed:
            with self.guard.holding(group.sidecar_path):
                self.guard.admit(bytes_)
        else:
            self.guard.admit(bytes_)
            self.guard.stamp(group.sidecar, group.folder(self._root))
            group.claim(self._root, self._settings.name_pattern)

    def _complete(
        self, group: CaptureGroup, entry: FileEntry, wall_ns: int, media: PartFile
    ) -> None:
        """Publishes a file with its sidecar; a file that fails is removed.

        A folder that can't be synced is an error too, which is raised after the file was reported:
        both files have their names.
        """
        path = group.sidecar_path
        group.sidecar.files.append(entry)
        try:
            sidecar_bytes = publish(media, group.sidecar, path)
        except CaptureError:
            group.sidecar.files.pop()
            with suppress(OSError):
                media.discard()
            raise
        try:
            with capturing(path.parent):
                sync_directory(path.parent)
        finally:
            self.guard.record(path, group.media_bytes + sidecar_bytes, group.sidecar)
            self._on_capture(group.result(entry, wall_ns))

    @contextmanager
    def _failing(self, kind: CaptureKind, *event_ids: str) -> Iterator[None]:
        """Reports a CaptureError as the failure of these events, and passes it on."""
        try:
            yield
        except CaptureError as error:
            if kind == "clip":
                self._clip_ended = str(error)
            self._on_failure(kind, event_ids, str(error))
            raise


def _written(path: Path, data: bytes) -> PartFile:
    """The finished content of a file without its name yet. Raises CaptureError."""
    with capturing(path):
        part = PartFile(path)
        try:
            part.write(data)
        except BaseException:
            with suppress(OSError):
                part.discard()
            raise
        return part


def _clip_entry(info: ClipInfo, stream: EncodedStream) -> FileEntry:
    return FileEntry(
        name=info.path.name,
        kind="clip",
        bytes=info.bytes,
        width=stream.shown_size[0],
        height=stream.shown_size[1],
        time=iso_time(info.wall_ns),
        time_utc=utc_time(info.wall_ns),
        duration_s=round(info.duration_s, 3),
        frames=info.frames,
    )
