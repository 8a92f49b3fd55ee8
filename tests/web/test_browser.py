"""The live view as a person uses it: in a real browser, with mouse, finger and keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.client import Event, Subscriber
from edge.config.load import load
from edge.messages import Trigger
from tests.support.browser import LIVE, Page
from tests.support.viewing import CONFIGURATION, Viewed, daemon, until, view

Point = tuple[float, float]


def at(page: Page, x: float, y: float) -> Point:
    """Scrolls the picture into view and converts a point in 0..1 of it to the screen."""
    centre = page.centre("#drawing")
    width, height = page.run(
        "[document.querySelector('#drawing').clientWidth,"
        "document.querySelector('#drawing').clientHeight]"
    )
    return centre[0] + (x - 0.5) * width, centre[1] + (y - 0.5) * height


def saved(page: Page) -> str:
    """Saves and returns the page's message about it."""
    page.click("#save")
    page.until("['good', 'bad'].includes(document.getElementById('message').dataset.kind)")
    return page.text("#message")


def boot_of(viewing: Viewed) -> str | None:
    """The identity of the running daemon; None while none responds."""
    status, _, data = viewing.ask("GET", "/api/status")
    return str(json.loads(data)["boot_id"]) if status == 200 else None


def saved_and_reloaded(page: Page, viewing: Viewed) -> str:
    """As `saved`; the same daemon has the new configuration."""
    before = boot_of(viewing)
    message = saved(page)
    assert boot_of(viewing) == before
    return message


def shown(page: Page, folder: Path) -> np.ndarray:
    file = folder / "shot.png"
    page.screenshot(file)
    picture = cv2.imread(str(file))
    assert picture is not None
    return picture


def test_the_page_loads_and_the_picture_moves(
    opened: Page, viewing: Viewed, tmp_path: Path
) -> None:
    x, y, width, height = opened.run(
        "(() => { const b = document.getElementById('picture').getBoundingClientRect();"
        "return [b.x, b.y, b.width, b.height]; })()"
    )
    area = np.s_[int(y) + 5 : int(y + height) - 5, int(x) + 5 : int(x + width) - 5]
    first = shown(opened, tmp_path)[area]
    assert first.std() > 10
    until(lambda: (cv2.absdiff(first, shown(opened, tmp_path)[area]) > 60).mean() > 0.002)
    opened.until("document.querySelectorAll('#boxes .track').length > 0")
    opened.until("document.querySelectorAll('#boxes .region').length > 0")
    assert opened.text("#camera") == "gate"
    assert "fps" in opened.until(
        "/fps/.test(document.getElementById('state').textContent) &&"
        "document.getElementById('state').textContent"
    )
    opened.click("#canvas summary")
    opened.until("/crop/.test(document.getElementById('packed-caption').textContent)")
    assert opened.errors == []
    origin = f"http://127.0.0.1:{viewing.port}/"
    assert all(url.startswith((origin, "data:", "about:")) for url in opened.requested)


def test_motion_is_drawn_in_its_place_and_can_be_hidden(opened: Page) -> None:
    """Counts pixels of a colour that appears nowhere else in the picture."""
    green = (
        "(() => { const c = document.getElementById('picture');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;"
        "for (let i = 0; i < d.length; i += 4) n += d[i+1] > 200 && d[i+1] - d[i] > 60;"
        "return n; })()"
    )
    opened.until(f"{green} > 200")
    opened.click("#layers [value=motion]")
    opened.until("document.querySelectorAll('#boxes .track').length > 0")
    opened.until(f"{green} < 20")


def test_a_zone_drawn_by_mouse_is_in_the_file_and_in_the_next_event(
    opened: Page, viewing: Viewed
) -> None:
    opened.click("#add-zone")
    for corner in ((0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)):
        opened.click(at(opened, *corner))
    opened.click(at(opened, 0.01, 0.01))  # closes it
    opened.fill("#shape-list .selected input", "yard")
    message = saved_and_reloaded(opened, viewing)
    assert message == "Saved: the new configuration is in use; changed: zones."
    zones = {zone.name: zone.polygon for zone in load(viewing.file).zones}
    assert set(zones) == {"path", "yard"}
    drawn = np.array([[0.01, 0.01], [0.99, 0.01], [0.99, 0.99], [0.01, 0.99]])
    assert np.abs(np.array(zones["yard"]) - drawn).max() < 0.005
    before, after = CONFIGURATION.splitlines(), viewing.file.read_text().splitlines()
    assert [line for line in before if line not in after] == []
    with Subscriber(viewing.endpoint, topics=["trigger."]) as subscriber:
        event = subscriber.receive(20)
    assert event is not None
    assert isinstance(event.message, Trigger)
    assert "yard" in event.message.zones
    opened.until(LIVE)
    assert [e for e in opened.errors if "/api/frame" not in e] == []  # none while it reloads


