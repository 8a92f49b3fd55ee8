"""Access to the live view: a guard in front of the whole application.

A browser that can reach this server may also show pages of other sites. Such a page must not read
or change anything here: neither by requests to this server (cross-site request forgery) nor through
a host name of its site that resolves to this machine (DNS rebinding).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edge.errors import ConfigError
from edge.runtime.files import read_regular, write_atomic
from edge.web.guesses import Guesses

FOR_PROGRAMS: Final = ("/picture.jpg", "/stream.mjpg")  # players wait to be asked for a token
OPEN: Final = ("/", "/api/login")  # paths that need no token, as those in /static/
SAFE: Final = ("GET", "HEAD")  # methods that change nothing
MIN_TOKEN: Final = 16  # characters; in hexadecimal 64 random bits, in base64 96
MAX_FILE_BYTES: Final = 4096  # of the token's file
TOKEN_BYTES: Final = 24  # of a new token: 192 random bits, 32 characters
YEAR_S: Final = 31_536_000
OTHER_SITE: Final = "a page of another site can't use this view: open the view's address directly"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Token:
    """The secret that admits a client: in a header, or proved by a cookie derived from it."""

    def __init__(self, text: str, port: int) -> None:
        """port: part of the cookie's name, as several views may run on one machine."""
        self._text = text.encode()
        self._cookie = f"edge_view_{port}"
        self._proof = hmac.new(self._text, b"edge view", hashlib.sha256).hexdigest()

    def matches(self, text: str) -> bool:
        """Whether the text is the token. It takes the same time for every text."""
        return hmac.compare_digest(text.encode(errors="replace"), self._text)

    def is_shown(self, headers: dict[str, str]) -> bool:
        """Whether a request with these headers shows a token, right or wrong."""
        return "authorization" in headers or f"{self._cookie}=" in headers.get("cookie", "")

    def admits(self, headers: dict[str, str]) -> bool:
        """Whether a request has the token: as bearer, as password of any user, or by cookie."""
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.matches(shown.strip())
        if kind.lower() == "basic":
            return self.matches(_password(shown.strip()))
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(
            name == self._cookie
            and hmac.compare_digest(value.encode(errors="replace"), self._proof.encode())
            for name, _, value in pairs
        )

    def set_cookie(self, scheme: str) -> str:
        """Value of Set-Cookie, for a year; hidden from scripts and from requests of other sites."""
        secure = "; Secure" if scheme == "https" else ""
        return (
            f"{self._cookie}={self._proof}; Path=/; Max-Age={YEAR_S}; HttpOnly; "
            f"SameSite=Strict{secure}"
        )


class Guard:
    """ASGI middleware: refuses requests without access, and adds `HEADERS` to every response."""

    def __init__(self, app: App, token: Token | None, guesses: Guesses | None = None) -> None:
        """token: None admits every request to a loopback address by a loopback name."""
        self._app = app
        self._guesses = guesses or Guesses()
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(message.get("headers", []))
            await send(message)

        refusal = self.refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            challenge = refusal[0] == 401 and scope["path"] in FOR_PROGRAMS
            await _respond(send_with_headers, *refusal, challenge=challenge)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """HTTP status and reason of a refusal, or None for a request that is admitted."""
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        path = scope["path"]
        host = headers.get("host", "")
        if self._token is None and not is_loopback(_name(host)):
            return 403, f"{host!r} is not a name of this machine: open the view as localhost"
        if "origin" in headers and _netloc(headers["origin"]) != host:
            return 403, OTHER_SITE
        if path != "/" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, OTHER_SITE
        if scope["method"] not in SAFE and _media_type(headers) != "application/json":
            return 415, "the request body must be application/json"
        is_open = path in OPEN or path.startswith("/static/")
        return None if self._token is None or is_open else self._no_token(scope, headers)

    def _no_token(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """The refusal of a request without the right token."""
        assert self._token is not None
        if not self._token.is_shown(headers):
            return 401, "this view needs a token"
        address = address_of(scope)
        if (wait_s := self._guesses.wait_s(address)) > 0:
            return 429, too_many(wait_s)
        right = self._token.admits(headers)
        self._guesses.note(address, right)
        return None if right else (401, "this view needs a token")


def address_of(scope: Scope) -> str:
    """The client's address; in IPv6 its network of 64 bits, of which one machine has all."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    return str(address) if address.version == 4 else address.exploded[:19]


def too_many(wait_s: float) -> str:
    return f"too many wrong tokens: wait {max(1, round(wait_s))} s and try again"


def _with_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Adds `HEADERS`, and `no-cache` if the response has no Cache-Control."""
    result = list(headers)
    if not any(name == b"cache-control" for name, _ in result):
        result.append((b"cache-control", b"no-cache"))
    return result + [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


async def _respond(send: Send, status: int, text: str, *, challenge: bool) -> None:
    body = json.dumps({"problems": [text]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if challenge:
        headers.append((b"www-authenticate", b'Basic realm="edge view"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_loopback(host: str) -> bool:
    """Whether a host name or address always means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """The first line of a file, which is created if it does not exist. Raises ConfigError."""
    try:
        if not path.exists():
            token = secrets.token_urlsafe(TOKEN_BYTES)
            write_atomic(path, f"{token}\n".encode(), replace=False, mode=0o600)
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"token file {path}: other users can read it: chmod 600 {path}")
        token = (
            read_regular(path, MAX_FILE_BYTES, follow_link=True).decode().splitlines() or [""]
        )[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"token file {path}: {reason}") from error
    if len(token) < MIN_TOKEN:
        raise ConfigError(f"token file {path}: a token needs {MIN_TOKEN} characters or more")
    return token


def _password(credentials: str) -> str:
    """The password in the credentials of Basic authentication; empty if they are none."""
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text.partition(":")[2]


def _media_type(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _netloc(origin: str) -> str:
    """Host and port of an Origin header; empty where there are none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name(netloc: str) -> str:
    """The host without its port and without the brackets of IPv6."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""
