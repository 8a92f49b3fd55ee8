"""Who may use the live view: a guard in front of the whole application.

A web page from elsewhere, opened in a browser that can reach this one, must get nothing and change
nothing: neither by requests of its own (cross-site request forgery) nor by a name of its own that
it lets point here (DNS rebinding).
"""

from __future__ import annotations

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

OPEN: Final = ("/", "/api/login")  # the page and the way in; and what is beneath /static/
SAFE: Final = ("GET", "HEAD")
MIN_TOKEN: Final = 16
YEAR_S: Final = 31_536_000
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
    """The secret that lets somebody in, as a header, and as a cookie that doesn't tell it."""

    def __init__(self, text: str, port: int) -> None:
        """port: views on several ports of a machine have cookies of their own."""
        self._text = text.encode()
        self._cookie = f"edge_view_{port}"
        self._proof = hmac.new(self._text, b"edge view", hashlib.sha256).hexdigest()

    def matches(self, text: str) -> bool:
        """Takes the same time whatever the text."""
        return hmac.compare_digest(text.encode(errors="replace"), self._text)

    def admits(self, headers: dict[str, str]) -> bool:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.matches(bearer.strip())
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(
            name == self._cookie and hmac.compare_digest(value.encode(), self._proof.encode())
            for name, _, value in pairs
        )

    def set_cookie(self, scheme: str) -> str:
        """The header's value, for a year; scripts don't see it and other sites don't send it."""
        secure = "; Secure" if scheme == "https" else ""
        return (
            f"{self._cookie}={self._proof}; Path=/; Max-Age={YEAR_S}; HttpOnly; "
            f"SameSite=Strict{secure}"
        )


class Guard:
    """ASGI middleware: refuses what may not come in, and puts `HEADERS` on every answer."""

    def __init__(self, app: App, token: Token | None) -> None:
        """token: None lets in whoever asks for a loopback address by its own name."""
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_headed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _headed(message.get("headers", []))
            await send(message)

        refused = self.refusal(scope)
        if refused is None:
            await self._app(scope, receive, send_headed)
        else:
            await _answer(send_headed, *refused)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence, or None for what may come in."""
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        path = scope["path"]
        host = headers.get("host", "")
        if self._token is None and not is_loopback(_name(host)):
            return 403, f"this view is open to this machine only, and not by the name {host!r}"
        if "origin" in headers and urlsplit(headers["origin"]).netloc != host:
            return 403, "a page from elsewhere may not use this view"
        if path != "/" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "a page from elsewhere may not use this view"
        if scope["method"] not in SAFE and _media_type(headers) != "application/json":
            return 415, "application/json is expected"
        is_open = path in OPEN or path.startswith("/static/")
        if self._token is not None and not is_open and not self._token.admits(headers):
            return 401, "the token is needed"
        return None


def _headed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """With `HEADERS`; and what doesn't say how long it may be kept is asked for anew each time."""
    told = list(headers)
    if not any(name == b"cache-control" for name, _ in told):
        told.append((b"cache-control", b"no-cache"))
    return told + [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"problems": [text]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_loopback(host: str) -> bool:
    """Of a name or an address: whether it can be nothing but this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """A file's first line; where there is no file, one is made. Raises ConfigError."""
    try:
        if not path.exists():
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(secrets.token_urlsafe(24) + "\n")
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by others: chmod 600 {path}")
        token = (path.read_text().splitlines() or [""])[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ConfigError(f"token file {path}: {reason}") from error
    if len(token) < MIN_TOKEN:
        raise ConfigError(f"{path}: a token has {MIN_TOKEN} characters or more")
    return token


def _media_type(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _name(netloc: str) -> str:
    """Without the port and the brackets of IPv6."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""
