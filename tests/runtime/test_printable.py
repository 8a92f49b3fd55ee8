"""Text from outside can't control the terminal or end the program that prints it."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edge.client import Event
from edge.messages import Trigger, decode
from edge.runtime import logs
from edge.runtime.printable import UNSAFE, printable, printable_lines
from edge.tools import console
from edge.tools.watch import as_json, as_text

STORED = Path(__file__).resolve().parents[1] / "bus" / "stored" / "1"
BAD = [
    "[/x]",
    "[bold",
    "a\\",
    "\x1b[2J",
    "\x9b2J",
    "\u202egnp.exe",
    "\ud800",
    "\x00",
    "[/]",
]


@given(st.text())
def test_no_control_character_remains_and_json_keeps_its_value(text: str) -> None:
    assert not UNSAFE.search(printable(text))
    assert printable_lines(text).count("\n") == text.count("\n")
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_usual_text_is_unchanged() -> None:
    for text in ("Füchse, 狐 and لغة", "[person] 0.88", "C:\\x", "🦊"):
        assert printable(text) == text


@pytest.mark.parametrize("text", BAD)
def test_watch_and_console_print_any_name_as_it_is(text: str) -> None:
    printed = io.StringIO()
    terminal = Console(file=printed, force_terminal=True, color_system=None, soft_wrap=True)
    message = _trigger(text)
    terminal.print(as_text(Event("trigger.cam0", message)))
    console._print(terminal, message)
    handler = console.SafeHandler(console=terminal, show_time=False, show_level=False)
    handler.emit(logging.LogRecord("edge", logging.WARNING, "", 1, "file %s", (text,), None))
    shown = printed.getvalue()
    assert shown.count(printable(text)) >= 2
    assert not UNSAFE.search(shown.replace("\n", ""))
    if text != "\ud800":  # not in a message, which is UTF-8
        assert json.loads(as_json(Event("t", message)))["label"] == text


def _trigger(text: str) -> Trigger:
    message = decode([b"t", (STORED / "trigger.json").read_bytes()])[0]
    assert isinstance(message, Trigger)
    return msgspec.structs.replace(message, label=text, rule=text)


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("log_format", ["journal", "json", "text"])
def test_a_log_line_contains_no_control_character(log_format: str, text: str) -> None:
    record = logging.LogRecord("edge", logging.WARNING, "", 1, "%s", (text,), None)
    record.__dict__.update(logs.fields(path=text))
    line = logs._FORMATTERS[log_format]().format(record)
    assert not UNSAFE.search(line.replace("\n", ""))
