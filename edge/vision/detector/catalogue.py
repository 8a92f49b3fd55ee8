"""Finds installed models, describes them and fetches more.

The catalogue, `models/catalog.toml`, lists each model with its official address and SHA-256. An
installed model is one file, `<name>.tflite`, with its labels attached
(`edge.vision.detector.model_file`).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from edge.config.words import suggestion
from edge.errors import ModelError, TemporaryError
from edge.vision.detector.model_file import attach

PACKAGE = Path(__file__).resolve().parents[2]
CATALOG = "catalog.toml"
TIMEOUT_S = 20  # for each answer of the server
BLOCK_BYTES = 1 << 16
MAX_MEMBER_BYTES = 200_000_000  # bounds the memory for a member, whatever the archive states
MAX_LABELS_BYTES = 1_000_000

Progress = Callable[[int, int], None]


class CatalogEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model of the catalogue; without a `url` it is shipped.

    member, labels: files in the archive at `url`. labels_skip: first lines that are not labels.
    """

    description: str
    licence: str
    input_px: int
    url: str = ""
    sha256: str = ""
    size_bytes: int = 0
    member: str = ""
    labels: str = ""
    labels_skip: int = 0


def model_directories() -> list[Path]:
    """Directories to search for models, in order: source tree, wheel, the user's, the system's."""
    return [
        PACKAGE.parent / "models",
        PACKAGE / "models_data",
        _user_directory(),
        Path("/var/lib/edge/models"),
    ]


def load_catalog() -> dict[str, CatalogEntry]:
    """The catalogue by name. Raises ModelError if it is missing or damaged."""
    for directory in model_directories()[:2]:
        path = directory / CATALOG
        if path.is_file():
            try:
                document = tomllib.loads(path.read_text())
                return msgspec.convert(document["models"], dict[str, CatalogEntry])
            except (tomllib.TOMLDecodeError, KeyError, msgspec.ValidationError) as error:
                raise ModelError(f"{path}: {error}") from error
    raise ModelError(f"the catalogue {CATALOG} is not installed; install edge-trigger again")


def installed_models() -> dict[str, Path]:
    """Path of every model in the known directories by its name; the first of a name is used."""
    models: dict[str, Path] = {}
    for directory in model_directories():
        for path in sorted(directory.glob("*.tflite")) if directory.is_dir() else []:
            models.setdefault(path.stem, path)
    return models


def find_model(name_or_path: str) -> Path:
    """The file of a model in a configuration. Raises ModelError with the nearest name."""
    path = Path(name_or_path).expanduser()
    if path.exists():  # a folder or a pipe is refused with its own sentence when it is read
        return path
    if len(path.parts) > 1:
        raise ModelError(f"model {name_or_path}: there is no such file")
    installed, name = installed_models(), name_or_path.removesuffix(".tflite")
    if name in installed:
        return installed[name]
    if name in load_catalog():
        raise ModelError(f"model {name} is not installed: edge models fetch {name}")
    nearest = suggestion(name, [*installed, *load_catalog()])
    raise ModelError(
        f"model {name_or_path} is neither a file nor a known model{nearest} (see edge models list)"
    )


def fetch(
    name: str,
    directory: Path | None = None,
    from_file: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Installs a model of the catalogue as one file and returns its path.

    from_file: a copy of the archive on this machine. progress: is called with the bytes done and
    their total. Raises ModelError for a wrong or damaged archive, TemporaryError without network.
    """
    entry = load_catalog().get(name)
    if entry is None:
        known = ", ".join(load_catalog())
        raise ModelError(f"the catalogue has no model {name}; it has {known}")
    if not entry.url:
        raise ModelError(f"model {name} is shipped with edge-trigger; there is nothing to fetch")
    directory = directory or _user_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as archive:
            _verified_copy(entry, from_file, archive, progress)
            model, labels = _unpack(name, entry, archive)
        target = directory / f"{name}.tflite"
        attach(target, model, labels=labels)
    except OSError as error:
        raise ModelError(f"{directory}: can't install there: {error.strerror or error}") from error
    return target


def _verified_copy(
    entry: CatalogEntry, from_file: Path | None, target: BinaryIO, progress: Progress | None
) -> None:
    """Copies the archive; one that differs from the catalogue's is refused before it is opened."""
    digest, done = hashlib.sha256(), 0
    with _opened(entry, from_file) as source:
        while block := _read(source, entry):
            digest.update(block)
            done += len(block)
            if done > entry.size_bytes:
                break
            target.write(block)
            if progress is not None:
                progress(done, entry.size_bytes)
    origin = from_file or entry.url
    if done != entry.size_bytes:
        fault = "too long" if done > entry.size_bytes else f"cut off after {done} bytes"
        raise ModelError(f"{origin}: {fault}; it must have {entry.size_bytes} bytes")
    if digest.hexdigest() != entry.sha256:
        raise ModelError(f"{origin}: the SHA-256 differs from the catalogue's; not installed")


def _opened(entry: CatalogEntry, from_file: Path | None) -> BinaryIO:
    if from_file is not None:
        try:
            return from_file.open("rb")
        except OSError as error:
            raise ModelError(f"{from_file}: {error.strerror}") from error
    try:
        return cast(BinaryIO, urllib.request.urlopen(entry.url, timeout=TIMEOUT_S))  # noqa: S310
    except OSError as error:
        raise _offline(entry, error) from error


def _read(source: BinaryIO, entry: CatalogEntry) -> bytes:
    try:
        return source.read(BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _offline(entry, error) from error


def _offline(entry: CatalogEntry, error: Exception) -> TemporaryError:
    reason = getattr(error, "reason", None) or error
    return TemporaryError(
        f"can't download {entry.url} ({reason}); download it elsewhere and use --from FILE"
    )


def _unpack(name: str, entry: CatalogEntry, archive: BinaryIO) -> tuple[bytes, tuple[str, ...]]:
    """Reads the two named members only, into memory and up to a limit."""
    try:
        with zipfile.ZipFile(archive) as opened:
            model = _member(opened, entry.member, MAX_MEMBER_BYTES)
            text = _member(opened, entry.labels, MAX_LABELS_BYTES).decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, EOFError) as error:
        raise ModelError(f"the archive of {name} is damaged: {error}") from error
    return model, tuple(line.strip() for line in text.splitlines()[entry.labels_skip :])


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    if archive.getinfo(name).file_size > limit:
        raise ModelError(f"{name} in the archive is larger than {limit} bytes")
    return archive.read(name)


def _user_directory() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data) / "edge/models"
