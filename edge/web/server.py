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
from typing import Final

import msgspec

from edge.client import CommandError, NoAnswerError
from edge.config.cameras import view_ports
from edge.config.edit import Change, RuleEdit
from edge.config.schema import Mute
from edge.errors import BusError, ConfigError, EdgeError, MissingExtraError
from edge.messages import Box
from edge.web.access import Guard, Token, address_of, too_many
from edge.web.camera import Camera
from edge.web.captures import BusyError, Captures
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

    from edge.web.capture_views import CaptureViews
    from edge.web.connections import BoundedProtocol
    from edge.web.replies import as_json, body_of, problems
    from edge.web.stream import StreamViews
except ImportError as missing:
    raise MissingExtraError("the live view", "web") from missing

STATIC: Final = Path(__file__).parent / "static"
RULE_KEYS: Final = tuple(key for key in RuleEdit.__struct_fields__ if key != "was")
STOP_S: Final = 1  # for requests in progress when the server stops
STATUS: Final = (  # HTTP status of an error: the first class that fits
    (ConfigError, 422),
    (ConflictError, 409),
    (BusyError, 409),
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
            *CaptureViews(self._captures).routes(),
            *StreamViews(self._camera).routes(),
        ]

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def login(self, request: Request) -> Response:
        """Exchanges the token for a cookie."""
        body = msgspec.json.decode(await body_of(request), type=dict[str, str])
        if self._token is None:
            return as_json({})
        address = address_of(request.scope)
        if (wait_s := self._guesses.wait_s(address)) > 0:
            return problems(429, too_many(wait_s))
        right = self._token.matches(body.get("token", ""))
        self._guesses.note(address, right)
        if not right:
            return problems(401, "wrong token")
        cookie = self._token.set_cookie(request.url.scheme)
        return as_json({}, headers={"Set-Cookie": cookie})

    async def frame(self, _request: Request) -> Response:
        return as_json(await self._camera.frame())

    async def status(self, _request: Request) -> Response:
        return as_json(await self._camera.status())

    async def capture(self, _request: Request) -> Response:
        return as_json(await self._camera.capture())

    async def settings(self, _request: Request) -> Response:
        """The settings that the page edits, as they are in the file now."""
        file = self._settings_file()
        settings, version = file.read()
        motion = msgspec.to_builtins(settings.motion)
        masks = motion.pop("masks")
        return as_json({
            "file": str(file.path),
            "version": version,
            "camera": settings.camera,
            "pages": view_ports(file.path),
            "zones": settings.zones,
            "masks": masks,
            "privacy": settings.privacy.masks,
            "mutes": settings.mutes,
            "lines": settings.lines,
            "rules": [{key: getattr(rule, key) for key in RULE_KEYS} for rule in settings.triggers],
            "motion": motion,
            "sliders": sliders(),
        })  # fmt: skip

    async def save(self, request: Request) -> Response:
        """Writes the file and reloads the daemon; the response reports the result of both."""
        file = self._settings_file()
        change = msgspec.json.decode(await body_of(request), type=Change)
        return await self._change(partial(file.save, change))

    async def mute(self, request: Request) -> Response:
        """Mutes a place, or unmutes it with DELETE, as `save` changes the rest of the file."""
        file = self._settings_file()
        change = msgspec.json.decode(await body_of(request), type=MuteChange)
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
        return as_json({"version": version, "taken_up": taken_up, "text": text})

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


async def _edge_error(_request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    return problems(status, *str(error).splitlines())


async def _bad_json(_request: Request, error: Exception) -> Response:
    return problems(400, str(error))


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problems(error.status_code, error.detail)
