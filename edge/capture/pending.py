"""Keeps the requested captures that have no outcome yet, so that each gets exactly one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from edge.capture.request import CaptureFailure, CaptureRequest, CaptureResult
from edge.messages import CaptureKind


class _Event(NamedTuple):
    """The part of a request that its failure reports; the request would keep its picture."""

    camera: str
    rule: str
    wall_ns: int


class PendingCaptures:
    """Reports a result or one failure for each event and kind of capture that was requested.

    A clip that shows several events is one result, or one failure, for all of them. The first
    outcome counts, and a later one is not reported. Any thread may call every method, and the
    callbacks run in the thread that calls.
    """

    def __init__(
        self,
        on_capture: Callable[[CaptureResult], object],
        on_failure: Callable[[CaptureFailure], object],
    ) -> None:
        self._on_capture = on_capture
        self._on_failure = on_failure
        self._events: dict[CaptureKind, dict[str, _Event]] = {"still": {}, "clip": {}}
        self._lock = threading.Lock()

    def add(self, request: CaptureRequest) -> None:
        """Every kind of capture in `request.actions` is pending from now on."""
        with self._lock:
            for kind in request.actions:
                event = _Event(request.camera, request.rule, request.wall_ns)
                self._events[kind][request.event_id] = event

    def finish(self, result: CaptureResult) -> bool:
        """Reports a finished file. Returns False if its events have another outcome already.

        An event may have further stills; each is reported.
        """
        if not self._settle(result.kind, result.event_ids) and not result.further:
            return False
        self._on_capture(result)
        return True

    def fail(self, kind: CaptureKind, event_ids: Iterable[str], reason: str) -> None:
        """Reports the failure of a capture, for those of the events that have no outcome."""
        events = self._settle(kind, event_ids)
        if not events:
            return
        first = next(iter(events.values()))
        self._on_failure(
            CaptureFailure(kind, first.camera, first.rule, tuple(events), reason, first.wall_ns)
        )

    def fail_all(self, reason: str) -> None:
        """Reports a failure for each capture that is still pending."""
        for kind, events in self._events.items():
            for event_id in tuple(events):
                self.fail(kind, (event_id,), reason)

    def _settle(self, kind: CaptureKind, event_ids: Iterable[str]) -> dict[str, _Event]:
        """Takes out those of the events that are pending."""
        with self._lock:
            pending = self._events[kind]
            return {name: pending.pop(name) for name in event_ids if name in pending}
