"""Finds installed models, describes them and fetches more.

The catalogue, `models/catalog.toml`, lists each model with its official address and SHA-256. An
installed model is one file, `<name>.tflite`, with its labels attached
(`edge.vision.detector.model_file`).
"""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import re
import tempfile
import tomllib
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from edge.config.words import suggestion
from edge.errors import ConfigError, ModelError, TemporaryError
from edge.runtime.files import write_atomic
from edge.vision.detector.foreign import kind_of
from edge.vision.detector.model_file import MAX_MODEL_BYTES, attach, readable

PACKAGE = Path(__file__).resolve().parents[2]
CATALOG = "catalog.toml"
TIMEOUT_S = 20  # for each answer of the server
BLOCK_BYTES = 1 << 16
MAX_MEMBER_BYTES = 200_000_000  # bounds the memory for a member, whatever the archive states
MAX_LABELS_BYTES = 1_000_000

Progress = Callable[[int, int | None], None]


class CatalogEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model of the catalogue; without a `url` it is shipped.

    sha256: of the download; empty where the project doesn't know it, so that a person must give it.
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
    with readable(Path(name_or_path[:100]), "the name"):  # too long, or of an unknown home folder
        return _found(name_or_path)


def _found(name_or_path: str) -> Path:
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    installed, name = installed_models(), name_or_path.removesuffix(".tflite")
    if name in installed:
        return installed[name]
    if path.exists():  # a folder or a pipe is refused with its own sentence when it is read
        return path
    if len(path.parts) > 1:
        raise ModelError(f"model {name_or_path}: there is no such file")
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
    sha256: str = "",
) -> Path:
    """Installs a model as one file and returns its path.

    name: of the catalogue, or the address of a .tflite file or a ZIP archive with one.
    from_file: a copy of the download on this machine. progress: is called with the bytes done and
    their total, None if unknown. sha256: in hexadecimal, of an address or of a model whose entry
    has none. Raises ModelError for a wrong or damaged download, TemporaryError without network,
    ConfigError for a missing or contradicting sha256.
    """
    if "://" in name:
        name, entry = _of_address(name, sha256)
    else:
        entry = _of_catalogue(name, sha256)
    directory = directory or _user_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / f"{name}.tflite"
        with tempfile.TemporaryFile(dir=directory) as download:
            _verified_copy(entry, from_file, download, progress)
            if entry.member:
                model, labels = _unpack(name, entry, download)
                attach(target, model, labels=labels)
            else:
                write_atomic(target, _only_model(entry, download))
    except OSError as error:
        raise ModelError(f"{directory}: can't install there: {error.strerror or error}") from error
    return target


def _of_catalogue(name: str, sha256: str) -> CatalogEntry:
    catalog = load_catalog()
    if name not in catalog:
        raise ModelError(f"the catalogue has no model {name}; it has {', '.join(catalog)}")
    if not catalog[name].url:
        raise ModelError(f"model {name} is shipped with edge-trigger; there is nothing to fetch")
    entry = catalog[name]
    if entry.sha256 and sha256.lower() not in ("", entry.sha256):
        raise ConfigError(f"model {name}: --sha256 differs from the one in the catalogue")
    if not entry.sha256:
        _check_sha256(sha256, f"model {name}: its SHA-256 is not in the catalogue: it")
        return msgspec.structs.replace(entry, sha256=sha256.lower())
    return entry


def _check_sha256(sha256: str, what: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigError(f"{what} needs --sha256 with the 64 digits of the file's SHA-256")


def _of_address(address: str, sha256: str) -> tuple[str, CatalogEntry]:
    """The name under which a download is installed, and an entry for it."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as error:
        raise ConfigError(f"{address}: not an address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{address}: write an address that begins with https://")
    _check_sha256(sha256, "an address")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(parts.path).stem)[:100].lstrip(".")
    if not name or name in load_catalog():
        raise ConfigError(f"{address}: it would be installed as {name!r}, which isn't possible")
    return name, CatalogEntry(
        description="", licence="", input_px=0, url=address, sha256=sha256.lower()
    )


def _only_model(entry: CatalogEntry, download: BinaryIO) -> bytes:
    """The download if it is a TFLite model, otherwise the only model in it."""
    download.seek(0)
    data = download.read()
    if data.startswith(b"PK\x03\x04"):
        with readable(Path(entry.url), "the archive"), zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [one for one in archive.namelist() if one.endswith(".tflite")]
            if len(names) != 1:
                raise ModelError(f"{entry.url}: the archive has {len(names)} .tflite files, not 1")
            data = _member(archive, names[0], MAX_MEMBER_BYTES)
    if data[4:8] != b"TFL3":
        raise ModelError(f"{entry.url}: {kind_of(Path(entry.url).name, data)}")
    return data


def _verified_copy(
    entry: CatalogEntry, from_file: Path | None, target: BinaryIO, progress: Progress | None
) -> None:
    """Copies the archive; one that differs from the catalogue's is refused before it is opened."""
    digest, done = hashlib.sha256(), 0
    with _opened(entry, from_file) as source:
        while block := _read(source, entry):
            digest.update(block)
            done += len(block)
            if done > (entry.size_bytes or MAX_MODEL_BYTES):
                break
            target.write(block)
            if progress is not None:
                progress(done, entry.size_bytes or None)
    origin = from_file or entry.url
    if done > MAX_MODEL_BYTES:
        raise ModelError(f"{origin}: larger than {MAX_MODEL_BYTES} bytes")
    if entry.size_bytes and done != entry.size_bytes:
        fault = "too long" if done > entry.size_bytes else f"cut off after {done} bytes"
        raise ModelError(f"{origin}: {fault}; it must have {entry.size_bytes} bytes")
    if digest.hexdigest() != entry.sha256:
        raise ModelError(f"{origin}: the SHA-256 differs from the expected one; not installed")


def _opened(entry: CatalogEntry, from_file: Path | None) -> BinaryIO:
    if from_file is not None:
        if not from_file.is_file():
            raise ModelError(f"{from_file}: there is no such file")
        try:
            return from_file.open("rb")
        except OSError as error:
            raise ModelError(f"{from_file}: {error.strerror}") from error
    try:
        return cast(BinaryIO, urllib.request.urlopen(entry.url, timeout=TIMEOUT_S))  # noqa: S310
    except (OSError, ValueError, http.client.HTTPException) as error:
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
    with readable(Path(name), "its archive"), zipfile.ZipFile(archive) as opened:
        model = _member(opened, entry.member, MAX_MEMBER_BYTES)
        text = _member(opened, entry.labels, MAX_LABELS_BYTES).decode()
    return model, tuple(line.strip() for line in text.splitlines()[entry.labels_skip :])


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    if archive.getinfo(name).file_size > limit:
        raise ModelError(f"{name} in the archive is larger than {limit} bytes")
    return archive.read(name)


def _user_directory() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data) / "edge/models"
