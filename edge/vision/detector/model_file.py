"""A model is one file: the TFLite flatbuffer and the data that its decoder needs.

As in TFLite metadata, associated files are a ZIP archive appended to the flatbuffer: the
interpreter ignores it, and `unzip -l model.tflite` lists it. It may hold `labels.txt`, one label
per line; `groups.json`, names of groups with their labels; and, for a model without
post-processing, `detector.json` (`DetectorSpec`) and `anchors.npy` (float32 (n, 4): cy cx h w in
0..1).
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import ModelError, PermanentError
from edge.runtime.files import explain, write_atomic
from edge.vision.detector.foreign import kind_of

LABELS, SPEC, ANCHORS, GROUPS = "labels.txt", "detector.json", "anchors.npy", "groups.json"
FORMAT = 1
DEFAULT_MIN_SCORE = 0.5  # of models whose file names none
DEFAULT_WEAK_SCORE = 0.25
MAX_MODEL_BYTES = 600_000_000  # the largest that people use, MegaDetector v5 in float, has 560 MB
MAX_ATTACHED_BYTES = 16_000_000  # all used members: a million anchors; real ones have 50 kB
MAX_DIRECTORY_BYTES = 100_000  # of the archive: some thousand members
MAX_TEXT_BYTES = 1_000_000
USED = (SPEC, ANCHORS, GROUPS, "metadata.json")  # and texts, for labels
END_OF_DIRECTORY, END_BYTES = b"PK\x05\x06", 22
EPOCH = (1980, 1, 1, 0, 0, 0)  # in every archive, so that the same content has the same hash

Anchors = npt.NDArray[np.float32]


class DetectorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The reading of raw boxes and scores.

    box_scales: divisors of the box code, for y x h w.
    score: the function from a logit to a score.
    first_class_column: 1 if column 0 of the scores is the background, otherwise 0.
    min_score: lowest score of a detection, unless the configuration sets another.
    weak_score: lowest score with which a detection may continue a track, likewise.
    """

    name: str
    licence: str
    box_scales: tuple[float, float, float, float]
    score: Literal["sigmoid", "none"]
    first_class_column: int
    min_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = DEFAULT_MIN_SCORE
    weak_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = DEFAULT_WEAK_SCORE
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file as read; `spec` and `anchors` are set together or not at all.

    flatbuffer: the whole file, as the interpreter ignores the rest. members: the attached files
    that are used, by name.
    """

    path: Path
    flatbuffer: bytes
    members: Mapping[str, bytes]
    spec: DetectorSpec | None
    anchors: Anchors | None


@contextmanager
def readable(path: Path, part: str) -> Iterator[None]:
    """The one guard of everything that reads a model: any failure becomes a ModelError."""
    try:
        yield
    except PermanentError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(sentence(path, f"{part} is damaged or unknown ({reason})")) from error


def sentence(path: Path, text: str) -> str:
    """One line that names the file, without control characters from inside it."""
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if text.startswith(f"model {path}: ") else f"model {path}: {text}"


def read_file(path: Path) -> ModelFile:
    """Reads a model and its attached files. Raises ModelError with one sentence."""
    data = read_regular(path, MAX_MODEL_BYTES)
    if data[4:8] != b"TFL3":
        raise ModelError(f"model {path}: {kind_of(path.name, data)}")
    with readable(path, "its attached archive"):
        members = _members(path, data)
    spec, anchors = None, None
    if SPEC in members:
        with readable(path, f"the attached {SPEC} or {ANCHORS}"):
            spec = msgspec.json.decode(members[SPEC], type=DetectorSpec)
            loaded = np.load(io.BytesIO(members[ANCHORS]), allow_pickle=False)
            anchors = checked_anchors(loaded, spec.box_scales)
            if spec.format != FORMAT:
                raise ModelError(f"model {path}: attached data of format {spec.format}")
            if spec.first_class_column not in (0, 1):
                raise ValueError(f"first_class_column {spec.first_class_column}, not 0 or 1")
    return ModelFile(path, data, members, spec, anchors)


def read_regular(path: Path, limit: int, what: str = "model") -> bytes:
    """The content of a regular file; anything else is refused without waiting for it.

    what: the file is, for the message. Raises ModelError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ModelError(f"{what} {path}: {explain(error)}") from error
    except ValueError as error:  # a NUL in the name
        raise ModelError(f"{what} {str(path)!r}: {error}") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe or device"
            raise ModelError(f"{what} {path}: it is {kind}, not a file")
        if facts.st_size > limit:
            size = f"{facts.st_size} bytes, more than the {limit} that are allowed"
            raise ModelError(f"{what} {path}: the file has {size}")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(limit)
    except OSError as error:
        raise ModelError(f"{what} {path}: {explain(error)}") from error
    finally:
        os.close(descriptor)


def checked_anchors(anchors: npt.NDArray[np.generic], scales: tuple[float, ...]) -> Anchors:
    """Anchors as float32 (n, 4). Raises ValueError for values that can't make boxes."""
    if anchors.ndim != 2 or anchors.shape[1] != 4 or not len(anchors):
        raise ValueError(f"anchors of shape {anchors.shape}, expected (number, 4)")
    values = np.asarray(anchors, np.float32)
    if not np.isfinite(values).all() or (values[:, 2:] <= 0).any():
        raise ValueError("anchors with values that are not finite or sizes that are not above 0")
    if not (np.isfinite(scales).all() and min(scales) > 0):
        raise ValueError(f"box scales {scales}, expected numbers above 0")
    return values


def attach(
    path: Path,
    flatbuffer: bytes,
    *,
    labels: tuple[str, ...],
    spec: DetectorSpec | None = None,
    anchors: Anchors | None = None,
    groups: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """Writes a model with its associated files, completely or not at all. Raises OSError.

    groups: names of groups and their labels; None uses those of `edge.vision.detector.groups`.
    """
    buffer = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, LABELS, "".join(f"{label}\n" for label in labels).encode())
        if groups is not None:
            _add(archive, GROUPS, msgspec.json.format(msgspec.json.encode(groups)))
        if spec is not None and anchors is not None:
            _add(archive, SPEC, msgspec.json.format(msgspec.json.encode(spec)))
            _add(archive, ANCHORS, _npy(anchors))
    write_atomic(path, buffer.getvalue())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.external_attr = 0o644 << 16
    archive.writestr(member, content, zipfile.ZIP_DEFLATED)


def _npy(array: Anchors) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _members(path: Path, data: bytes) -> dict[str, bytes]:
    """The members that are used, within a total; a larger archive is refused before it is read."""
    end = data.rfind(END_OF_DIRECTORY, max(0, len(data) - END_BYTES - (1 << 16)))
    if end < 0:
        return {}  # nothing attached
    if int.from_bytes(data[end + 12 : end + 16], "little") > MAX_DIRECTORY_BYTES:
        raise ModelError(f"model {path}: its attached archive has too many members")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile:
        if data[end + 10 : end + 12] == b"\0\0":  # these four bytes are part of the weights
            return {}
        raise
    members, left = {}, MAX_ATTACHED_BYTES
    with archive:
        for info in archive.infolist():
            if info.filename not in USED and not info.filename.endswith(".txt"):
                continue
            limit = left if info.filename == ANCHORS else min(left, MAX_TEXT_BYTES)
            if info.file_size > limit:
                raise ModelError(f"model {path}: the attached {info.filename} is too large")
            members[info.filename] = archive.read(info)
            left -= info.file_size
    return members
