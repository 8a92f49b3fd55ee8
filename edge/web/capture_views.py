"""Responses about captures: lists, files, marks and deletions."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from edge.capture.stored.marks import Mark
from edge.web.captures import Captures, Wanted
from edge.web.replies import as_json, body_of, problems

MAX_CAPTURES: Final = 100  # in one response
DEFAULT_CAPTURES: Final = "24"
# Stills are written once. A browser keeps them, as the page asks for the same ones every few days.
KEPT: Final = {"Cache-Control": "private, max-age=604800"}
NO_CAPTURE: Final = "no such capture"


class Marking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new marks of a capture; None leaves a mark as it is. id: as in the list of captures."""

    id: str
    false_alarm: bool | None = None
    star: bool | None = None


class Deletion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The capture to delete. id: as in the list of captures."""

    id: str


class CaptureViews:
    """One method for each route."""

    def __init__(self, captures: Captures) -> None:
        self._captures = captures

    def routes(self) -> list[Route]:
        return [
            Route("/api/captures", self.list),
            Route("/api/captures", self.delete, methods=["DELETE"]),
            Route("/api/captures/overview", self.overview),
            Route("/api/captures/marks", self.mark, methods=["POST"]),
            Route("/api/captures/unreadable", self.unreadable),
            Route("/captures/{date}/{name}", self.file),
            Route("/thumbnails/{date}/{stem}", self.thumbnail),
        ]

    async def list(self, request: Request) -> Response:
        count = request.query_params.get("count", DEFAULT_CAPTURES)
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= MAX_CAPTURES):
            raise HTTPException(400, f"count must be a number from 1 to {MAX_CAPTURES}")
        before = request.query_params.get("before", "")
        newest = asyncio.to_thread(self._captures.newest, int(count), before, _wanted(request))
        return as_json(await newest)

    async def overview(self, request: Request) -> Response:
        """The choices of filters, the hours of a day, and the time zone of this machine."""
        overview = await asyncio.to_thread(self._captures.overview, _wanted(request))
        now = datetime.now().astimezone()
        offset = now.utcoffset()
        assert offset is not None
        zone = {"name": now.tzname(), "offset_min": round(offset.total_seconds() / 60)}
        return as_json(msgspec.to_builtins(overview) | {"zone": zone})

    async def unreadable(self, _request: Request) -> Response:
        """The number of sidecars that can't be read, in the days listed last."""
        return as_json({"count": self._captures.unreadable})

    async def mark(self, request: Request) -> Response:
        """Gives marks to a capture, or removes them; responds with the capture."""
        marking = msgspec.json.decode(await body_of(request), type=Marking)
        entry = None
        for mark, on in ((Mark.FALSE_ALARM, marking.false_alarm), (Mark.STAR, marking.star)):
            if on is not None:
                entry = await asyncio.to_thread(self._captures.mark, marking.id, mark, on=on)
        if entry is None:
            raise HTTPException(404, NO_CAPTURE)
        return as_json(entry)

    async def delete(self, request: Request) -> Response:
        deletion = msgspec.json.decode(await body_of(request), type=Deletion)
        if not await asyncio.to_thread(self._captures.delete, deletion.id):
            raise HTTPException(404, NO_CAPTURE)
        return as_json({})

    async def file(self, request: Request) -> Response:
        file = self._captures.file(request.path_params["date"], request.path_params["name"])
        if file is None:
            raise HTTPException(404, NO_CAPTURE)
        path, media_type = file
        return _File(path, media_type=media_type)

    async def thumbnail(self, request: Request) -> Response:
        id_ = "{date}/{stem}".format(**request.path_params)
        data = await asyncio.to_thread(self._captures.thumbnail, id_)
        if data is None:
            raise HTTPException(404, NO_CAPTURE)
        return Response(data, headers=KEPT, media_type="image/jpeg")


class _File(FileResponse):
    """A file that may be deleted before it is sent: by retention, or by a person."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await super().__call__(scope, receive, noted)
        except (RuntimeError, OSError):  # RuntimeError: Starlette's, for a file that is gone
            if not begun:
                await problems(404, NO_CAPTURE)(scope, receive, send)


def _wanted(request: Request) -> Wanted:
    """The filter in the address. HTTPException 400 for a value that is none."""
    named = {name: value for name, value in request.query_params.items()
             if name in Wanted.__struct_fields__ and value}  # fmt: skip
    try:
        wanted = msgspec.convert(named, Wanted, strict=False)
    except msgspec.ValidationError as error:
        raise HTTPException(400, f"the filter is not valid: {error}") from error
    return wanted
