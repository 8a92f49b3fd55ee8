"""Withholds lines that native libraries write to standard error, past `sys.stderr`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

STDERR: Final = 2
_one_at_a_time = threading.Lock()


@contextmanager
def without_lines(*beginnings: bytes) -> Iterator[None]:
    """Drops the lines that begin with one of `beginnings` from file descriptor 2 meanwhile.

    All other lines, those of other threads too, arrive at the end, in their order. Keep the block
    short: what is written in it is lost if the process is killed before its end.
    """
    with _one_at_a_time:
        try:
            kept = os.dup(STDERR)
        except OSError:  # closed: nothing can be written to it
            yield
            return
        held = os.memfd_create("stderr")
        try:
            os.dup2(held, STDERR)
            yield
        finally:
            os.dup2(kept, STDERR)
            _forward(held, kept, beginnings)
            os.close(held)
            os.close(kept)


def _forward(held: int, target: int, without: tuple[bytes, ...]) -> None:
    text = os.pread(held, os.fstat(held).st_size, 0)
    lines = text.splitlines(keepends=True)
    left = memoryview(b"".join(line for line in lines if not line.startswith(without)))
    try:
        while left:
            left = left[os.write(target, left) :]
    except OSError:  # a closed pipe, or one that is full and does not block: as for a log line
        return
