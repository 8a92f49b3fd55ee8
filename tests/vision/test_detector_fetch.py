"""`edge models fetch` with an address: a real server, and files of every kind."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from edge.config.schema import ModelSettings
from edge.errors import ConfigError, ModelError, TemporaryError
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import fetch, load_catalog
from tests.support import tflite

MODEL = tflite.with_members(
    tflite.constant_model([np.zeros((1, 300, 6), np.float32)]), labels_txt="wolf\n"
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.tflite", content)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [MODEL, archive(detect=MODEL)])
def test_a_model_or_an_archive_with_one_is_installed_under_its_name(
    tmp_path: Path, served: tuple[Path, str], content: bytes
) -> None:
    folder, address = served
    (folder / "my wolves.v2.bin").write_bytes(content)
    url = f"{address}/my%20wolves.v2.bin?download=1"
    totals = set()
    path = fetch(url, tmp_path, progress=lambda _, total: totals.add(total),
                 sha256=sha256(content).upper())  # fmt: skip
    assert path.parent == tmp_path
    assert path.suffix == ".tflite"
    assert totals == {None}
    assert Detector(ModelSettings(), path).labels == ("wolf",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"<!DOCTYPE html>", "a web page"), (archive(note=b""), "not a TFLite model"),
     (archive(a=MODEL, b=MODEL), "2 .tflite files"), (archive(a=b"x"), "not a TFLite model"),
     (b"PK\x03\x04damaged", "the archive is damaged")],
)  # fmt: skip
def test_other_downloads_are_refused_and_leave_nothing(
    tmp_path: Path, served: tuple[Path, str], content: bytes, expected: str
) -> None:
    folder, address = served
    (folder / "m.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=expected):
        fetch(f"{address}/m.tflite", tmp_path / "out", sha256=sha256(content))
    with pytest.raises(ModelError, match="the SHA-256 differs"):
        fetch(f"{address}/m.tflite", tmp_path / "out", sha256="0" * 64)
    with pytest.raises(TemporaryError, match=r"File not found.*use --from FILE"):
        fetch(f"{address}/absent.tflite", tmp_path / "out", sha256="0" * 64)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("address", "digest", "expected"),
    [("https://example.org/m.tflite", "", "needs --sha256"),
     ("https://example.org/m.tflite", "xyz", "needs --sha256"),
     ("file:///etc/passwd", "0" * 64, "begins with https://"),
     ("ftp://example.org/m.tflite", "0" * 64, "begins with https://"),
     ("https://[", "0" * 64, "not an address"),
     ("https://example.org/", "0" * 64, "isn't possible"),
     ("https://example.org/..", "0" * 64, "isn't possible"),
     ("https://example.org/coco_ssd_mobilenet_v1.tflite", "0" * 64, "isn't possible")],
)  # fmt: skip
def test_wrong_addresses_are_wrong_usage(
    tmp_path: Path, address: str, digest: str, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        fetch(address, tmp_path, sha256=digest)


def test_a_model_of_the_catalogue_without_a_hash_needs_one(tmp_path: Path) -> None:
    (copy := tmp_path / "copy.tflite").write_bytes(MODEL)
    name = next(name for name, entry in load_catalog().items() if entry.url and not entry.sha256)
    for digest in ("", "xyz"):
        with pytest.raises(ConfigError, match=rf"model {name}: .* needs --sha256"):
            fetch(name, tmp_path / "out", copy, sha256=digest)
    with pytest.raises(ModelError, match="the SHA-256 differs"):
        fetch(name, tmp_path / "out", copy, sha256="0" * 64)
    path = fetch(name, tmp_path / "out", copy, sha256=sha256(MODEL))
    assert Detector(ModelSettings(), path).labels == ("wolf",)


def test_a_hash_that_differs_from_the_catalogues_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="differs from the one in the catalogue"):
        fetch("efficientdet_lite0", tmp_path, sha256="0" * 64)
