"""The picture and the stream for other programs, with a real daemon and raw HTTP."""

from __future__ import annotations

import base64
import contextlib
import io
import socket
from collections.abc import Iterator
from typing import IO

import av
import pytest
from PIL import Image

from edge.web.stream import MAX_VIEWERS
from tests.support.viewing import Viewed, until, view

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def locked(viewing: Viewed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    """Another view of the daemon, with a token."""
    token = tmp_path_factory.mktemp("stream") / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    folder = viewing.file.parent
    with view(folder, "--token-file", str(token)) as port:
        locked = Viewed(folder, port)
        until(lambda: locked.ask("GET", "/picture.jpg", Authorization=basic(TOKEN))[0] == 200)
        yield locked


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


@contextlib.contextmanager
def stream(locked: Viewed) -> Iterator[tuple[int, IO[bytes]]]:
    """Status and body of a stream."""
    with socket.create_connection(("127.0.0.1", locked.port), timeout=10) as connection:
        head = ["GET /stream.mjpg HTTP/1.1", "Host: localhost", f"Authorization: {basic(TOKEN)}"]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        with connection.makefile("rb") as body:
            status = int(body.readline().split()[1])
            while body.readline().strip():
                pass
            yield status, body


def pictures(body: IO[bytes]) -> Iterator[Image.Image]:
    """The pictures in a body with chunks, without which no part may come."""
    data = b""
    while size := int(body.readline(), 16):
        data += body.read(size)
        body.readline()
        head, end, rest = data.partition(b"\r\n\r\n")
        length = int(head.rpartition(b"Content-Length: ")[2]) if end else 0
        if length and len(rest) >= length + 2:
            assert head.startswith(b"--edge-frame\r\nContent-Type: image/jpeg")
            yield Image.open(io.BytesIO(rest[:length]))
            data = rest[length + 2 :]


def test_the_picture_is_a_jpeg(locked: Viewed) -> None:
    status, headers, data = locked.ask("GET", "/picture.jpg", Authorization=basic(TOKEN))
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(data)).size == (640, 480)


def test_a_stream_has_one_picture_after_the_other(locked: Viewed) -> None:
    with stream(locked) as (status, body):
        assert status == 200
        shown = pictures(body)
        first, second = next(shown), next(shown)
        assert first.size == second.size == (640, 480)
        assert first.tobytes() != second.tobytes()


def test_a_player_shows_the_stream(locked: Viewed) -> None:
    address = f"http://anyone:{TOKEN}@127.0.0.1:{locked.port}/stream.mjpg"
    with av.open(address, timeout=10) as container:
        stream = container.streams.video[0]
        frames = [frame for frame, _ in zip(container.decode(stream), range(3), strict=False)]
    assert [(frame.width, frame.height) for frame in frames] == [(640, 480)] * 3


def test_viewers_are_bounded_and_a_place_is_free_again_when_one_leaves(locked: Viewed) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_VIEWERS):
            assert stack.enter_context(stream(locked))[0] == 200
        status, _, data = locked.ask("GET", "/stream.mjpg", Authorization=basic(TOKEN))
        assert status == 503
        assert b"viewers have a stream already" in data
        assert locked.ask("GET", "/picture.jpg", Authorization=basic(TOKEN))[0] == 200

    def admits() -> bool:
        with stream(locked) as (status, _):
            return status == 200

    until(admits)


@pytest.mark.parametrize("path", ["/picture.jpg", "/stream.mjpg"])
def test_without_the_token_a_program_is_asked_for_it(locked: Viewed, path: str) -> None:
    for shown in ({}, {"Authorization": basic("wrong")}, {"Authorization": "Basic %%%"}):
        status, headers, _ = locked.ask("GET", path, **shown)
        assert (status, headers["www-authenticate"]) == (401, 'Basic realm="edge view"')
    status, headers, _ = locked.ask("GET", "/api/settings")
    assert (status, "www-authenticate" in headers) == (401, False)  # the page asks by itself
    other = {"Authorization": basic(TOKEN), "Sec_Fetch_Site": "cross-site"}
    assert locked.ask("GET", path, **other)[0] == 403


def test_an_open_stream_ends_with_the_view(locked: Viewed) -> None:
    """`view` fails if the process doesn't end in time, or with a traceback."""
    folder = locked.file.parent
    with contextlib.ExitStack() as stack:
        with view(folder) as port:
            body = stack.enter_context(stream(Viewed(folder, port)))[1]
            next(pictures(body))
        assert len(list(pictures(body))) < 40
