"""Gets single pictures and files by HTTP, within limits of size and time."""

from __future__ import annotations

import http.client
import shutil
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import IO, Any, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from edge.config.schema import SourceSettings
from edge.errors import SourceError, SourceLostError

MAX_BYTES: Final = 32 << 20  # twice a JPEG of 64 megapixels, the largest Pi camera
CHUNK_BYTES: Final = 64 << 10
MAX_REDIRECTIONS: Final = 5
REFUSED: Final = (401, 403)


class Fetcher:
    """Gets the bytes of one picture each time it is called, or a whole file."""

    def __init__(self, settings: SourceSettings, timeout_s: float) -> None:
        """Raises SourceError for an impossible address."""
        self._name = settings.name
        self._timeout_s = timeout_s
        self._url, user, password = _split(settings)
        self._connections = _Connections()
        self._opener = _opener(self._url, user, password, self._connections)

    def __call__(self) -> bytes:
        """Raises SourceLostError."""
        end_s = time.monotonic() + self._timeout_s
        # The sockets' own time limit begins again with each byte.
        timer = threading.Timer(self._timeout_s, self._connections.end)
        timer.daemon = True
        timer.start()
        try:
            with self._opener.open(self._url, timeout=self._timeout_s) as response:
                return self._body(response, end_s)
        except urllib.error.HTTPError as error:
            error.close()
            hint = "; check user name and password" if error.code in REFUSED else ""
            raise self._lost(f"the camera answered {error.code} {error.reason}{hint}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = getattr(error, "reason", None) or error  # of a URLError
            late = isinstance(cause, TimeoutError) or time.monotonic() >= end_s
            raise self._lost(self._late() if late else _text(cause)) from error
        finally:
            timer.cancel()

    def download(self) -> IO[bytes]:
        """The whole answer, in a temporary file without a name. Raises SourceLostError."""
        try:
            with self._opener.open(self._url, timeout=self._timeout_s) as response:
                free_bytes = shutil.disk_usage(tempfile.gettempdir()).free
                if int(response.headers.get("Content-Length", 0)) > free_bytes // 2:
                    raise self._lost(
                        "the server sends no parts of files, and the whole file is too large for "
                        f"{tempfile.gettempdir()}"
                    )
                file = tempfile.TemporaryFile()  # noqa: SIM115, its reader closes it
                shutil.copyfileobj(response, file, CHUNK_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(_text(getattr(error, "reason", None) or error)) from error
        file.seek(0)
        return file

    def end(self) -> None:
        """Ends a request in progress, from another thread."""
        self._connections.end()

    def _body(self, response: http.client.HTTPResponse, end_s: float) -> bytes:
        """The whole answer, within the limits of size and time. Raises SourceLostError."""
        if time.monotonic() >= end_s:
            raise self._lost(self._late())
        kind = response.headers.get_content_type()
        typed = "Content-Type" in response.headers
        if typed and kind.startswith(("text/", "multipart/", "video/")):
            raise self._lost(f"the camera sent {kind} instead of a picture")
        body = bytearray()
        while chunk := response.read1(CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BYTES:
                raise self._lost(f"the picture has more than {MAX_BYTES >> 20} MiB")
            if time.monotonic() > end_s:
                raise self._lost(self._late())
        return bytes(body)

    def _late(self) -> str:
        return f"no whole picture came within {self._timeout_s:g} s"

    def _lost(self, reason: str) -> SourceLostError:
        return SourceLostError(f"source {self._name}: {reason}")


def _split(settings: SourceSettings) -> tuple[str, str, str]:
    """The address without credentials, user name and password. Raises SourceError."""
    try:
        parts = urlsplit(settings.uri)
        _ = parts.port  # raises ValueError too
    except ValueError as error:
        raise SourceError(
            f"source {settings.name}: the address is not valid; in user name and password write "
            "/ as %2F, @ as %40, : as %3A, # as %23 and ? as %3F"
        ) from error
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return url, unquote(parts.username or ""), unquote(parts.password or "")


class _Connections:
    """Keeps the connection of the present request, so that another thread can end it."""

    def __init__(self) -> None:
        self._present: http.client.HTTPConnection | None = None

    def end(self) -> None:
        socket_ = self._present.sock if self._present is not None else None
        if socket_ is not None:
            with suppress(OSError):
                socket_.shutdown(socket.SHUT_RDWR)

    def plain(self, host: str, **options: Any) -> http.client.HTTPConnection:
        self._present = http.client.HTTPConnection(host, **options)
        return self._present

    def secure(self, host: str, **options: Any) -> http.client.HTTPConnection:
        self._present = http.client.HTTPSConnection(host, **options)
        return self._present


class _Http(urllib.request.HTTPHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connections.plain, request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connections.secure, request)


class _Redirections(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTIONS


def _opener(
    url: str, user: str, password: str, connections: _Connections
) -> urllib.request.OpenerDirector:
    """Opens http and https alone, with basic and digest authentication at this address."""
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if user:
        passwords.add_password(None, urljoin(url, "/"), user, password)
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Http(connections),
        _Https(connections),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDigestAuthHandler(passwords),
        urllib.request.HTTPBasicAuthHandler(passwords),
        _Redirections(),
    ):
        opener.add_handler(handler)
    return opener


def _text(error: object) -> str:
    """The reason in an error of the network, without addresses."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, http.client.HTTPException | ValueError):
        return "the camera's answer is not valid HTTP, or asks for an unknown way to log in"
    return str(error)
