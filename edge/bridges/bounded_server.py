"""An HTTP server with a bounded number of connections, each with a thread and a time limit."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, Final

MAX_CONNECTIONS: Final = 16  # a Prometheus server has one or two
LIMIT_S: Final = 10.0  # for a whole request and its response; Prometheus waits 10 s by default


class BoundedServer(ThreadingMixIn, HTTPServer):
    """Answers each connection in a thread of its own, up to `MAX_CONNECTIONS`.

    A further one takes the place of the oldest, which is closed: slow clients keep nobody out. A
    connection ends after `LIMIT_S`, however slowly its bytes come.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        """Binds. Raises OSError."""
        self._open: dict[socket.socket, float] = {}  # the time when each was accepted
        self._changed = threading.Condition()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """As in the base, but asks no name server for this machine's name."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._end_late()
            if len(self._open) >= MAX_CONNECTIONS:
                _end(min(self._open, key=self._open.__getitem__))
                self._changed.wait_for(lambda: len(self._open) < MAX_CONNECTIONS, 1.0)
            if len(self._open) >= MAX_CONNECTIONS:
                super().shutdown_request(request)
                return
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Called every half second."""
        with self._changed:
            self._end_late()

    def shutdown_request(self, request: Any) -> None:
        with self._changed:
            self._open.pop(request, None)
            self._changed.notify_all()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that ends its connection is no error of this program."""

    def _end_late(self) -> None:
        for request, accepted_s in self._open.items():
            if time.monotonic() - accepted_s > LIMIT_S:
                _end(request)


def _end(request: socket.socket) -> None:
    """Wakes the thread of a connection, which then closes it."""
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
