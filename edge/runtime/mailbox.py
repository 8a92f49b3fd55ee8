"""Passes items from one thread to another, which always gets the newest."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Holds one item. A new one replaces it and `dropped` counts the loss, or the sender waits."""

    def __init__(self) -> None:
        self._item: Item | None = None
        self._closed = False
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, item: Item, *, wait: bool = False) -> None:
        """Replaces the item that is there or, with `wait`, waits until it is taken.

        Does nothing once the mailbox is closed.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> Item | None:
        """Waits for the item; None after `timeout_s`, or when the mailbox is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Accepts no more items; the one that is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def waiting(self) -> bool:
        """Whether an item is there."""
        return self._item is not None
