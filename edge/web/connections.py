"""Bounds the connections to the live view, so that slow clients keep nobody out."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS: Final = 128  # a browser opens up to 6
REQUEST_S: Final = 10.0  # until a request is complete, headers and body
RESPONSE_S: Final = 300.0  # until the response is sent: a long clip over a slow line
STREAM_PATH: Final = "/stream.mjpg"  # has no end; `edge.web.stream` ends slow viewers

_open: dict[BoundedProtocol, None] = {}  # of this process, the oldest first


class BoundedProtocol(H11Protocol):
    """One connection. It ends if a request or its response takes too long.

    With too many connections, the oldest one without a request in progress ends, otherwise the
    oldest.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._limit_s: float | None = None
        _open[self] = None
        self._watch(REQUEST_S)
        if len(_open) > MAX_CONNECTIONS:
            idle = (each for each in _open if each.cycle is None or each.cycle.response_complete)
            next(idle, next(iter(_open))).end()

    def connection_lost(self, exc: Exception | None) -> None:
        _open.pop(self, None)
        self._watch(None)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            response_s = None if self.cycle.scope["path"] == STREAM_PATH else RESPONSE_S
            self._watch(REQUEST_S if self.cycle.more_body else response_s, again=False)

    def on_response_complete(self) -> None:
        self._watch(REQUEST_S)
        super().on_response_complete()

    def end(self) -> None:
        """Closes the connection at once, whatever is still to be sent."""
        _open.pop(self, None)  # it counts no longer; `connection_lost` follows later
        self.transport.abort()

    def _watch(self, limit_s: float | None, *, again: bool = True) -> None:
        """Ends the connection after this time. again: starts a limit that runs already again."""
        if self._timer is not None:
            if not again and self._limit_s == limit_s:
                return
            self._timer.cancel()
        self._limit_s = limit_s
        self._timer = None if limit_s is None else self.loop.call_later(limit_s, self.end)
