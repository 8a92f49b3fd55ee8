"""One item between two threads."""

from __future__ import annotations

import threading
import time

from edge.runtime.mailbox import Mailbox


def test_the_newest_item_replaces_others_and_the_loss_is_counted() -> None:
    box: Mailbox[int] = Mailbox()
    for item in range(5):
        box.put(item)
    assert box.waiting
    assert (box.take(), box.dropped) == (4, 4)
    assert box.take(timeout_s=0.01) is None


def test_a_sender_that_waits_loses_no_item() -> None:
    box: Mailbox[int] = Mailbox()
    sender = threading.Thread(target=lambda: [box.put(item, wait=True) for item in range(100)])
    sender.start()
    assert [box.take(timeout_s=5) for _ in range(100)] == list(range(100))
    sender.join(5)
    assert box.dropped == 0


def test_closing_ends_every_wait_and_leaves_the_last_item() -> None:
    box: Mailbox[int] = Mailbox()
    taken: list[int | None] = []
    taker = threading.Thread(target=lambda: taken.append(box.take()))
    taker.start()
    time.sleep(0.05)
    box.close()
    taker.join(5)
    assert taken == [None]
    full: Mailbox[int] = Mailbox()
    full.put(7)
    sender = threading.Thread(target=lambda: full.put(8, wait=True))
    sender.start()
    time.sleep(0.05)
    full.close()
    sender.join(5)
    assert not sender.is_alive()
    assert (full.take(), full.take()) == (7, None)
