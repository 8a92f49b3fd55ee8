"""User name, password and token of footage on the web stay out of a dataset and of all outputs."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from mobiledet.cli import commands
from tests.support.films import encode

USER, PASSWORD, TOKEN = "grace-hopper", "s3cret-w0rd", "t0ken-of-hers"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """The port of a server of `walk.mkv`."""
    scene = SyntheticScene("walk", SceneOptions(fps=10, width=160, height=120))
    folder = tmp_path / "web"
    folder.mkdir()
    images = [np.asarray(scene.render(n).rgb(), np.uint8) for n in range(30)]
    encode(folder / "walk.mkv", [np.asarray(cv2.resize(i, (160, 120)), np.uint8) for i in images])
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield web.server_port
        web.shutdown()


def run(*arguments: object) -> str:
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    return f"{result.exit_code} {result.output} {result.exception}"


def leaks(text: str) -> list[str]:
    return [secret for secret in (USER, PASSWORD, TOKEN) if secret in text]


def test_a_dataset_names_its_footage_without_credentials(server: int, tmp_path: Path) -> None:
    uri = f"http://{USER}:{PASSWORD}@127.0.0.1:{server}/walk.mkv?token={TOKEN}"
    out, distilled = tmp_path / "set", tmp_path / "distilled"
    printed = {
        "harvest": run("harvest", uri, "--out", out),
        "again": run("harvest", uri, "--out", out),
        "twice": run("harvest", uri, uri, "--out", tmp_path / "other"),
        "missing": run("harvest", uri.replace("walk", "run"), "--out", tmp_path / "other"),
        "scheme": run("harvest", uri.replace("http:", "htpp:"), "--out", tmp_path / "other"),
        "distill": run("distill", uri, "--out", distilled, "--every", 10),
        "nothing": run("distill", uri, "--out", tmp_path / "third", "--start-s", 1000),
    }
    assert printed["harvest"].startswith("0 ")
    assert "holds http://***@" in printed["again"]
    assert "is given twice" in printed["twice"]
    assert "404" in printed["missing"]
    assert printed["distill"].startswith("0 ")
    assert "no frames between" in printed["nothing"]
    assert {name: found for name, text in printed.items() if (found := leaks(text))} == {}
    files = [path for folder in (out, distilled) for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"dataset.json", "tracks.csv", "sheet.html"}
    for path in files:
        assert leaks(path.name + path.read_bytes().decode("latin-1")) == []
    assert "http://***@127.0.0.1" in (out / "dataset.json").read_text()
