"""A model is one file: the TFLite flatbuffer and the data that its decoder needs.

As in TFLite metadata, associated files are a ZIP archive appended to the flatbuffer: the
interpreter ignores it, and `unzip -l model.tflite` lists it. It may hold `labels.txt`, one label
per line, and, for a model without post-processing, `detector.json` (`DetectorSpec`) and
`anchors.npy` (float32 (n, 4): cy cx h w in 0..1).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import ModelError
from edge.runtime.files import write_atomic

LABELS, SPEC, ANCHORS = "labels.txt", "detector.json", "anchors.npy"
FORMAT = 1
MAX_MEMBER_BYTES = 16_000_000  # a million anchors; the largest real ones are 50 kB
EPOCH = (1980, 1, 1, 0, 0, 0)  # in every archive, so that the same content has the same hash

Anchors = npt.NDArray[np.float32]


class DetectorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The reading of raw boxes and scores.

    box_scales: divisors of the box code, for y x h w.
    score: the function from a logit to a score.
    first_class_column: 1 if column 0 of the scores is the background, otherwise 0.
    """

    name: str
    licence: str
    box_scales: tuple[float, float, float, float]
    score: Literal["sigmoid", "none"]
    first_class_column: int
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model as read; `spec` and `anchors` are set together or not at all."""

    path: Path
    flatbuffer: bytes
    labels: tuple[str, ...]
    spec: DetectorSpec | None
    anchors: Anchors | None


def read_model(path: Path) -> ModelFile:
    """Reads a model and its attached files. Raises ModelError with one sentence."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model {path}: {error.strerror}") from error
    if data[4:8] != b"TFL3":
        raise ModelError(f"model {path}: not a TFLite model (it has {len(data)} bytes)")
    members = _members(path, data)
    labels = _labels(path, members)
    if SPEC not in members:
        return ModelFile(path, data, labels, None, None)
    try:
        spec = msgspec.json.decode(members[SPEC], type=DetectorSpec)
        anchors = np.load(io.BytesIO(members[ANCHORS]), allow_pickle=False)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise ModelError(f"model {path}: the attached {SPEC} or {ANCHORS} is damaged") from error
    if spec.format != FORMAT or anchors.ndim != 2 or anchors.shape[1] != 4:
        raise ModelError(f"model {path}: attached data of format {spec.format}, not {FORMAT}")
    return ModelFile(path, data, labels, spec, np.asarray(anchors, np.float32))


def attach(
    path: Path,
    flatbuffer: bytes,
    *,
    labels: tuple[str, ...],
    spec: DetectorSpec | None = None,
    anchors: Anchors | None = None,
) -> None:
    """Writes a model with its associated files, completely or not at all. Raises OSError."""
    buffer = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, LABELS, "".join(f"{label}\n" for label in labels).encode())
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
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if info.file_size <= MAX_MEMBER_BYTES]
            return {info.filename: archive.read(info) for info in infos}
    except zipfile.BadZipFile:
        return {}  # nothing attached
    except (OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ModelError(f"model {path}: its attached files are damaged") from error


def _labels(path: Path, members: dict[str, bytes]) -> tuple[str, ...]:
    """The labels attached to the file, or those beside it in `<name>.labels.txt`."""
    attached = members.get(LABELS)
    if attached is None:  # TFLite metadata leaves the name to the exporter
        texts = sorted(name for name in members if name.endswith(".txt"))
        attached = members[texts[0]] if texts else None
    if attached is None:
        sibling = path.with_suffix(".labels.txt")
        if not sibling.is_file():
            raise ModelError(f"model {path}: no labels, neither attached nor in {sibling.name}")
        attached = sibling.read_bytes()
    try:
        return tuple(line.strip() for line in attached.decode().splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise ModelError(f"model {path}: its labels are not UTF-8 text") from error
