"""The live picture for other programs: one JPEG, or a stream of them (Motion JPEG)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edge.errors import EdgeError
from edge.web.camera import Camera, StoppingError
from edge.web.connections import STREAM_PATH

MAX_VIEWERS: Final = 4  # programs with an open stream; each takes up to a megabyte a second
SEND_S: Final = 10.0  # for one picture; a slower viewer is disconnected
RETRY_S: Final = 1.0
MAX_RETRIES: Final = 30  # without a picture, as while the daemon restarts; then the stream ends
BOUNDARY: Final = "edge-frame"
STREAM_TYPE: Final = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
NO_STORE: Final = {"Cache-Control": "no-store"}


class StreamViews:
    """One method for each route."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._viewers = 0

    def routes(self) -> list[Route]:
        return [Route("/picture.jpg", self.picture), Route(STREAM_PATH, self.stream)]

    async def picture(self, _request: Request) -> Response:
        view = await self._camera.frame()
        return Response(view.picture, headers=NO_STORE, media_type="image/jpeg")

    async def stream(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(headers=NO_STORE, media_type=STREAM_TYPE)
        await self._camera.frame()  # without a daemon, an error rather than an empty stream
        if self._viewers >= MAX_VIEWERS:
            raise HTTPException(503, f"{MAX_VIEWERS} viewers have a stream already: close one")
        return _Stream(self)

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Counts a viewer within the context."""
        self._viewers += 1
        try:
            yield
        finally:
            self._viewers -= 1

    async def send_pictures(self, send: Send) -> None:
        """Sends pictures until the viewer is too slow, or there have been none for long."""
        failures = 0
        while failures < MAX_RETRIES:
            try:
                picture = (await self._camera.frame()).picture
            except StoppingError:
                return
            except EdgeError:
                failures += 1
                await asyncio.sleep(RETRY_S)
                continue
            failures = 0
            await asyncio.wait_for(send(_part(picture)), SEND_S)


class _Stream(Response):
    """Ends when the viewer has gone."""

    def __init__(self, views: StreamViews) -> None:
        super().__init__(headers=NO_STORE, media_type=STREAM_TYPE)
        self._views = views
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        # A server that stops cancels it, and once more if it takes long.
        with self._views.viewer(), suppress(asyncio.CancelledError):
            await self._send_all(receive, send)

    async def _send_all(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        tasks = {
            asyncio.create_task(self._views.send_pictures(send)),
            asyncio.create_task(_until_gone(receive)),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the server stops
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _part(jpeg: bytes) -> dict[str, object]:
    """A picture of the stream as a message of ASGI."""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return {"type": "http.response.body", "body": head.encode() + jpeg + b"\r\n", "more_body": True}
