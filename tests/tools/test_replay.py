"""The report of `edge replay`: its chart, and what a person can read in it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edge.config.load import load
from edge.config.schema import Settings
from edge.tools.chart import MAX_LANES, Mark, Sample, Visit, lanes_of, step_s, timeline
from edge.tools.replay import ReplaySummary, replay
from tests.support.browser import browser

# Contrast of text that WCAG 2 asks for.
READABLE = 4.5
CONTRASTS = """
(() => {
  const channels = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const luminance = text => channels(text)
    .map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const fill = selector => getComputedStyle(document.querySelector(selector)).fill;
  const probe = document.body.appendChild(document.createElement('p'));
  probe.style.backgroundColor = 'Canvas';
  const paper = getComputedStyle(probe).backgroundColor;
  return {
    title: ratio(fill('.timeline .title'), paper), value: ratio(fill('.timeline .value'), paper),
    tick: ratio(fill('.timeline .tick'), paper),
    met: ratio(fill('.timeline .on-bar'), fill('.timeline .met')),
    number: ratio(fill('.timeline .on-trigger'), fill('circle.trigger')),
    facts: ratio(getComputedStyle(document.querySelector('dd')).color, paper),
  };
})()
"""


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(Path("/dev/null"), {
        "source.uri": "synthetic:visits?duration=12", "source.fast": "true",
        "source.fps": "5", "triggers": '[{name = "visitor", labels = ["person"]}]',
    })  # fmt: skip


@pytest.fixture(scope="module")
def report(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay") / "report.html"


@pytest.fixture(scope="module")
def summary(settings: Settings, report: Path) -> ReplaySummary:
    return replay(settings, None, report, lambda _done, _all: None)


def drawing(html: str) -> ElementTree.Element:
    match = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert match is not None
    return ElementTree.fromstring(match.group())


def of_class(svg: ElementTree.Element, name: str) -> list[dict[str, str]]:
    return [part.attrib for part in svg.iter() if name in part.get("class", "").split()]


def test_the_first_frame_is_no_motion(summary: ReplaySummary) -> None:
    first, *others = summary.samples
    assert first.new_scene
    assert first.motion == 0
    assert 0 < max(sample.motion for sample in others) < 0.5


def test_each_trigger_is_a_number_on_the_bar_of_its_object(
    summary: ReplaySummary, report: Path
) -> None:
    html = report.read_text()
    svg = drawing(html)
    assert len(summary.events) >= 1
    bars = {(bar["y"], bar["x"]) for bar in of_class(svg, "met")}
    assert len(bars) == len({event.track_id for event in summary.events})
    links = [part.get("href") for part in svg.iter() if part.tag.endswith("}a")]
    assert links == [f"#trigger-{number}" for number in range(1, len(summary.events) + 1)]
    assert all(f'id="{link[1:]}"' in html for link in links if link)


def test_visits_last_while_their_track_is_confirmed(summary: ReplaySummary) -> None:
    ends = {event.track_id: event.time_s for event in summary.events}
    for track_id, time_s in ends.items():
        visit = summary.visits[track_id]
        assert visit.label == "person"
        assert visit.start_s <= time_s <= visit.end_s


def test_bars_do_not_cover_each_other_and_the_surplus_is_counted() -> None:
    visits = [Visit(n, "person", n / 10, n / 10 + 2) for n in range(60)]
    lanes, left_out = lanes_of(visits, 0.1)
    assert (max(lanes.values()), left_out) == (MAX_LANES - 1, 60 - len(lanes))
    assert left_out > 0
    for lane in range(MAX_LANES):
        times = [(v.start_s, v.end_s) for v in visits if lanes.get(v.track_id) == lane]
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(times))
    svg = ElementTree.fromstring(timeline([Sample(8, 0, 0)], visits, [], 5))
    assert f"{left_out} of them not drawn" in "".join(svg.itertext())


@pytest.mark.parametrize("samples", [[], [Sample(0, 0, 1)], [Sample(0, 0, 0), Sample(1e5, 1, 9)]])
def test_every_length_of_footage_has_a_chart(samples: list[Sample]) -> None:
    svg = ElementTree.fromstring(timeline(samples, [], [Mark(1, 0, 7, "<&>")], 5))
    (points,) = [part["points"] for part in of_class(svg, "motion")]
    assert "nan" not in points
    for bar in of_class(svg, "model"):
        assert 0 <= float(bar["x"]) <= 1000
        assert float(bar["height"]) <= 56.1


def test_a_switched_light_is_a_line_and_not_motion() -> None:
    samples = [Sample(0, 0, 0, True), Sample(1, 0.1, 0), Sample(2, 0, 0, True), Sample(3, 0, 0)]
    svg = ElementTree.fromstring(timeline(samples, [], [], 5))
    assert [line["x1"] for line in of_class(svg, "light")] == ["666.7"]
    assert "up to 10.0%" in "".join(svg.itertext())


@pytest.mark.parametrize(("duration_s", "expected"), [(9, 1), (60, 10), (79.4, 10), (3600, 600)])
def test_steps_are_round(duration_s: float, expected: float) -> None:
    assert step_s(duration_s, 11) == expected


def test_the_report_is_readable_in_light_and_dark(
    summary: ReplaySummary, report: Path, tmp_path: Path
) -> None:
    with browser(tmp_path) as page:
        shown: list[dict[str, Any]] = []
        for dark in (False, True):
            page.dark(dark)
            page.open(report.as_uri())
            shown.append(page.run(CONTRASTS))
        assert page.errors == []
        assert all(ratio >= READABLE for ratios in shown for ratio in ratios.values()), shown
        assert shown[0] != shown[1]
        page.size(360, 640, phone=True)
        assert page.run("document.documentElement.scrollWidth <= 360")
