"""The model card in Markdown: the file, its training and its measured figures."""

from __future__ import annotations

import datetime
import platform
from dataclasses import dataclass
from pathlib import Path

from mobiledet.dataset import Dataset
from mobiledet.design import DEFAULT_SIZE_PX
from mobiledet.evaluation import SCORE
from mobiledet.export import FLOAT, Figures, Variant
from mobiledet.run import COCO, COCO_MODEL, Run, Training

LIMITS = (
    "A specialist: it was trained and measured on the footage named above, and may be worse on any "
    "other camera, season or time of day. It detects only the listed classes."
)

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a card. measured_on: the name of the held-out part."""

    path: Path
    run: Run
    training: Dataset
    held_out: Dataset
    measured_on: str
    licence: str


def card(subject: Subject, figures: Figures) -> str:
    """The whole card."""
    design = subject.run.design
    sections = [
        f"# {subject.path.stem}",
        f"Detects {', '.join(design.labels)}: Mobile-Det on {design.backbone}, α {design.alpha:g}, "
        f"head {design.head}, "
        f"input {design.size_px}x{design.size_px} RGB, {design.extra} extra layers, all int8.",
        _table(("", ""), _facts(subject, figures)),
        _input(design.size_px),
        "## Measured",
        f"mAP as in COCO (IoU .5 to .95); precision, recall and F1 at score {SCORE:g}, IoU .5. "
        f"Latency: median, one thread, this machine; {figures.reference}, measured in turn with "
        f"them, took {figures.reference_latency_ms:g} ms.",
        _table(
            ("file", "mAP", "AP50", "precision", "recall", "F1", "MB", "ms", "times faster"),
            [_variant(variant, figures) for variant in figures.variants],
        ),
        *_against_float(figures),
        f"By class, {figures.chosen}:",
        _table(("class", "objects", "AP50", "precision", "recall", "F1"), _classes(figures)),
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def _input(size_px: int) -> str:
    """Whether the daemon packs as many crops for this model as for its default model."""
    if size_px < DEFAULT_SIZE_PX:
        return (
            f"Its input is smaller than the {DEFAULT_SIZE_PX} px of the daemon's default model: a "
            "canvas holds fewer crops, so that each track gets fewer looks at the same "
            "`scheduler.invocations_per_s`."
        )
    return (
        f"Its input is at least that of the daemon's default model, {DEFAULT_SIZE_PX} px: a canvas "
        "holds as many crops, so that tracks get as many looks."
    )


def _facts(subject: Subject, figures: Figures) -> list[Row]:
    plan = subject.run.training
    today = datetime.datetime.now(datetime.UTC)
    return [
        ("file", f"{subject.path.name}: {figures.chosen}"),
        (
            "size of the network",
            f"{figures.mega_macs:g} M MACs, {figures.parameters / 1e6:.3f} M parameters",
        ),
        (
            "trained on",
            f"{Path(plan.dataset).name}, split {plan.split or 'all'}: {_content(subject.training)}",
        ),
        (
            "trained for",
            f"{plan.steps} steps of {plan.batch}, seed {plan.seed}{_loss(subject.run)}: "
            f"{figures.training_cpu_s:.0f} s of CPU",
        ),
        *_start(plan),
        ("measured on", f"{subject.measured_on}: {_content(subject.held_out)}"),
        *_origins(subject),
        ("licence", subject.licence or "not stated"),
        ("made", f"{today:%Y-%m-%d}, {platform.machine()}, {platform.system()}"),
    ]


def _loss(run: Run) -> str:
    """The loss where it can be chosen: the other heads have one each."""
    return f", loss {run.training.loss}" if run.design.head == "ssd" else ""


def _origins(subject: Subject) -> list[Row]:
    """A row for each origin of photographs that were pasted into the pictures."""
    origins = dict.fromkeys(subject.training.origins + subject.held_out.origins)
    return [
        (
            "photographs pasted",
            f"{_names(origin.photographs)}: {origin.licence or 'licence not stated'}; on empty "
            f"scenes of {_names(origin.scenes)}",
        )
        for origin in origins
    ]


def _names(paths: tuple[str, ...]) -> str:
    return ", ".join(Path(path).name for path in paths)


def _start(plan: Training) -> list[Row]:
    """The weights that the training began with, unless they were random."""
    if not plan.start:
        return []
    source = f"{COCO_MODEL} (Apache-2.0)" if plan.start == COCO else Path(plan.start).name
    return [("started from", f"{source}; the heads alone for {plan.freeze_steps} steps")]


def _variant(variant: Variant, figures: Figures) -> Row:
    report = variant.report
    shares = (report.map, report.map50, report.precision, report.recall, report.f1)
    return (
        variant.kind,
        *(f"{share:.3f}" for share in shares),
        f"{variant.size_bytes / 1e6:.2f}",
        f"{variant.latency_ms:.2f}",
        f"{figures.reference_latency_ms / variant.latency_ms:.1f}",
    )


def _against_float(figures: Figures) -> list[str]:
    """A sentence on the price of int8, if float was measured too."""
    reports = {variant.kind: variant.report for variant in figures.variants}
    if FLOAT not in reports:
        return []
    change = reports[figures.chosen].map - reports[FLOAT].map
    return [f"The mAP of this file is that of float {change:+.3f}."]


def _classes(figures: Figures) -> list[Row]:
    """The scores of the chosen file, a row for each class."""
    chosen = next(variant for variant in figures.variants if variant.kind == figures.chosen)
    return [
        (
            row.label,
            str(row.objects),
            *(f"{value:.3f}" for value in (row.ap50, row.precision, row.recall, row.f1)),
        )
        for row in chosen.report.classes
    ]


def _content(dataset: Dataset) -> str:
    objects = sum(len(picture.boxes_xyxy) for picture in dataset.pictures)
    return f"{len(dataset.pictures)} pictures, {objects} objects"


def _table(head: Row, rows: list[Row]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
