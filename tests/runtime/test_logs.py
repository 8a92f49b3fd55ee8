"""Log lines as journald and programs read them."""

from __future__ import annotations

import json
import logging
from collections import Counter

import msgspec
import pytest

from edge.messages import Capture, Trigger
from edge.runtime.logs import (
    BURST,
    JournalFormatter,
    JsonFormatter,
    RepeatLimit,
    fields,
    resolve,
    set_up,
)
from edge.tools.console import _log


def record(text: str, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "edge.x", "levelno": level, "msg": text,
                                  "levelname": logging.getLevelName(level), **extra})  # fmt: skip


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.CRITICAL, "<2>"),
        (logging.ERROR, "<3>"),
        (logging.WARNING, "<4>"),
        (logging.INFO, "<6>"),
        (logging.DEBUG, "<7>"),
    ],
)
def test_journald_reads_the_priority_from_the_line(level: int, prefix: str) -> None:
    assert JournalFormatter().format(record("here", level)).startswith(f"{prefix}msg=here ")


def test_an_event_is_one_line_of_keys_and_values_whatever_it_contains() -> None:
    hostile = 'a "quoted"\n<0>msg=forged key=\x1b[31m'
    line = JournalFormatter().format(record(hostile, **fields(rule="person", path="/a b\n/c")))
    assert "\n" not in line
    assert "\x1b" not in line
    assert line.startswith(f"<6>msg={json.dumps(hostile)} logger=edge.x rule=person")
    assert line.endswith('path="/a b\\n/c"')


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        failed = record("failed", exc_info=(ValueError, error, error.__traceback__))
    assert "\n" not in JournalFormatter().format(failed)
    assert json.loads(JsonFormatter().format(failed))["traceback"].endswith("ValueError: no")


def test_json_has_the_fields_and_the_message() -> None:
    line = json.loads(JsonFormatter().format(record("trigger", **fields(score=0.5, rule="p"))))
    assert (line["level"], line["msg"], line["score"], line["rule"]) == (
        "info",
        "trigger",
        0.5,
        "p",
    )
    assert line["time"].endswith("+00:00")


def test_repeated_events_are_left_out_and_counted() -> None:
    now_s = 0.0
    limit = RepeatLimit(lambda: now_s)
    passed = [limit.filter(record(f"no frame for {n} s")) for n in range(100)]
    assert passed == [True] * BURST + [False] * (100 - BURST)
    assert limit.filter(record("something else"))
    assert limit.filter(record("no frame for 5 s", logging.ERROR))
    now_s = 61.0
    again = record("no frame for 200 s")
    assert limit.filter(again)
    assert JsonFormatter().format(again).endswith(f'"repeats": {100 - BURST}}}')


def test_every_trigger_and_capture_is_logged_however_many_there_are(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = logging.root.level, logging.root.handlers
    trigger = Trigger(
        event_id="e", rule="r", zones=(), track_id=1, label="person", score=0.9,
        box=(0.0, 0.0, 0.1, 0.1), box_px=(0, 0, 9, 9), frame_index=1, latency_ms=1, captures=(),
    )  # fmt: skip
    capture = Capture(
        event_ids=("e",), rule="r", capture="still", path="/p", sidecar="/s", size_bytes=1
    )
    failed = msgspec.structs.replace(capture, path="", size_bytes=0, failure="the disk is full")
    try:
        set_up("json", logging.INFO)
        for _ in range(4 * BURST):
            _log(trigger)
            _log(capture)
            _log(failed)
    finally:
        logging.basicConfig(level=before[0], handlers=before[1], force=True)
    texts = Counter(json.loads(line)["msg"] for line in capfd.readouterr().err.splitlines())
    assert texts == dict.fromkeys(("trigger", "capture", "capture failed"), 4 * BURST)


def test_many_different_events_take_bounded_memory() -> None:
    limit = RepeatLimit(lambda: 0.0)
    for n in range(1000):
        limit.filter(record("x" * (n + 1)))
    assert len(limit._counts) == 256


def test_auto_means_the_journal_under_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert resolve("auto") == "text"
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    assert resolve("auto") == "journal"
    assert resolve("json") == "json"
