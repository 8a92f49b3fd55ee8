"""Measures how far accuracy depends on each tuning constant of `edge.vision`.

    python -m scripts.ablate VIDEO GROUND_TRUTH

Plays the footage with each constant lowered and raised, one at a time, and prints a Markdown table
of F1 and invocations per frame for docs/BENCHMARKS.md. One run takes about 15 s.
"""

from __future__ import annotations

import importlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from edge.bench.accuracy import SHIPPED, Task, accuracy
from edge.config.schema import ModelSettings, Settings

# Module of edge.vision: constant, a lower and a higher value.
CONSTANTS: dict[str, dict[str, tuple[object, object]]] = {
    "motion": {
        "REFERENCE_AGE_S": (0.06, 0.3),
        "MAX_BLOBS": (8, 128),
        "OPEN_PX": ((1, 1), (3, 3)),
        "CLOSE_PX": ((1, 3), (5, 9)),
    },
    "background": {
        "UPDATES_PER_S": (2.0, 10.0),
        "FIRST_NOISE": (1.0, 4.0),
        "MIN_GAIN_SHIFT": (0.75, 3.0),
        "GAIN_GRID": (4, 16),
        "NOISE_RATE": (0.25, 1.0),
    },
    "flow": {
        "COLUMNS": (2, 5),
        "ROWS": (3, 8),
        "INSET": (0.15, 0.35),
        "MIN_POINTS": (2, 8),
        "WINDOW_PX": (7, 21),
        "LEVELS": (1, 3),
        "REACH_PX": (8, 32),
    },
    "scheduler": {
        "EXPLAINED": (0.3, 0.7),
        "TRACK_MARGIN": (0.07, 0.3),
        "SAME_PLACE_IOU": (0.15, 0.6),
        "MAX_EMPTY_FACTOR": (4, 64),
        "TENTATIVE_FACTOR": (0.25, 1.0),
        "FILL_URGENCY": (0.25, 1.0),
        "REMEMBERED_PAUSES": (1, 4),
        "FIRST_PAUSE": (0.06, 0.25),
        "GHOST_ACTIVITY": (0.05, 0.2),
        "OTHER_VIEW": (0.1, 0.4),
        "FOLLOW_MARGIN": (0.25, 1.0),
    },
    "regions": {
        "MIN_INSIDE": (0.7, 0.95),
        "MAX_WITHIN": (0.6, 0.9),
        "SHOWN": (0.9, 0.999),
        "CUT_MARGIN_PX": (1.0, 4.0),
    },
    "pipeline": {"SAME_OBJECT": (0.15, 0.6)},
    "tracker": {
        "BUFFERS": ((0.07, 0.25), (0.3, 1.0)),
        "TENTATIVE_MISSES": (1, 4),
        "MAX_JUMP": (0.3, 1.2),
        "MIN_HITS_FOR_VELOCITY": (2, 6),
        "SAME_OBJECT_IOU": (0.45, 0.8),
        "EXAMINED_SHARE": (0.7, 0.99),
    },
    "owner": {
        "OTHER_OBJECT": (0.5, 0.7),
        "KNOWN_OBJECT": (0.4, 0.6),
        "BLEND": (0.15, 0.6),
    },
    "kalman": {
        "POSITION_NOISE": (0.025, 0.1),
        "ACCELERATION": (0.5, 2.0),
        "FIRST_SPEED": (0.5, 2.0),
        "SHIFT_GAIN": (0.15, 0.6),
        "SIZE_GAIN": (0.17, 0.7),
    },
}


def measure(video: str, truth: str, module: str, name: str, value: object) -> tuple[float, float]:
    """F1 and invocations per frame with one constant changed; an empty name changes none."""
    holder = importlib.import_module(f"edge.vision.{module}")
    before = getattr(holder, name, None)
    if name:
        setattr(holder, name, value)
    try:
        settings = Settings(model=ModelSettings(threads=1))
        task = Task(Path(video), Path(truth))
        report = accuracy(settings, task, (SHIPPED,), lambda *_: None)
    finally:
        if name:
            setattr(holder, name, before)
    return report.rows[0].f1, report.rows[0].invocations_per_frame or 0.0


def main(video: str, truth: str) -> None:
    rows = [(module, name) for module, names in CONSTANTS.items() for name in names]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        base = pool.submit(measure, video, truth, "motion", "", None)
        runs = {
            (module, name, value): pool.submit(measure, video, truth, module, name, value)
            for module, name in rows
            for value in CONSTANTS[module][name]
        }
        f1, per_frame = base.result()
        print(f"As shipped: F1 {f1:.3f} at {per_frame:.2f} invocations a frame.\n")
        print("| constant | shipped | lower: F1 at invocations | higher: F1 at invocations |")
        print("| --- | --- | --- | --- |")
        for module, name in rows:
            shipped = getattr(importlib.import_module(f"edge.vision.{module}"), name)
            cells = []
            for value in CONSTANTS[module][name]:
                changed_f1, changed = runs[module, name, value].result()
                cells.append(f"{value}: {changed_f1:.3f} at {changed:.2f}")
            print(f"| `{module}.{name}` | {shipped} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
