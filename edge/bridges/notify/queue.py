"""Pushes that wait for an address, and the thread that sends them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import replace
from typing import Final, Protocol

from edge.bridges.notify.address import Push
from edge.runtime.service_thread import ServiceThread

KEPT: Final = 20  # the newest; all of them arrive at once when the network is back
FIRST_RETRY_S: Final = 5.0
RETRY_MAX_S: Final = 300.0
PICTURE_TRIES: Final = 3  # then it is sent without its picture, which some services refuse
PAUSE_S: Final = 1.0  # between two pushes, as services refuse those that come too fast

log = logging.getLogger(__name__)


class Sender(Protocol):
    """What a queue needs of an address. label: its name without secrets."""

    label: str

    def send(self, push: Push) -> str: ...


class PushQueue(ServiceThread):
    """Sends pushes in order, each again until it is delivered, with growing pauses.

    It keeps the newest `KEPT`; the number of those dropped is told with the next that arrives.
    """

    def __init__(
        self, address: Sender, first_retry_s: float = FIRST_RETRY_S, pause_s: float = PAUSE_S
    ) -> None:
        super().__init__(f"push to {address.label}", self._send_all, wake=self._wake_up)
        self._address = address
        self._first_retry_s = first_retry_s
        self._pause_s = pause_s
        self._waiting: deque[Push] = deque()
        self._changed = threading.Condition()
        self._dropped = 0
        self._away = ""  # why the address can't be reached now, as it was logged last

    @property
    def away(self) -> str:
        """Why the last attempt failed; empty if it did not."""
        return self._away

    def put(self, push: Push) -> None:
        """Never waits."""
        with self._changed:
            self._waiting.append(push)
            while len(self._waiting) > KEPT:
                self._waiting.popleft()
                self._dropped += 1
            self._changed.notify_all()

    def _wake_up(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _send_all(self) -> None:
        tries = 0  # that failed, one after the other
        while (taken := self._next()) is not None:
            push, dropped = taken
            if tries >= PICTURE_TRIES:
                push = replace(push, jpeg=None)
            with self.work():
                reason = self._address.send(_told(push, dropped))
            if reason:
                self._failed(push, dropped, reason)
                self._sleep(min(self._first_retry_s * 2 ** min(tries, 16), RETRY_MAX_S))
                tries += 1
            else:
                self._delivered()
                self._sleep(self._pause_s)
                tries = 0

    def _next(self) -> tuple[Push, int] | None:
        """The oldest push, and how many were dropped before it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.stopping)
            if self.stopping:
                return None
            dropped, self._dropped = self._dropped, 0
            return self._waiting.popleft(), dropped

    def _failed(self, push: Push, dropped: int, reason: str) -> None:
        with self._changed:
            self._dropped += dropped
            if len(self._waiting) < KEPT:
                self._waiting.appendleft(push)
            else:
                self._dropped += 1
        if reason != self._away:
            log.warning("%s: not delivered, it is tried again: %s", self._address.label, reason)
        self._away = reason

    def _delivered(self) -> None:
        if self._away:
            log.info("%s: delivers again", self._address.label)
        self._away = ""

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.stopping, seconds)


def _told(push: Push, dropped: int) -> Push:
    if not dropped:
        return push
    words = "1 earlier push was" if dropped == 1 else f"{dropped} earlier pushes were"
    return replace(push, text=f"{push.text}\n{words} dropped while nothing could be delivered")
