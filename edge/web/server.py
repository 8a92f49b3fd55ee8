"""The live view over HTTP: a page, and JSON for it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.client import CommandError, NoAnswerError
from edge.config.edit import Change
from edge.config.schema import Mute
from edge.errors import BusError, ConfigError, EdgeError, MissingExtraError
from edge.messages import Box
from edge.web.access import Guard, Token, address_of, too_many
from edge.web.camera import Camera
from edge.web.captures import Captures
from edge.web.guesses import Guesses
from edge.web.settings_file import ConflictError, SettingsFile
from edge.web.sliders import sliders

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import FileResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    from edge.web.connections import BoundedProtocol
except ImportError as missing:
    raise MissingExtraError("the live view", "web") from missing

STATIC: Final = Path(__file__).parent / "static"
MAX_BODY_BYTES: Final = 256 * 1024  # enough for thousands of corners
MAX_CAPTURES: Final = 100  # in one response
DEFAULT_CAPTURES: Final = "24"
STOP_S: Final = 1  # for requests in progress when the server stops
STATUS: Final = (  # HTTP status of an error: the first class that fits
    (ConfigError, 422),
    (ConflictError, 409),
    (CommandError, 409),
    (NoAnswerError, 503),
    (EdgeError, 500),
)
log = logging.getLogger(__name__)


class MuteChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place to mute or unmute. version: of the file that the page has read."""

    version: str
    box: Box
    labels: tuple[str, ...] = ()


class FalseAlarm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new mark of a capture. id: as in the list of captures."""

    id: str
    false_alarm: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that answer requests.

    file: None where there is no configuration to edit. token: None admits this machine only.
    """

    camera: Camera
    captures: Captures
    file: SettingsFile | None
    token: Token | None
    guesses: Guesses = field(default_factory=Guesses)


