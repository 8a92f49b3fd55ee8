"""Slow connections, guesses of the token and large polygons: each is bounded, the page answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from edge.client import Control
from edge.web import connections, server
from edge.web.access import Guard, Token
from edge.web.camera import Camera
from edge.web.captures import Captures
from edge.web.guesses import ADDRESSES, ALL_PER_S, FREE, LONGEST_S, Guesses
from edge.web.server import Parts, make_app

SECRET = "correct-horse-battery-staple"
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The live view without a daemon, with a token."""
    camera = Camera(lambda: Control(f"ipc://{tmp_path}/no", timeout_s=0.2), 320)
    parts = Parts(camera, Captures(tmp_path, "cam0"), None, Token(SECRET, 1))
    with server.listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(
            make_app(parts), http=connections.BoundedProtocol, ws="none", log_config=None
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(running.serve([listening])))
        thread.start()
        yield listening.getsockname()[1]
        running.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def ask(port: int, path: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    """The first line of the response."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(GET.replace(b"GET", b"POST" if body else b"GET") % path + headers)
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return connection.recv(4096).partition(b"\r\n")[0]


def test_the_page_answers_while_many_slow_connections_last(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)
    with contextlib.ExitStack() as stack:
        slow = []
        for number in range(60):
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            slow.append(stack.enter_context(connection))
            connection.sendall((GET % b"/")[: number % 20])
        for _ in range(5):
            assert ask(port, b"/") == b"HTTP/1.1 200 OK"
        assert len(connections._open) <= 21


def test_a_request_that_is_never_complete_ends_its_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.3)
    post = (GET % b"/api/login").replace(b"GET", b"POST")
    for start in (b"", GET % b"/", post + b"Content-Type: application/json\r\n"
                  b"Content-Length: 99\r\n\r\n{"):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(start)
            began_s = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() < began_s + 3:
                    connection.sendall(b"x")
                    connection.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        if not connection.recv(4096):
                            break
            assert time.monotonic() < began_s + 2.5


def test_guesses_are_refused_without_a_look_after_the_first_ones(port: int) -> None:
    lines = [ask(port, b"/api/status", b"Authorization: Bearer x%d\r\n" % n) for n in range(200)]
    assert [line.split()[1] for line in lines[:FREE]] == [b"401"] * FREE
    assert lines.count(b"HTTP/1.1 401 Unauthorized") <= FREE + 3
    assert b"429" in lines[-1]
    login = b'{"token": "%s"}' % SECRET.encode()
    assert b"429" in ask(port, b"/api/login", b"Content-Type: application/json\r\n", login)
    assert ask(port, b"/") == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"token":"\xff"}', b'{"token":' * 20_000, b"\0"]
)
def test_no_body_of_a_login_is_an_internal_error(port: int, body: bytes) -> None:
    assert b" 400 " in ask(port, b"/api/login", b"Content-Type: application/json\r\n", body)


def test_the_wait_grows_to_its_limit_and_ends_with_the_right_token() -> None:
    clock = [0.0]
    guesses = Guesses(lambda: clock[0])
    waits = []
    for _ in range(FREE + 12):
        clock[0] += guesses.wait_s("a")
        guesses.note("a", right=False)
        waits.append(guesses.wait_s("a"))
    assert waits[: FREE - 1] == [0.0] * (FREE - 1)
    assert sorted(waits) == waits
    assert waits[-1] == LONGEST_S
    clock[0] += LONGEST_S
    guesses.note("a", right=True)
    assert guesses.wait_s("a") == 0


def test_many_addresses_together_are_limited_but_the_owner_is_not() -> None:
    clock = [0.0]
    guesses = Guesses(lambda: clock[0])
    guesses.note("owner", right=True)
    looked_at = 0
    for number in range(5 * ADDRESSES):
        clock[0] += 0.001
        if guesses.wait_s(f"10.0.{number}") == 0:
            looked_at += 1
            guesses.note(f"10.0.{number}", right=False)
    assert looked_at <= ALL_PER_S * (2 + 5 * ADDRESSES / 1000)
    assert guesses.wait_s("owner") == 0
    assert len(guesses._wrong) <= ADDRESSES


@given(
    st.lists(st.tuples(
        st.sampled_from([b"host", b"origin", b"cookie", b"authorization", b"content-type"]),
        st.binary(max_size=60) | st.sampled_from([b"[", b"//[:", b"edge_view_1=\xff", b"Bearer "]),
    )),
    st.text(max_size=20),
    st.sampled_from(["GET", "PUT", "\u20ac"]),
)  # fmt: skip
def test_any_headers_are_admitted_or_refused(
    headers: list[tuple[bytes, bytes]], path: str, method: str
) -> None:
    scope = {"type": "http", "headers": headers, "path": path, "method": method, "client": None}
    for token in (None, Token(SECRET, 1)):
        refusal = Guard(None, token).refusal(scope)  # type: ignore[arg-type]
        assert refusal is None or 400 <= refusal[0] < 500
