"""The report of a replay: one HTML file that needs no other."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from edge.config.schema import Settings

WIDTH, ROW = 1000, 70  # of the timeline, in units of its SVG
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; } text { font-size: 12px; fill: currentColor; }
.events { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 1rem; }
figure { margin: 0; } img { width: 100%; height: 200px; object-fit: contain; background: #8883; }
dt { font-weight: 600; } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; }
dd { margin: 0; }
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame. motion: share of the picture that moved. tracks: number of confirmed ones."""

    time_s: float
    motion: float
    invocations: int
    tracks: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. still: a JPEG."""

    time_s: float
    rule: str
    label: str
    score: float
    zones: tuple[str, ...]
    still: bytes


def render(
    settings: Settings, model: str, samples: Sequence[Sample], events: Sequence[Entry]
) -> str:
    """The HTML page. model: its name."""
    duration_s = samples[-1].time_s if samples else 0.0
    invocations = sum(sample.invocations for sample in samples)
    facts = {
        "source": settings.source.name.rpartition("/")[2],
        "model": model,
        "length": f"{duration_s:.1f} s, {len(samples)} frames",
        "invocations": f"{invocations} ({invocations / max(1, len(samples)):.2f} a frame)",
        "triggers": str(len(events)),
    }
    fact_rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    figures = "".join(map(_figure, events)) or "<p>No rule was met.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Replay of {escape(facts['source'])}</title><style>{STYLE}</style></head><body>"
        f"<h1>Replay of {escape(facts['source'])}</h1><dl>{fact_rows}</dl>"
        f"<h2>Timeline</h2>{_timeline(samples, events, duration_s)}"
        f'<h2>Triggers</h2><div class="events">{figures}</div></body></html>\n'
    )


def _figure(event: Entry) -> str:
    image = base64.b64encode(event.still).decode()
    in_zones = f" in {', '.join(event.zones)}" if event.zones else ""
    text = f"{event.time_s:.1f} s: {event.rule}, {event.label} {event.score:.2f}{in_zones}"
    return (
        f'<figure id="t{event.time_s:.3f}"><img alt="{escape(text)}" '
        f'src="data:image/jpeg;base64,{image}"><figcaption>{escape(text)}</figcaption></figure>'
    )


def _timeline(samples: Sequence[Sample], events: Sequence[Entry], duration_s: float) -> str:
    """Rows of motion, invocations and tracks over time, with a line for each trigger."""
    rows = (
        ("motion", "#4a90d9", [sample.motion for sample in samples]),
        ("invocations", "#d9a441", [float(sample.invocations) for sample in samples]),
        ("tracks", "#5aa469", [float(sample.tracks) for sample in samples]),
    )
    scale = WIDTH / max(duration_s, 1e-9)
    parts = []
    for number, (name, colour, values) in enumerate(rows):
        base = (number + 1) * ROW
        highest = max(values, default=0) or 1
        points = " ".join(
            f"{sample.time_s * scale:.1f},{base - value / highest * (ROW - 20):.1f}"
            for sample, value in zip(samples, values, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        shown = f"{highest:.1%}" if name == "motion" else f"{highest:.0f}"
        parts.append(f'<text x="2" y="{base - ROW + 14}">{name}, up to {shown}</text>')
    bottom = len(rows) * ROW
    for event in events:
        x = event.time_s * scale
        parts.append(
            f'<a href="#t{event.time_s:.3f}"><line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}" '
            f'stroke="#d0453a" stroke-width="2"><title>{escape(event.rule)}</title></line></a>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {bottom + 18}" role="img" aria-label="timeline">'
        f'{"".join(parts)}<text x="0" y="{bottom + 14}">0 s</text>'
        f'<text x="{WIDTH}" y="{bottom + 14}" text-anchor="end">{duration_s:.0f} s</text></svg>'
    )
