"""The timeline of a replay: an SVG that needs no other file, in light and in dark colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 1000  # in units of the SVG
LANE, BAR, MAX_LANES = 18, 13, 12  # of objects: height of a lane and its bar, number of lanes
PLOT, TITLE, GAP = 56, 20, 16  # heights: of a plot, of the line above it, of the space below it
MAX_BARS, MAX_POINTS, MAX_TICKS = 120, 500, 11
LETTER: Final = 6.5  # width of a letter, about
STEPS_S: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
STYLE: Final = """
.timeline { --ink: #1f2933; --faint: #5b6875; --grid: #d8dee5; --motion: #2b7bd0; --model: #c98a1b;
  --seen: #b9d8c4; --met: #57a675; --on-bar: #10241a; --trigger: #c22f28; --on-trigger: #fff;
  font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .timeline { --ink: #e4e9ee; --faint: #9aa7b4; --grid: #39424c;
  --motion: #62a8f0; --model: #e0a63f; --seen: #35503f; --met: #2f7a4e; --on-bar: #eef6f1;
  --trigger: #ff7b72; --on-trigger: #2a0705; } }
.timeline text { fill: var(--ink); } .timeline .tick, .timeline .value { fill: var(--faint); }
.timeline .title { font-weight: 600; } .timeline .grid { stroke: var(--grid); }
.timeline .motion { fill: var(--motion); } .timeline .model { fill: var(--model); }
.timeline .seen { fill: var(--seen); } .timeline .met { fill: var(--met); }
.timeline .budget { stroke: var(--ink); stroke-dasharray: 5 4; }
.timeline .light { stroke: var(--faint); stroke-dasharray: 2 3; }
.timeline .trigger { fill: var(--trigger); }
.timeline text.on-bar { fill: var(--on-bar); font-size: 11px; }
.timeline text.on-trigger { fill: var(--on-trigger); font-size: 10px; font-weight: 600; }
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame. motion: share of the picture that moved. new_scene: the background was learnt."""

    time_s: float
    motion: float
    invocations: int
    new_scene: bool = False


@dataclass(slots=True)
class Visit:
    """A confirmed track, from the first to the last frame that had it."""

    track_id: int
    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A trigger. number: from 1 on. text: shown when the pointer is on it."""

    number: int
    time_s: float
    track_id: int
    text: str


def timeline(
    samples: Sequence[Sample], visits: Sequence[Visit], marks: Sequence[Mark], budget: float
) -> str:
    """Objects with their triggers, motion and the model's work over time.

    budget: invocations a second that the model may have. A mark links to the element `trigger-N`.
    """
    duration_s = max((sample.time_s for sample in samples), default=0.0) or 1e-9
    scale = WIDTH / duration_s
    lanes, left_out = lanes_of(visits, duration_s / 200)
    bottom = TITLE + (max(lanes.values(), default=0) + 1) * LANE
    parts = [*_objects(visits, marks, lanes, left_out, scale)]
    parts += _motion(samples, bottom + GAP + TITLE, duration_s)
    bottom += GAP + TITLE + PLOT
    parts += _model(samples, bottom + GAP + TITLE, duration_s, budget)
    bottom += GAP + TITLE + PLOT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="-8 0 {WIDTH + 16} '
        f'{bottom + 20}" role="img" aria-label="timeline"><style>{STYLE}</style>'
        f"{''.join(_ticks(duration_s, bottom))}{''.join(parts)}</svg>"
    )


def lanes_of(visits: Sequence[Visit], gap_s: float) -> tuple[dict[int, int], int]:
    """The lane of each track, so that none covers another, and the number of those left out."""
    lanes: dict[int, int] = {}
    ends_s: list[float] = []
    for visit in sorted(visits, key=lambda visit: visit.start_s):
        free = (lane for lane, end_s in enumerate(ends_s) if end_s + gap_s < visit.start_s)
        lane = next(free, len(ends_s))
        if lane == MAX_LANES:
            continue
        ends_s[lane : lane + 1] = [visit.end_s]
        lanes[visit.track_id] = lane
    return lanes, len(visits) - len(lanes)


def step_s(duration_s: float, most: int) -> float:
    """The shortest round step that divides a duration into at most `most` parts."""
    return next((step for step in STEPS_S if duration_s / step <= most), duration_s / most)


def _objects(
    visits: Sequence[Visit],
    marks: Sequence[Mark],
    lanes: Mapping[int, int],
    left_out: int,
    scale: float,
) -> Iterator[str]:
    met = {mark.track_id for mark in marks}
    also = f", {left_out} of them not drawn" if left_out else ""
    yield _title(
        TITLE, f"Objects: {len(visits)}, with {len(marks)} triggers", f"track and label{also}"
    )
    for visit in visits:
        if (lane := lanes.get(visit.track_id)) is None:
            continue
        x, y = visit.start_s * scale, TITLE + lane * LANE + 3
        width = max(2.0, (visit.end_s - visit.start_s) * scale)
        kind = "met" if visit.track_id in met else "seen"
        name = f"{visit.track_id} {visit.label}"
        yield (
            f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3">'
            f"<title>{escape(name)}: {visit.start_s:.1f} to {visit.end_s:.1f} s</title></rect>"
        )
        if width > LETTER * (len(name) + 4):
            yield f'<text class="on-bar" x="{x + 16:.1f}" y="{y + 10}">{escape(name)}</text>'
    for mark in marks:
        lane = lanes.get(mark.track_id, 0)
        x, middle = mark.time_s * scale, TITLE + lane * LANE + 3 + BAR / 2
        yield (
            f'<a href="#trigger-{mark.number}"><title>{escape(mark.text)}</title>'
            f'<circle class="trigger" cx="{x:.1f}" cy="{middle}" r="8"/><text class="on-trigger" '
            f'text-anchor="middle" x="{x:.1f}" y="{middle + 3.5}">{mark.number}</text></a>'
        )


def _motion(samples: Sequence[Sample], top: int, duration_s: float) -> Iterator[str]:
    """The largest share of the picture in each step; dotted lines where the light changed."""
    count = max(1, min(MAX_POINTS, len(samples) // 2))  # each step has a frame
    step = duration_s / count
    highest = [0.0] * (count + 1)
    for sample in samples:
        at = int(sample.time_s / step)
        highest[at] = max(highest[at], sample.motion)
    top_value = max(highest) or 1.0
    yield _title(top, "Motion", f"share of the picture, up to {top_value:.1%}")
    base, unit = top + PLOT, WIDTH / count
    points = " ".join(
        f"{at * unit:.1f},{base - value / top_value * PLOT:.1f}" for at, value in enumerate(highest)
    )
    yield f'<polygon class="motion" points="0,{base} {points} {WIDTH},{base}"/>'
    for sample in samples[1:]:
        if sample.new_scene:
            x = sample.time_s / duration_s * WIDTH
            yield (
                f'<line class="light" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{base}">'
                f"<title>{sample.time_s:.1f} s: light switched or camera moved</title></line>"
            )


def _model(samples: Sequence[Sample], top: int, duration_s: float, budget: float) -> Iterator[str]:
    """Invocations a second, as bars, and the budget, unless it is far above them."""
    step = step_s(duration_s, MAX_BARS)
    sums = [0] * (int(duration_s / step) + 1)
    for sample in samples:
        sums[int(sample.time_s / step)] += sample.invocations
    # The last bar may stand for less than a step.
    rates = [
        count / min(step, max(duration_s - at * step, step / 10)) for at, count in enumerate(sums)
    ]
    highest = max(rates) or 1.0
    top_value = max(highest, min(budget, 2 * highest))
    yield _title(
        top, "Model", f"invocations a second, up to {highest:.1f}; average budget {budget:g}"
    )
    base, unit = top + PLOT, step / duration_s * WIDTH
    for at, rate in enumerate(rates):
        x, height = at * unit, rate / top_value * PLOT
        width = min(unit * 0.85, WIDTH - x)
        if rate and width > 0:
            yield (
                f'<rect class="model" x="{x:.1f}" y="{base - height:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}"><title>{at * step:g} s: {rate:.1f} a second</title></rect>'
            )
    if budget <= top_value:
        y = base - budget / top_value * PLOT
        yield f'<line class="budget" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _title(top: int, title: str, explanation: str) -> str:
    return (
        f'<text class="title" x="0" y="{top - 6}">{title}<tspan class="value" font-weight="400"'
        f' dx="8">{explanation}</tspan></text>'
    )


def _ticks(duration_s: float, bottom: int) -> Iterator[str]:
    step = step_s(duration_s, MAX_TICKS)
    for number in range(int(duration_s / step) + 1):
        x = number * step / duration_s * WIDTH
        # The first and last text end within the drawing.
        anchor = "start" if number == 0 else "end" if x > WIDTH - 20 else "middle"
        yield (
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TITLE}" y2="{bottom}"/>'
            f'<text class="tick" text-anchor="{anchor}" x="{x:.1f}" y="{bottom + 15}">'
            f"{_clock(number * step)}</text>"
        )


def _clock(time_s: float) -> str:
    if time_s < 60:
        return f"{time_s:g} s"
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
