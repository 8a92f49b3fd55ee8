"""Cameras that give one picture for each request, from real servers on loopback."""

from __future__ import annotations

import base64
import hashlib
import http.server
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable

import pytest

from edge.config.schema import SourceSettings
from edge.errors import ConfigError, SourceError, SourceLostError
from edge.sources import check, fetch, open_source
from edge.sources.reconnect import Reconnecting
from tests.sources.test_addresses import Quiet, served
from tests.sources.test_images import jpeg, levels


def camera(answer: Callable[[Quiet, int], None]) -> type[Quiet]:
    """A server that calls `answer` with itself and the number of the request."""
    numbers = itertools.count()

    class Camera(Quiet):
        def do_GET(self) -> None:  # noqa: N802
            answer(self, next(numbers))

    return Camera


def reply(to: Quiet, body: bytes, kind: str = "image/jpeg", status: int = 200) -> None:
    to.send_response(status)
    to.send_header("Content-Type", kind)
    to.send_header("ETag", '"always the same"')
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    to.wfile.write(body)


def settings_for(uri: str, every_s: float = 0.05) -> SourceSettings:
    return SourceSettings(uri=uri, snapshot_every_s=every_s)


def test_a_picture_is_fetched_each_period_and_the_same_picture_counts_too() -> None:
    pictures = [jpeg(100), jpeg(100), jpeg(120)]
    with served(camera(lambda to, n: reply(to, pictures[min(n, 2)]))) as address:
        source = open_source(settings_for(f"http://{address}/snapshot.jpg", 0.2))
        info = source.open()
        start_s = time.monotonic()
        frames = [frame for _ in range(4) if (frame := source.read())]
        elapsed_s = time.monotonic() - start_s
        source.close()
        assert source.read() is None
    assert (info.live, info.main_size, round(info.fps, 3)) == (True, (64, 48), 5)
    assert levels(frames) == [100, 100, 120, 120]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert 0.4 < elapsed_s < 2
    assert all(a.timestamp_ns < b.timestamp_ns for a, b in itertools.pairwise(frames))
    assert abs(frames[-1].wall_ns - time.time_ns()) < 60e9


def test_a_picture_is_turned_as_its_exif_says() -> None:
    with served(camera(lambda to, n: reply(to, jpeg(orientation=6)))) as address:
        source = open_source(settings_for(f"http://{address}/"))
        assert source.open().main_size == (48, 64)


def hang(to: Quiet, _: int) -> None:
    to.send_response(200)
    to.send_header("Content-Type", "image/jpeg")
    to.end_headers()
    time.sleep(1.5)


def drip(to: Quiet, _: int) -> None:
    to.send_response(200)
    to.send_header("Content-Type", "image/jpeg")
    to.end_headers()
    for _ in range(30):
        to.wfile.write(b"\xff")
        to.wfile.flush()
        time.sleep(0.1)


def drip_header(to: Quiet, _: int) -> None:
    to.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(30):
        to.wfile.write(b"x")
        to.wfile.flush()
        time.sleep(0.1)


def flood(to: Quiet, _: int) -> None:
    to.send_response(200)
    to.send_header("Content-Type", "image/jpeg")
    to.end_headers()
    while True:
        to.wfile.write(bytes(1 << 20))


def redirect(to: Quiet, number: int) -> None:
    to.send_response(302)
    to.send_header("Location", f"/again{number}")
    to.end_headers()


