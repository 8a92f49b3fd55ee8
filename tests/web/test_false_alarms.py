"""False alarms on the page: marked captures, and places muted by a click in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.capture.stored.kept import group_files
from edge.capture.stored.marks import Mark
from edge.config.load import load
from edge.web.captures import Captures
from tests.support.browser import browser
from tests.support.screen import screen_film
from tests.support.viewing import Viewed, until, viewed
from tests.web.test_web_captures import put

CONFIGURATION = """\
camera = "gate"
[source]
uri = "screen.mp4"
fast = true
loop = true
[tracker]
max_misses = 2
[health]
interval_s = 0.2
[[triggers]]
name = "visitor"
labels = ["person"]
cooldown_s = 0.0
actions = ["still"]
[capture]
max_bytes = 20_000_000  # the film plays fast and without end
"""
ID = "2026-01-01/235959.000_visitor_1"


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    put(tmp_path, "2026-01-01", "235959.000_visitor_1", ".jpg")
    return Captures(tmp_path, "gate")


def test_a_capture_is_marked_and_the_mark_is_removed(captures: Captures, tmp_path: Path) -> None:
    sidecar = tmp_path / "gate" / f"{ID}.json"
    before = sidecar.read_bytes()
    for mark in (True, True, False, False, True):
        entry = captures.mark(ID, Mark.FALSE_ALARM, on=mark)
        assert entry is not None
        assert entry.false_alarm == Mark.FALSE_ALARM.is_on(sidecar) == mark
        assert captures.newest(1) == [entry]
    assert sidecar.read_bytes() == before  # it belongs to the daemon
    assert Mark.FALSE_ALARM.path(sidecar) in group_files(sidecar)  # retention deletes the mark too


@pytest.mark.parametrize(
    "name",
    ["", "2026-01-01", "2026-01-01/x", "../2026-01-01/x", "2026-01-01/../2026-01-01/x", "a\0/b",
     "2026-01-01/a\0b", "2026-01-01/.235959", "2026-01-01/" + "x" * 300,
     "2026-01-01/../../secret"],
)  # fmt: skip
def test_nothing_else_is_marked(captures: Captures, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.json").write_bytes((tmp_path / "gate" / f"{ID}.json").read_bytes())
    assert captures.mark(name, Mark.FALSE_ALARM, on=True) is None
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".false-alarm")]


def test_a_false_alarm_is_marked_and_its_place_muted_by_clicks(tmp_path: Path) -> None:
    screen_film(tmp_path / "screen.mp4", walks=False)
    with viewed(tmp_path, text=CONFIGURATION) as viewing, browser(tmp_path) as page:
        page.open(f"http://127.0.0.1:{viewing.port}/")
        page.until("document.querySelector('#places button') !== null")
        assert "visitor (person)" in page.text("#places li")
        page.until("document.querySelector('#boxes .place') !== null")
        page.click("#motion summary")
        page.fill("#number-floor", "20")  # a change that is not saved yet
        page.click("#places button")
        page.until("document.querySelector('#mutes button') !== null")
        page.until("/^Muted: the new con/.test(document.getElementById('message').textContent)")
        (row,) = load(viewing.file).mutes
        assert row.labels == ("person",)
        page.until("document.querySelector('#places button') === null")
        page.until("document.querySelector('#boxes .mute') !== null")
        until(lambda: health(viewing)["muted"] > 0)
        page.click("#save")
        page.until("/^Saved/.test(document.getElementById('message').textContent)")
        assert load(viewing.file).motion.floor == 20
        assert load(viewing.file).mutes == (row,)

        # No capture follows while the place is muted, so that the list stays as it is.
        page.until("document.querySelector('#captures .marks .wrong') !== null")
        page.click("#captures li:last-child .marks .wrong")
        page.until("document.querySelector('#captures .false-alarm [aria-pressed=true]') !== null")
        assert len(list(viewing.captures.rglob("*.false-alarm"))) == 1
        page.click("#captures .false-alarm .wrong + button")
        page.until("document.querySelectorAll('#mutes button').length === 2")
        x0, y0, x1, y1 = load(viewing.file).mutes[1].box
        assert x0 < row.box[0] + 0.05 < x1
        assert y0 < row.box[3] - 0.05 < y1

        page.click("#mutes button")
        page.until("document.querySelectorAll('#mutes button').length === 1")
        assert load(viewing.file).mutes[0].box == (x0, y0, x1, y1)
        assert [error for error in page.errors if "/api/frame" not in error] == []


def health(viewing: Viewed) -> dict[str, int]:
    status, _, data = viewing.ask("GET", "/api/status")
    assert status == 200, data
    return dict(json.loads(data)["health"])