class Views:
    """Responses to requests, one method for each route."""

    def __init__(self, parts: Parts) -> None:
        self._camera = parts.camera
        self._captures = parts.captures
        self._file = parts.file
        self._token = parts.token
        self._guesses = parts.guesses
        self._saving = asyncio.Lock()

    def routes(self) -> list[Route | Mount]:
        return [
            Route("/", self.page),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/api/login", self.login, methods=["POST"]),
            Route("/api/frame", self.frame),
            Route("/api/status", self.status),
            Route("/api/capture", self.capture, methods=["POST"]),
            Route("/api/settings", self.settings),
            Route("/api/settings", self.save, methods=["PUT"]),
            Route("/api/mutes", self.mute, methods=["POST", "DELETE"]),
            Route("/api/captures", self.captures),
            Route("/api/captures/false-alarm", self.false_alarm, methods=["POST"]),
            Route("/api/captures/unreadable", self.unreadable),
            Route("/captures/{date}/{name}", self.capture_file),
        ]

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def login(self, request: Request) -> Response:
        """Exchanges the token for a cookie."""
        body = msgspec.json.decode(await _body(request), type=dict[str, str])
        if self._token is None:
            return _json({})
        address = address_of(request.scope)
        if (wait_s := self._guesses.wait_s(address)) > 0:
            return _problems(429, too_many(wait_s))
        right = self._token.matches(body.get("token", ""))
        self._guesses.note(address, right)
        if not right:
            return _problems(401, "wrong token")
        cookie = self._token.set_cookie(request.url.scheme)
        return _json({}, headers={"Set-Cookie": cookie})

    async def frame(self, _request: Request) -> Response:
        return _json(await self._camera.frame())

    async def status(self, _request: Request) -> Response:
        return _json(await self._camera.status())

    async def capture(self, _request: Request) -> Response:
        return _json(await self._camera.capture())

    async def settings(self, _request: Request) -> Response:
        """The settings that the page edits, as they are in the file now."""
        file = self._settings_file()
        settings, version = file.read()
        motion = msgspec.to_builtins(settings.motion)
        masks = motion.pop("masks")
        return _json({
            "file": str(file.path),
            "version": version,
            "camera": settings.camera,
            "zones": settings.zones,
            "masks": masks,
            "mutes": settings.mutes,
            "rules": [{"name": r.name, "labels": r.labels, "zones": r.zones}
                      for r in settings.triggers],
            "motion": motion,
            "sliders": sliders(),
        })  # fmt: skip

    async def save(self, request: Request) -> Response:
        """Writes the file and reloads the daemon; the response reports the result of both."""
        file = self._settings_file()
        change = msgspec.json.decode(await _body(request), type=Change)
        return await self._change(partial(file.save, change))

    async def mute(self, request: Request) -> Response:
        """Mutes a place, or unmutes it with DELETE, as `save` changes the rest of the file."""
        file = self._settings_file()
        change = msgspec.json.decode(await _body(request), type=MuteChange)
        row = Mute(box=change.box, labels=change.labels)
        if request.method == "DELETE":
            return await self._change(partial(file.unmute, [row], change.version))
        return await self._change(partial(file.mute, row, change.version))

    async def _change(self, write: Callable[[], str]) -> Response:
        async with self._saving:
            version = await asyncio.to_thread(write)
            try:
                taken_up, text = True, (await self._camera.reload()).text
            except EdgeError as error:
                taken_up, text = False, str(error)
        return _json({"version": version, "taken_up": taken_up, "text": text})

    async def false_alarm(self, request: Request) -> Response:
        """Marks a capture as a false alarm, or removes the mark."""
        mark = msgspec.json.decode(await _body(request), type=FalseAlarm)
        marked = partial(self._captures.mark, mark.id, false_alarm=mark.false_alarm)
        entry = await asyncio.to_thread(marked)
        if entry is None:
            raise HTTPException(404, "no such capture")
        return _json(entry)

    async def captures(self, request: Request) -> Response:
        count = request.query_params.get("count", DEFAULT_CAPTURES)
        if not count.isascii() or not count.isdigit() or not 1 <= int(count) <= MAX_CAPTURES:
            return _problems(400, f"count must be a number from 1 to {MAX_CAPTURES}")
        before = request.query_params.get("before", "")
        return _json(await asyncio.to_thread(self._captures.newest, int(count), before))

    async def unreadable(self, _request: Request) -> Response:
        """The number of sidecars that can't be read, in the days listed last."""
        return _json({"count": self._captures.unreadable})

    async def capture_file(self, request: Request) -> Response:
        file = self._captures.file(request.path_params["date"], request.path_params["name"])
        if file is None:
            raise HTTPException(404, "no such capture")
        path, media_type = file
        return FileResponse(path, media_type=media_type)

    def _settings_file(self) -> SettingsFile:
        if self._file is None:
            raise ConfigError("no configuration file to edit: start edge view --config FILE")
        return self._file


def make_app(parts: Parts) -> Guard:
    """The ASGI application, behind its guard."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(parts.camera.close)

    app = Starlette(
        routes=Views(parts).routes(),
        exception_handlers={
            EdgeError: _edge_error,
            msgspec.MsgspecError: _bad_json,
            RecursionError: _bad_json,
            UnicodeDecodeError: _bad_json,
            HTTPException: _http_error,
        },
        lifespan=lifespan,
    )
    return Guard(app, parts.token, parts.guesses)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free port. Raises BusError if it can't listen."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=64)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BusError(f"the live view can't listen on {host}:{port}: {reason}") from error


def serve(app: Guard, listening: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT, and then raises that signal again."""
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
    )
    uvicorn.Server(config).run(sockets=[listening])


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the request body has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


async def _edge_error(_request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    return _problems(status, *str(error).splitlines())


async def _bad_json(_request: Request, error: Exception) -> Response:
    return _problems(400, str(error))


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problems(error.status_code, error.detail)


def _problems(status: int, *sentences: str) -> Response:
    return _json({"problems": sentences}, status)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(value),
        status,
        {"Cache-Control": "no-store"} | (headers or {}),
        "application/json",
    )