def redirect_to_file(to: Quiet, _: int) -> None:
    to.send_response(302)
    to.send_header("Location", "file:///etc/hostname")
    to.end_headers()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (hang, "no whole picture came within 0.5 s"),
        (drip, "no whole picture came within 0.5 s"),
        (drip_header, "no whole picture came within 0.5 s"),
        (flood, "the picture has more than 1 MiB"),
        (redirect, "302"),
        (redirect_to_file, "302"),
        (lambda to, n: reply(to, b"<html>Log in</html>", "text/html"), "text/html instead of a"),
        (lambda to, n: reply(to, b"--x", "multipart/x-mixed-replace"), "multipart/x-mixed-replace"),
        (lambda to, n: reply(to, b"<html>"), "the picture is damaged or not a picture"),
        (lambda to, n: reply(to, jpeg(size=(640, 480))[:4000]), "the picture is damaged"),
        (lambda to, n: reply(to, b""), "the picture is empty"),
        (lambda to, n: reply(to, b"no", status=500), "the camera answered 500"),
        (lambda to, n: reply(to, b"no", status=401), "401 .*check user name and password"),
        (lambda to, n: to.wfile.write(b"nonsense\r\n\r\n"), "not valid HTTP"),
        (lambda to, n: None, "not valid HTTP"),
    ],
)
def test_trouble_is_a_lost_source_within_the_time_limit(
    answer: Callable[[Quiet, int], None], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(http.server.ThreadingHTTPServer, "handle_error", lambda *_: None)
    with served(camera(answer)) as address:
        source = open_source(settings_for(f"http://user:secret@{address}/s.jpg"), 0.5)
        start_s = time.monotonic()
        with pytest.raises(SourceLostError, match=sentence) as lost:
            source.open()
        assert time.monotonic() - start_s < 1.4
        assert "secret" not in str(lost.value)


def test_a_camera_that_fails_for_a_while_is_back_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.sources.reconnect.FIRST_PAUSE_S", 0.05)

    def answer(to: Quiet, number: int) -> None:
        reply(to, b"busy" if 2 <= number < 4 else jpeg(), status=503 if 2 <= number < 4 else 200)

    events: list[str] = []
    with served(camera(answer)) as address:
        source = open_source(settings_for(f"http://{address}/s.jpg"), 2.0, events.append)
        source.open()
        frames = [frame for _ in range(5) if (frame := source.read())]
        source.close()
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert "the camera answered 503" in events[0]
    assert events[-1].endswith("is back")


def basic(to: Quiet, _: int) -> None:
    wanted = "Basic " + base64.b64encode(b"us er:p@ss/:word").decode()
    if to.headers.get("Authorization") == wanted:
        reply(to, jpeg())
    else:
        to.send_response(401)
        to.send_header("WWW-Authenticate", 'Basic realm="camera"')
        to.send_header("Content-Length", "0")
        to.end_headers()


def digest(to: Quiet, _: int) -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    given = dict(re.findall(r'(\w+)="?([^",]+)"?', to.headers.get("Authorization", "")))
    if given:
        first, second = md5("us er:cam:p@ss/:word"), md5(f"GET:{to.path}")
        right = md5(":".join([first, "n1", given["nc"], given["cnonce"], "auth", second]))
        if given["response"] == right:
            reply(to, jpeg())
            return
    to.send_response(401)
    to.send_header("WWW-Authenticate", 'Digest realm="cam", qop="auth", nonce="n1"')
    to.send_header("Content-Length", "0")
    to.end_headers()


@pytest.mark.parametrize("answer", [basic, digest])
def test_user_name_and_password_are_given_as_the_camera_asks(
    answer: Callable[[Quiet, int], None],
) -> None:
    with served(camera(answer)) as address:
        source = open_source(settings_for(f"http://us%20er:p%40ss%2F%3Aword@{address}/s.jpg?a=1"))
        source.open()
        assert all(source.read() for _ in range(8))
        source.close()
        with pytest.raises(SourceLostError, match="401"):
            open_source(settings_for(f"http://us%20er:wrong@{address}/s.jpg")).open()


def test_a_password_is_not_sent_to_another_server() -> None:
    seen: list[str | None] = []

    def other(to: Quiet, _: int) -> None:
        seen.append(to.headers.get("Authorization"))
        basic(to, 0)

    with served(camera(other)) as elsewhere:

        def away(to: Quiet, _: int) -> None:
            to.send_response(302)
            to.send_header("Location", f"http://localhost:{elsewhere.partition(':')[2]}/x.jpg")
            to.end_headers()

        with served(camera(away)) as address, pytest.raises(SourceLostError, match="401"):
            open_source(settings_for(f"http://us%20er:p%40ss%2F%3Aword@{address}/s.jpg")).open()
    assert seen
    assert set(seen) == {None}


@pytest.mark.parametrize("uri", ["http://u:p/w:x@cam:1/s.jpg", "http://cam:port/", "http://[::1/"])
def test_an_address_that_is_not_valid_is_one_sentence(uri: str) -> None:
    with pytest.raises(SourceError, match="the address is not valid"):
        open_source(settings_for(uri))


@pytest.mark.parametrize("uri", ["rtsp://cam/1", "picamera2:0", "/tmp", "synthetic:walk"])
def test_a_period_is_refused_for_other_sources(uri: str) -> None:
    (problem,) = check(settings_for(uri))
    assert problem.startswith("source.snapshot_every_s: only an http: or https: address can give")
    with pytest.raises(ConfigError):
        open_source(settings_for(uri))


def test_a_close_ends_the_wait_for_the_next_picture() -> None:
    with served(camera(lambda to, n: reply(to, jpeg()))) as address:
        source = open_source(settings_for(f"http://{address}/s.jpg", 60.0))
        source.open()
        source.read()
        threading.Timer(0.1, source.close).start()
        start_s = time.monotonic()
        assert source.read() is None
        assert time.monotonic() - start_s < 2


def test_a_long_period_is_not_a_hang() -> None:
    with served(camera(lambda to, n: reply(to, jpeg()))) as address:
        source = open_source(settings_for(f"http://{address}/s.jpg", 60.0))
        source.open()
        source.read()
        reader = threading.Thread(target=source.read)
        reader.start()
        time.sleep(0.3)
        assert isinstance(source, Reconnecting)
        assert source.answering_s() == 0.0
        source.close()
        reader.join(2)
        assert not reader.is_alive()


def test_a_port_where_nobody_listens_is_a_lost_source() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceLostError, match="Connection refused"):
        open_source(settings_for(f"http://127.0.0.1:{port}/s.jpg")).open()
