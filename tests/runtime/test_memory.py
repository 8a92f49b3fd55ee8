"""Memory of the process."""

from __future__ import annotations

import gc
import weakref

from edge.runtime.memory import skip_loaded_objects


class Node:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


def test_the_collector_skips_what_was_loaded_and_frees_what_came_later() -> None:
    before = Node()
    tracked = len(gc.get_objects())
    try:
        skip_loaded_objects()
        assert len(gc.get_objects()) < tracked / 10
        assert not any(one is before for one in gc.get_objects())
        later = weakref.ref(Node())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
