"""Captures, lines and rules on the page, its times and names, and its accessibility."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from edge.capture.stored.kept import group_files
from edge.capture.stored.marks import Mark
from edge.config.load import load
from tests.support.axe import violations
from tests.support.browser import Page
from tests.support.viewing import Viewed
from tests.web.test_browser import at, saved
from tests.web.test_finding import BOX, make

DAY = "2026-01-02"
IDS = "[...document.querySelectorAll('#captures li')].map((item) => item.dataset.id)"


@pytest.fixture
def day(opened: Page, viewing: Viewed) -> Iterator[list[str]]:
    """The ids of four captures of one day, the newest first, which the page shows alone."""
    root = viewing.captures.parent
    clocks = ("070000", "073000", "180000", "181500")
    zones = ((), ("path",), (), ("path",))
    ids = [
        make(root, DAY, clock, "night" if zone else "visitor", "dog" if zone else "person", zone)
        for clock, zone in zip(clocks, zones, strict=True)
    ][::-1]
    opened.open(f"http://127.0.0.1:{viewing.port}/")
    opened.until(f"document.querySelector('#filters [value=\"{DAY}\"]') !== null")
    choose(opened, "day", DAY)
    shows(opened, ids)
    opened.until("document.querySelector(\"#hours [data-hour='18']\").title === '2 captures'")
    yield ids
    shutil.rmtree(viewing.captures / DAY)


def choose(page: Page, name: str, value: str) -> None:
    page.run(
        f"(() => {{ const s = document.querySelector('#filters [name={name}]');"
        f"s.value = '{value}';"
        "s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def shows(page: Page, ids: list[str]) -> None:
    page.until(f"{IDS}.join() === {json.dumps(','.join(ids))}")


def test_captures_are_filtered_by_click_and_the_hours_are_bars(
    opened: Page, day: list[str]
) -> None:
    bar = "#hours [data-hour='{}']"
    opened.until(f"document.querySelector(\"{bar.format(18)}\").title === '2 captures'")
    opened.click(bar.format(18))
    shows(opened, day[:2])
    choose(opened, "label", "dog")
    shows(opened, day[:1])
    opened.click(bar.format(18))  # again: the whole day
    shows(opened, [day[0], day[2]])
    choose(opened, "zone", "path")
    choose(opened, "rule", "visitor")
    opened.until("/No capture fits/.test(document.getElementById('no-captures').textContent)")
    opened.click("#clear")
    opened.until(f"{IDS}.length > 4 || !{IDS}.includes('{day[0]}')")
    assert "Times of the camera: " in opened.text("#captured .row")
    assert opened.errors == []


def test_the_viewer_draws_the_box_and_goes_on_by_keys_and_swipes(
    opened: Page, day: list[str]
) -> None:
    opened.until("document.querySelector('#captures img').naturalWidth === 320")
    opened.click("#captures li:nth-child(2) .still")
    opened.until("document.querySelector('#viewer-media img').naturalWidth === 640")
    image, box = (
        opened.run(
            f"(() => {{ const b = document.querySelector('#viewer-media {element}')"
            ".getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })()"
        )
        for element in ("img", "rect:not(.halo)")
    )
    width, height = image[2] - image[0], image[3] - image[1]
    drawn = [(box[0] - image[0]) / width, (box[1] - image[1]) / height]
    drawn += [(box[2] - image[0]) / width, (box[3] - image[1]) / height]
    assert drawn == pytest.approx(BOX, abs=0.01)
    opened.click("#viewer-box")
    assert opened.run("document.querySelector('#viewer-media svg').hasAttribute('hidden')")
    caption = "document.getElementById('viewer-caption').textContent"
    opened.key("ArrowRight")
    opened.until(f"/dog.*in path.*07:30:00/.test({caption})")
    opened.key("ArrowLeft")
    opened.key("ArrowLeft")
    opened.until(f"/18:15:00/.test({caption})")
    opened.size(360, 740, phone=True)
    x, y = opened.centre("#viewer-media")
    opened.swipe((x + 80, y), (x - 80, y + 5))
    opened.until(f"/18:00:00/.test({caption})")
    assert opened.errors == []


def test_a_capture_is_kept_saved_and_deleted(opened: Page, viewing: Viewed, day: list[str]) -> None:
    sidecar = viewing.captures / f"{day[0]}.json"
    opened.click("#captures li:first-child .star")
    opened.until("document.querySelector('#captures .star[aria-pressed=true]') !== null")
    assert Mark.STAR.is_on(sidecar)
    choose(opened, "day", "")
    opened.run("document.querySelector('#filters [name=star]').click()")
    shows(opened, day[:1])
    opened.run("document.querySelector('#filters [name=star]').click()")
    choose(opened, "day", DAY)
    shows(opened, day)
    opened.click("#captures .still")
    opened.until("document.getElementById('viewer').open")
    saving = "document.getElementById('viewer-still')"
    assert opened.run(f"[{saving}.pathname, {saving}.download]") == [
        f"/captures/{day[0]}.jpg", f"{day[0].partition('/')[2]}.jpg",
    ]  # fmt: skip
    opened.click("#viewer-delete")
    opened.click("#viewer-keep")
    assert sidecar.exists()
    opened.key("Delete")
    opened.click("#viewer-destroy")
    shows(opened, day[1:])
    assert not any(path.exists() for path in group_files(sidecar))
    opened.until("/18:00:00/.test(document.getElementById('viewer-caption').textContent)")
    opened.until("document.querySelector(\"#hours [data-hour='18']\").title === '1 capture'")
    assert opened.errors == []


def test_a_capture_that_is_gone_leaves_the_list(
    opened: Page, viewing: Viewed, day: list[str]
) -> None:
    for path in group_files(viewing.captures / f"{day[1]}.json"):
        path.unlink(missing_ok=True)
    opened.run("import('/static/captures.js').then(({ refresh }) => refresh())")  # as every 5 s
    shows(opened, [day[0], *day[2:]])


def test_a_line_is_drawn_reversed_and_saved(opened: Page, viewing: Viewed) -> None:
    opened.click("#add-line")
    opened.drag(at(opened, 0.2, 0.5), at(opened, 0.8, 0.5))
    opened.fill("#shape-list .line input", "kerb")
    arrow = "document.querySelector('#shapes .arrow').getBoundingClientRect()"
    middle = at(opened, 0.5, 0.5)[1]
    assert opened.run(f"{arrow}.bottom") > middle + 25  # to the right of who goes to the right
    opened.click("#shape-list .line button[aria-label^=Reverse]")
    assert opened.run(f"{arrow}.top") < middle - 25
    assert saved(opened) == "Saved: the new configuration is in use; changed: lines."
    (line,) = load(viewing.file).lines
    assert (line.name, line.labels) == ("kerb", ())
    assert line.points[0] == pytest.approx((0.8, 0.5), abs=0.01)
    opened.click(at(opened, 0.5, 0.5))
    opened.drag(at(opened, 0.2, 0.5), at(opened, 0.1, 0.8))  # its end
    assert saved(opened).startswith("Saved: ")
    assert load(viewing.file).lines[0].points[1] == pytest.approx((0.1, 0.8), abs=0.02)
    opened.click("#shape-list .line button[aria-label^=Delete]")
    assert saved(opened).startswith("Saved: ")
    assert load(viewing.file).lines == ()


def test_a_privacy_mask_is_drawn_and_black(opened: Page, viewing: Viewed) -> None:
    colour = (
        "(() => { const c = document.getElementById('picture'); const d = c.getContext('2d')"
        ".getImageData(c.width * 0.9, c.height * 0.9, 1, 1).data; return d[0] + d[1] + d[2]; })()"
    )
    assert opened.run(colour) > 60
    opened.click("#add-privacy")
    opened.drag(at(opened, 0.8, 0.8), at(opened, 0.99, 0.99))
    assert "in use; changed: privacy" in saved(opened)
    (mask,) = load(viewing.file).privacy.masks
    assert mask[0] == pytest.approx((0.8, 0.8), abs=0.01)
    opened.until(f"{colour} < 30")
    opened.click("#shape-list .privacy button:last-child")
    assert "in use; changed: privacy" in saved(opened)
    assert load(viewing.file).privacy.masks == ()
    opened.until(f"{colour} > 60")


def test_a_rule_is_made_with_a_schedule_and_deleted(opened: Page, viewing: Viewed) -> None:
    rule = ".rule:last-child"
    opened.click("#add-rule")
    opened.fill(f"{rule} [data-key$=name] input", "night")
    opened.fill(f"{rule} [data-key$=labels] input", "person, motion")
    opened.fill(f"{rule} [data-key$=schedule] input", "10 pm - 6 am")
    opened.click(f"{rule} .fields .chips label:last-child")  # no clip
    before = viewing.file.read_text()
    assert "triggers[1].schedule" in saved(opened)
    assert opened.run(f"document.querySelector('{rule} .wrong input').value") == "10 pm - 6 am"
    assert viewing.file.read_text() == before
    opened.fill(f"{rule} [data-key$=schedule] input", "22:00-06:00, 12:00-13:00")
    assert saved(opened) == "Saved: the new configuration is in use; changed: triggers."
    made = load(viewing.file).triggers[1]
    assert (made.name, made.labels, made.actions) == ("night", ("person", "motion"), ("still",))
    assert made.schedule == ("22:00-06:00", "12:00-13:00")
    assert "where one walks" in viewing.file.read_text()
    opened.click(f"{rule} summary")
    opened.click(f"{rule} [aria-label='Delete rule night']")
    assert saved(opened).startswith("Saved: ")
    assert [rule.name for rule in load(viewing.file).triggers] == ["visitor"]
    assert all("422" in error for error in opened.errors)


def test_other_cameras_pages_are_linked(opened: Page, viewing: Viewed) -> None:
    ports = {"gate": viewing.port, "yard": 8081}
    shown = opened.run(
        "import('/static/pages.js').then(({ listPages }) => {"
        f"listPages(document.getElementById('pages'), {json.dumps(ports)});"
        "return [...document.querySelectorAll('#pages a')].map("
        "(a) => [a.textContent, a.href, a.getAttribute('aria-current')]); })"
    )
    assert shown == [
        ["gate", f"http://127.0.0.1:{viewing.port}/", "page"],
        ["yard", "http://127.0.0.1:8081/", None],
    ]


def test_times_are_those_of_the_camera_and_named(opened: Page) -> None:
    shown = opened.run(
        "import('/static/times.js').then(({ setZone, whenLocal, clockAt, today }) => {"
        "setZone({ name: 'NPT', offset_min: 345 });"
        "return [whenLocal('2020-01-02T03:04:05.678+05:45'), clockAt('2026-01-01T20:00:00Z'),"
        "whenLocal(today() + 'T23:59:58.000+05:45'),"
        "document.querySelector('.zone-name').textContent]; })"
    )
    assert shown[0].endswith("03:04:05")
    assert "2020" in shown[0]
    assert shown[1:] == ["01:45:00", "23:59:58", "NPT, UTC+05:45"]


def test_names_neither_cover_each_other_nor_leave_the_picture(opened: Page) -> None:
    crowd = "Array.from({ length: 12 }, (_, n) => [300 + 9 * (n % 4), 20 + 30 * (n % 3), 380, 130])"
    taken = opened.run(
        "import('/static/labels.js').then(({ Labels }) => {"
        f"const labels = new Labels([640, 480], 1); {crowd}.forEach("
        "(box) => labels.place(box, 'person 12 87 %')); return labels.taken; })"
    )
    assert len(taken) == 12
    for number, (x0, y0, x1, y1) in enumerate(taken):
        assert 0 <= x0 < x1 <= 640
        assert 0 <= y0 < y1 <= 480
        for u0, v0, u1, v1 in taken[:number]:
            assert not (x0 < u1 and u0 < x1 and y0 < v1 and v0 < y1)


@pytest.mark.parametrize(("width", "is_dark"), [(1280, False), (360, True)])
def test_the_page_is_accessible(opened: Page, day: list[str], width: int, is_dark: bool) -> None:
    opened.dark(is_dark)
    opened.size(width, 800, phone=width < 600)
    opened.run("for (const d of document.querySelectorAll('details')) d.open = true")
    opened.run("document.getElementById('add-line').click()")
    opened.run("document.getElementById('finish').click()")
    opened.until("document.querySelectorAll('#boxes .track').length > 0")
    assert violations(opened) == []
    opened.run("document.querySelector('#captures .still').click()")
    opened.until("document.querySelector('#viewer-media img').naturalWidth === 640")
    assert violations(opened) == []
    opened.dark(False)
    opened.run("document.getElementById('discard').click()")
