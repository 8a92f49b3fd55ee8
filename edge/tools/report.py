"""The report of a replay: one HTML file that needs no other."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from edge.config.schema import Settings
from edge.tools.chart import Mark, Sample, Visit, timeline

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
.scroll { overflow-x: auto; } svg { width: 100%; min-width: 640px; height: auto; }
.events { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 1rem; }
figure { margin: 0; } img { width: 100%; height: 200px; object-fit: contain; background: #8883; }
figure:target { outline: 2px solid; outline-offset: 4px; }
dt { font-weight: 600; } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; }
dd { margin: 0; }
"""
ADVICE = """<ul>
<li>An object in the video has no bar: it was missed. Raise <code>motion.sensitivity</code>, or
lower <code>motion.min_area</code> if it is small.</li>
<li>A bar has no number: no rule was met, because of its label, zone, score or cooldown.</li>
<li>There is much motion and no bar: leaves, water or shadows. Draw a mask over them.</li>
<li>The bars of the model stay at the budget (dashed): it is used up. Raise
<code>scheduler.invocations_per_s</code>, or mask what moves without need.</li>
</ul>"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. still: a JPEG."""

    time_s: float
    track_id: int
    rule: str
    label: str
    score: float
    zones: tuple[str, ...]
    still: bytes

    @property
    def text(self) -> str:
        in_zones = f" in {', '.join(self.zones)}" if self.zones else ""
        return f"{self.time_s:.1f} s: {self.rule}, {self.label} {self.score:.2f}{in_zones}"


def render(
    settings: Settings,
    model: str,
    samples: Sequence[Sample],
    visits: Sequence[Visit],
    events: Sequence[Entry],
) -> str:
    """The HTML page. model: its name."""
    name = escape(settings.source.name.rpartition("/")[2])
    facts = _facts(settings, model, samples, visits, events)
    fact_rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    figures = "".join(_figure(*pair) for pair in enumerate(events, 1)) or "<p>No rule was met.</p>"
    marks = [Mark(n, event.time_s, event.track_id, event.text) for n, event in enumerate(events, 1)]
    chart = timeline(samples, visits, marks, settings.scheduler.invocations_per_s)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Replay of {name}</title><style>{STYLE}</style></head><body>"
        f"<h1>Replay of {name}</h1><dl>{fact_rows}</dl>"
        f'<h2>Timeline</h2><div class="scroll">{chart}</div>{ADVICE}'
        f'<h2>Triggers</h2><div class="events">{figures}</div></body></html>\n'
    )


def _facts(
    settings: Settings,
    model: str,
    samples: Sequence[Sample],
    visits: Sequence[Visit],
    events: Sequence[Entry],
) -> dict[str, str]:
    duration_s = max((sample.time_s for sample in samples), default=0.0)
    frames = max(1, len(samples))
    invocations = sum(sample.invocations for sample in samples)
    moving = sum(sample.motion > 0 for sample in samples)
    return {
        "source": settings.source.name.rpartition("/")[2],
        "model": model,
        "length": f"{duration_s:.1f} s, {len(samples)} frames, {moving / frames:.0%} with motion",
        "invocations": f"{invocations} ({invocations / frames:.2f} a frame)",
        "objects": str(len(visits)),
        "triggers": str(len(events)),
    }


def _figure(number: int, event: Entry) -> str:
    image = base64.b64encode(event.still).decode()
    text = escape(event.text)
    return (
        f'<figure id="trigger-{number}"><img alt="{text}" src="data:image/jpeg;base64,{image}">'
        f"<figcaption><b>{number}</b> {text}</figcaption></figure>"
    )
