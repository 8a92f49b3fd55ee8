"""Formats log records for journald and for programs: one line per event, whatever it contains.

journal: `<4>msg="source rtsp://… is lost" logger=edge.daemon`. journald takes the number as the
    priority (sd-daemon(3)); key=value pairs follow, quoted unless the value is one plain word.
json: one object per line, with `time`, `level`, `logger`, `msg` and the event's fields.
text: for people at a terminal.

A repeated event is logged up to five times a minute; its next line gives the number omitted. Facts
of the daemon's work (a trigger, a capture, a deletion) are always logged.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from edge.runtime.printable import printable, printable_lines

LogFormat = Literal["auto", "text", "journal", "json"]
BURST, PERIOD_S = 5, 60.0  # a fault that lasts a day adds at most 7,200 lines to the journal
KINDS = 256  # bounds the memory: different events counted; the least recent is forgotten first
PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f]+")

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG_PRIORITY = 7


def fields(**values: object) -> dict[str, Any]:
    """The `extra` argument of a log call: the event's fields besides its text."""
    return {"fields": values}


def fact(**values: object) -> dict[str, Any]:
    """As `fields`, for an event that is always logged, however often it repeats."""
    return {"fields": values, "fact": True}


def set_up(log_format: LogFormat, level: int, handler: logging.Handler | None = None) -> None:
    """Configures logging for the whole process.

    log_format: auto means journal where systemd reads the output, otherwise text.
    handler: replaces standard error; used for text only.
    """
    chosen = resolve(log_format)
    if chosen != "text" or handler is None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_FORMATTERS[chosen]())
    handler.addFilter(RepeatLimit())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def resolve(log_format: LogFormat) -> Literal["text", "journal", "json"]:
    """The format to use, with `auto` replaced by journal or text."""
    if log_format != "auto":
        return log_format
    return "journal" if "JOURNAL_STREAM" in os.environ else "text"


class JournalFormatter(logging.Formatter):
    """One line that begins with `<priority>`."""

    def format(self, record: logging.LogRecord) -> str:
        pairs = " ".join(f"{key}={_quoted(value)}" for key, value in _event(record).items())
        return printable(f"<{_priority(record.levelno)}>{pairs}")


class JsonFormatter(logging.Formatter):
    """One JSON object; values that JSON has no type for are written as text."""

    def format(self, record: logging.LogRecord) -> str:
        head = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        return printable(json.dumps(head | _event(record), ensure_ascii=False, default=str))


class TextFormatter(logging.Formatter):
    """`LEVEL logger: text key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        event = _event(record)
        head = f"{record.levelname} {event.pop('logger')}: {event.pop('msg')}"
        line = " ".join([head, *(f"{key}={_quoted(value)}" for key, value in event.items())])
        return printable_lines(line)


class RepeatLimit(logging.Filter):
    """Passes an event up to five times a minute; events that differ only in digits are the same.

    Facts (`fact`) always pass and are not counted.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._counts: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Called by the handler, which holds its lock."""
        if getattr(record, "fact", False):
            return True
        key = (record.name, record.levelno, re.sub(r"\d+", "#", record.getMessage()))
        now_s = self._now_s()
        start_s, count = self._counts.pop(key, (now_s, 0))
        if now_s - start_s >= PERIOD_S:
            if count > BURST:
                record.repeats = count - BURST
            start_s, count = now_s, 0
        self._counts[key] = (start_s, count + 1)
        while len(self._counts) > KINDS:
            self._counts.popitem(last=False)
        return count < BURST


def _event(record: logging.LogRecord) -> dict[str, Any]:
    event = {"msg": record.getMessage(), "logger": record.name, **getattr(record, "fields", {})}
    if (repeats := getattr(record, "repeats", 0)) > 0:
        event["repeats"] = repeats
    if record.exc_info:
        event["traceback"] = logging.Formatter().formatException(record.exc_info)
    return event


def _priority(level: int) -> int:
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG_PRIORITY)


def _quoted(value: object) -> str:
    """One plain word unchanged, anything else as a JSON string: always on one line."""
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


_FORMATTERS: dict[str, type[logging.Formatter]] = {
    "journal": JournalFormatter,
    "json": JsonFormatter,
    "text": TextFormatter,
}
