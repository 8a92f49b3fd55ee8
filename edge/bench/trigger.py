"""Time from an object's first frame to its trigger, and triggers that are false or repeated.

Times are of exposures: a frame that is examined at once counts as no delay. `edge bench latency`
measures the rest, from the exposure to the subscriber.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bench.footage import Footage
from edge.bench.individuals import MOMENTS, Individual, Individuals
from edge.bench.strategies import rule_of, strategies
from edge.config.schema import Settings
from edge.errors import PermanentError
from edge.vision.build import build_detector
from edge.vision.pipeline import DetectorLike
from edge.vision.types import Detections

STRATEGIES = ("whole-frame", "tiles", "packed", "packed+scheduled")
SILENCED_S = 0.25  # a trigger this much after its rule was met was held back, not only unlucky
CACHED = 20_000  # invocations whose results are kept
Progress = Callable[[str, int, int], None]
Directions = Sequence[bool]


class Wait(msgspec.Struct, frozen=True):
    """Seconds until a moment, over the individuals that reached it. never: the others, per run."""

    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    never: float

    @staticmethod
    def of(waited: Sequence[int | None], fps: float, runs: int) -> Wait:
        """waited: frames of all individuals of all runs; None for never."""
        reached = [frames / fps for frames in waited if frames is not None]
        never = round((len(waited) - len(reached)) / runs, 2)
        if not reached:
            return Wait(None, None, None, never)
        p50_s, p90_s, p95_s = (round(float(v), 3) for v in np.percentile(reached, [50, 90, 95]))
        return Wait(p50_s, p90_s, p95_s, never)


class Group(msgspec.Struct, frozen=True):
    """A group of individuals. All numbers are means of a run.

    since_truth: by moment, from the first frame of the ground truth. since_blob: from the first
    motion that shows the individual.
    silenced: individuals whose rule was met and who triggered much later or never.
    """

    individuals: float
    since_truth: dict[str, Wait]
    since_blob: dict[str, Wait]
    silenced: float


class TriggerRow(msgspec.Struct, frozen=True):
    """The result of one strategy: means of a run."""

    strategy: str
    invocations_per_frame: float
    precision: float
    recall: float
    f1: float
    false_triggers: float
    repeats: float
    everyone: Group
    newcomers: Group


class TriggerReport(msgspec.Struct, frozen=True):
    """All rows for one piece of footage. runs: starts times directions."""

    footage: str
    frames: int
    fps: float
    runs: int
    rows: tuple[TriggerRow, ...]


def trigger(
    settings: Settings,
    footage: Footage,
    names: Sequence[str],
    label: str,
    progress: Progress,
    starts: int = 10,
    directions: Directions = (False, True),
) -> TriggerReport:
    """Plays footage once for each strategy, start and direction. Raises EdgeError.

    starts: runs begin at frames 0, 1, 2 and so on. directions: whether to play it backwards.
    """
    known = strategies()
    if unknown := [name for name in names if name not in known]:
        raise PermanentError(f"strategy {unknown[0]}: expected one of {', '.join(known)}")
    detector = _CachedDetector(build_detector(settings))
    if label not in detector.labels:
        raise PermanentError(f"label {label}: expected one of {', '.join(detector.labels)}")
    runs = list(product(directions, range(min(starts, len(footage.frames)))))
    rows = []
    for name in names:
        played = []
        for number, (backwards, first) in enumerate(runs):
            progress(name, number, len(runs))
            one = footage.backwards() if backwards else footage
            played.append(_play(settings, detector, one, name, label, first))
        rows.append(_row(name, footage.info.fps, played))
    return TriggerReport(
        footage.name, len(footage.frames), footage.info.fps, len(runs), tuple(rows)
    )


class _Played(msgspec.Struct):
    individuals: Individuals
    frames: int
    invocations: int


def _play(
    settings: Settings,
    detector: DetectorLike,
    footage: Footage,
    name: str,
    label: str,
    first: int,
) -> _Played:
    individuals = Individuals(footage.truth[first:], footage.info.fps, rule_of(label))
    step = strategies()[name](settings, detector, footage.info, label)
    played = _Played(individuals, 0, 0)
    for frame, truth in footage.play(first):
        result = step(frame)
        individuals(frame.index, truth, result)
        played.frames += 1
        played.invocations += result.invocations
    return played


def _row(name: str, fps: float, played: Sequence[_Played]) -> TriggerRow:
    runs = [one.individuals for one in played]
    precision = sum(r.right for r in runs) / max(1, sum(r.reported for r in runs))
    recall = sum(r.right for r in runs) / max(1, sum(r.real for r in runs))
    both = precision + recall
    return TriggerRow(
        strategy=name,
        invocations_per_frame=round(
            sum(p.invocations for p in played) / sum(p.frames for p in played), 3
        ),
        precision=round(precision, 4),
        recall=round(recall, 4),
        f1=round(2 * precision * recall / both if both else 0.0, 4),
        false_triggers=_mean(r.false_triggers for r in runs),
        repeats=_mean(sum(max(0, i.triggers - 1) for i in r.by_id.values()) for r in runs),
        everyone=_group([list(r.by_id.values()) for r in runs], fps),
        newcomers=_group([r.newcomers() for r in runs], fps),
    )


def _group(runs: Sequence[list[Individual]], fps: float) -> Group:
    individuals = [one for run in runs for one in run]

    def waits(moments: Iterable[str], since: str = "") -> dict[str, Wait]:
        return {
            moment: Wait.of([one.waited(moment, since) for one in individuals], fps, len(runs))
            for moment in moments
        }

    silenced = sum(_is_silenced(one, fps) for one in individuals)
    return Group(
        round(len(individuals) / len(runs), 2),
        waits(MOMENTS),
        waits(MOMENTS[1:], "blob"),
        round(silenced / len(runs), 2),
    )


def _is_silenced(one: Individual, fps: float) -> bool:
    if "rule" not in one.moments:
        return False
    held = one.waited("trigger", "rule")
    return held is None or held / fps > SILENCED_S


def _mean(values: Iterator[int]) -> float:
    return round(float(np.mean(list(values))), 2)


class _CachedDetector:
    """A detector that runs once for each picture: runs from other starts repeat most of them."""

    def __init__(self, detector: DetectorLike) -> None:
        self.labels, self.groups = detector.labels, detector.groups
        self.input_size, self.min_score = detector.input_size, detector.min_score
        self.weak_score = detector.weak_score
        self._detector = detector
        self._known: dict[tuple[int, float | None], Detections] = {}

    def detect(self, canvas: npt.NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """As `Detector.detect`."""
        key = (hash(canvas.tobytes()), min_score)
        if key not in self._known:
            if len(self._known) >= CACHED:
                del self._known[next(iter(self._known))]
            self._known[key] = self._detector.detect(canvas, min_score)
        return self._known[key]
