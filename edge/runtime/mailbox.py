"""A place for one item between two threads."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Holds one item: the newest wins and the loss is counted in `dropped`, or the sender waits."""

    def __init__(self) -> None:
        self._item: Item | None = None
        self._closed = False
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, item: Item, *, wait: bool = False) -> None:
        """Replaces what is there; with `wait`, first lets it be taken. Nothing once closed."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> Item | None:
        """The item, waited for; None when the time is up, or closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """No more items: what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def waiting(self) -> bool:
        """Whether an item is there."""
        return self._item is not None