def test_a_rule_limited_to_the_drawn_zone_triggers_only_there(
    opened: Page, viewing: Viewed
) -> None:
    opened.click("#add-zone")
    opened.drag(at(opened, 0.01, 0.01), at(opened, 0.05, 0.05))  # a rectangle, at once
    opened.fill("#shape-list .selected input", "corner")
    opened.click(".rule > .chips label:nth-of-type(2)")
    assert opened.text(".rule > .about") == "Triggers only in corner."
    assert saved_and_reloaded(opened, viewing).startswith("Saved: ")
    settings = load(viewing.file)
    assert settings.triggers[0].zones == ("corner",)
    assert len(settings.zones[1].polygon) == 4
    with Subscriber(viewing.endpoint, topics=["trigger.", "track."]) as subscriber:
        topics = [event.topic for event in one_visit(subscriber)]
    assert not any(topic.startswith("trigger.") for topic in topics)


def one_visit(subscriber: Subscriber) -> Iterator[Event]:
    """The events until the end of a person's track."""
    while (event := subscriber.receive(20)) is not None:
        yield event
        if event.topic.endswith(".end"):
            return
    raise AssertionError("no person appeared")


def test_corners_are_moved_added_and_deleted_and_a_whole_shape_is_moved(
    opened: Page, viewing: Viewed
) -> None:
    opened.click(at(opened, 0.25, 0.5))
    opened.drag(at(opened, 0.5, 0.0), at(opened, 0.7, 0.1))
    opened.drag(at(opened, 0.6, 0.55), at(opened, 0.65, 0.6))  # the middle of an edge
    opened.click(at(opened, 0.004, 0.005))
    opened.click("#delete-corner")
    opened.drag(at(opened, 0.4, 0.7), at(opened, 0.5, 0.7))
    assert saved(opened).startswith("Saved: ")
    corners = np.array(load(viewing.file).zones[0].polygon)
    expected = [[0.8, 0.1], [0.75, 0.6], [0.6, 1.0], [0.1, 1.0]]
    assert corners.shape == (4, 2)
    assert np.abs(corners - expected).max() < 0.01


def test_a_mask_is_drawn_and_moved_by_keyboard_alone(opened: Page, viewing: Viewed) -> None:
    opened.run("document.getElementById('add-mask').focus()")
    opened.key("Enter")
    opened.run("document.activeElement.blur()")
    opened.key("Enter")  # a square in the middle
    opened.run("document.querySelector('#shapes polygon.selected').focus()")
    opened.key("ArrowRight")
    opened.key("ArrowRight")
    assert saved(opened).startswith("Saved: ")
    masks = load(viewing.file).motion.masks
    assert masks[0] == ((0.0, 0.0), (0.2, 0.0), (0.2, 0.1))
    assert np.allclose(masks[1], [[0.36, 0.35], [0.66, 0.35], [0.66, 0.65], [0.36, 0.65]])
    assert "# the tree" in viewing.file.read_text()


def test_escape_cancels_and_discard_restores(opened: Page, viewing: Viewed) -> None:
    opened.click("#add-mask")
    opened.click(at(opened, 0.5, 0.5))
    opened.key("Escape")
    assert opened.run("document.querySelectorAll('#shape-list li').length") == 2
    opened.click("#shape-list li.zone button[aria-label^=Delete]")
    assert opened.run("document.querySelectorAll('#shape-list li').length") == 1
    opened.click("#discard")
    opened.until("document.querySelectorAll('#shape-list li').length === 2")
    assert viewing.file.read_text() == CONFIGURATION


def test_a_slider_is_saved_and_a_bad_value_is_marked(opened: Page, viewing: Viewed) -> None:
    opened.click("#motion summary")
    opened.click("#range-floor")  # its middle
    opened.run("document.getElementById('range-floor').focus()")
    opened.key("ArrowRight")
    assert saved(opened) == "Saved: the new configuration is in use; changed: motion."
    written = viewing.file.read_text()
    assert 30 < load(viewing.file).motion.floor < 32
    opened.fill("#number-floor", "999")
    assert "motion.floor: 999.0 found, expected a number from 1 to 255" in saved(opened)
    assert (
        opened.run("document.getElementById('number-floor').getAttribute('aria-invalid')") == "true"
    )
    assert viewing.file.read_text() == written
    assert "422" in opened.errors.pop()
    assert opened.errors == []


def test_a_change_by_another_program_is_reported_and_can_be_loaded(
    opened: Page, viewing: Viewed
) -> None:
    opened.click("#motion summary")
    opened.fill("#number-floor", "20")
    viewing.file.write_text(CONFIGURATION.replace("sensitivity = 1.0", "sensitivity = 2.0"))
    message = saved(opened)
    assert "has been changed since the page read it" in message
    assert message.endswith("Discard loads the file again.")
    opened.click("#discard")
    opened.until("document.getElementById('number-sensitivity').value === '2'")
    assert "sensitivity = 2.0" in viewing.file.read_text()


def test_captures_appear_and_a_still_opens(opened: Page) -> None:
    opened.until("document.querySelectorAll('#captures li').length > 0")
    opened.click("#capture")
    opened.until(
        "/^Made a still at .*Open it/.test(document.getElementById('message').textContent)"
    )
    assert "command" in opened.text("#captures")
    opened.run("document.getElementById('captured').scrollIntoView()")
    opened.until("document.querySelector('#captures img').naturalWidth === 320")
    opened.click("#message button")
    opened.until("document.querySelector('#viewer-media img').naturalWidth === 640")
    opened.run("document.getElementById('viewer').close()")
    assert opened.errors == []


def test_sidecars_that_can_not_be_read_are_counted(opened: Page, viewing: Viewed) -> None:
    opened.until("document.querySelectorAll('#captures li').length > 0")
    assert opened.run("document.getElementById('unreadable-captures').hidden")
    damaged = next(viewing.captures.glob("20*")) / "000000.000_damaged.json"
    damaged.write_text("")
    read = "import('/static/captures.js').then(({ refresh }) => refresh())"  # as every 5 s
    opened.run(read)
    opened.until("!document.getElementById('unreadable-captures').hidden")
    assert "Not listed: 1 capture whose sidecar" in opened.text("#unreadable-captures")
    damaged.unlink()
    opened.run(read)
    opened.until("document.getElementById('unreadable-captures').hidden")


def test_a_hidden_page_sends_no_requests(opened: Page) -> None:
    opened.show(False)
    opened.until("document.hidden")
    opened.run("new Promise((done) => setTimeout(done, 500))")  # requests in progress end
    opened.requested.clear()
    opened.run("new Promise((done) => setTimeout(done, 1500))")
    assert opened.requested == []
    opened.show(True)
    opened.until("!document.hidden")
    until(lambda: opened.run("1") and opened.requested)
    assert opened.errors == []


@pytest.mark.parametrize("is_dark", [False, True])
def test_on_a_phone_everything_fits_and_is_large_enough(
    opened: Page, viewing: Viewed, is_dark: bool, tmp_path: Path
) -> None:
    opened.dark(is_dark)
    opened.size(360, 740, phone=True)
    opened.open(f"http://127.0.0.1:{viewing.port}/")
    opened.until(LIVE)
    opened.until("document.querySelectorAll('#captures li').length > 0")
    assert opened.run("document.documentElement.scrollWidth") == 360
    picture = shown(opened, tmp_path)
    assert picture.shape == (1480, 720, 3)
    assert (picture[:20, :20].mean() < 60) == is_dark
    small = opened.run(
        "[...document.querySelectorAll('button, select, summary, .button, #layers label, .chip,"
        " input:not([type=checkbox])')].filter((e) => e.checkVisibility()).filter((e) => {"
        " const b = e.getBoundingClientRect(); return b.height < 44 || b.width < 44; })"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert small == []
    top = opened.run("document.querySelector('#captures li').getBoundingClientRect().top + scrollY")
    assert top < 740 - 100  # a capture is to be seen at once
    opened.run("document.getElementById('add-zone').click()")
    for corner in ((0.2, 0.2), (0.8, 0.2), (0.5, 0.8)):
        opened.tap(at(opened, *corner))
    opened.tap(at(opened, 0.2, 0.2))
    assert opened.run("document.querySelectorAll('#shape-list .zone').length") == 2
    opened.dark(False)


def test_the_page_asks_for_the_token_and_takes_it_from_the_address(
    page: Page, viewing: Viewed, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    with view(viewing.file.parent, "--token-file", str(file)) as port:
        token = file.read_text().strip()
        page.open(f"http://127.0.0.1:{port}/")
        page.until("!document.getElementById('login').hidden")
        page.fill("#token", "nonsense")
        page.click("#login button")
        page.until("document.getElementById('login-error').textContent")
        page.open("about:blank")
        page.open(f"http://127.0.0.1:{port}/#token={token}")
        page.until(LIVE)
        assert page.run("location.hash + document.cookie") == ""
        page.open("about:blank")
        page.open(f"http://127.0.0.1:{port}/")
        page.until(LIVE)  # by the cookie
        page.until("document.getElementById('login').hidden")
        assert not any(token in url.partition("#")[0] for url in page.requested)


def test_the_page_reports_a_lost_daemon_and_continues_when_it_is_back(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "edge.toml").write_text(CONFIGURATION)
    with view(tmp_path) as port:
        page.open(f"http://127.0.0.1:{port}/")
        page.until("/no answer from the daemon/.test(document.getElementById('state').textContent)")
        assert page.run("document.getElementById('number-floor').value") == "14"
        with daemon(tmp_path):
            page.until(LIVE)
            assert page.run("document.getElementById('veil').hidden")
