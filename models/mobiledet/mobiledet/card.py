"""The model card: what a file is, how it was made and what was measured, in Markdown."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path

from mobiledet.dataset import Dataset
from mobiledet.evaluation import SCORE
from mobiledet.export import Figures, Variant
from mobiledet.run import Run


def card(
    path: Path,
    run: Run,
    figures: Figures,
    training: Dataset,
    held_out: Dataset,
    measured_on: str,
    licence: str,
) -> str:
    """measured_on: the name of the held-out part."""
    design, plan = run.design, run.training
    labels = ", ".join(design.labels)
    sections = [
        f"# {path.stem}",
        f"Finds {labels}: Mobile-Det on {design.backbone}, α {design.alpha:g}, input "
        f"{design.size_px}x{design.size_px} RGB, {design.extra} extra layers, all int8.",
        _table(
            ("", ""),
            [
                ("file", f"{path.name}: {figures.chosen}"),
                (
                    "size of the network",
                    f"{figures.mega_macs:g} M MACs, {figures.parameters / 1e6:.3f} M parameters",
                ),
                (
                    "trained on",
                    f"{Path(plan.dataset).name}, split {plan.split or 'all'}: {_content(training)}",
                ),
                (
                    "trained for",
                    f"{plan.steps} steps of {plan.batch}, seed {plan.seed}, loss "
                    f"{plan.loss}: {figures.training_cpu_s:.0f} s of CPU",
                ),
                ("measured on", f"{measured_on}: {_content(held_out)}"),
                ("licence", licence or "not stated"),
                (
                    "made",
                    f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, "
                    f"{platform.machine()}, {platform.system()}",
                ),
            ],
        ),
        "## Measured",
        f"mAP as COCO has it (IoU .5 to .95); precision, recall and F1 at score {SCORE:g}, IoU .5. "
        f"Latency: median, one thread, this machine; {figures.reference} took "
        f"{figures.reference_latency_ms:g} ms in turn with them.",
        _table(
            ("file", "mAP", "AP50", "precision", "recall", "F1", "MB", "ms", "times faster"),
            [_row(variant, figures) for variant in figures.variants],
        ),
        f"By class, {figures.chosen}:",
        _table(
            ("class", "objects", "AP50", "precision", "recall", "F1"),
            [
                (
                    c.label,
                    str(c.objects),
                    *(f"{v:.3f}" for v in (c.ap50, c.precision, c.recall, c.f1)),
                )
                for c in _chosen(figures).report.classes
            ],
        ),
        "## Limits",
        "A specialist: it was trained and measured on the footage named above, and may be worse on "
        "any other camera, season or time of day. It knows no other classes than those listed.",
    ]
    return "\n\n".join(sections) + "\n"


def _chosen(figures: Figures) -> Variant:
    return next(variant for variant in figures.variants if variant.kind == figures.chosen)


def _row(variant: Variant, figures: Figures) -> tuple[str, ...]:
    report = variant.report
    shares = (report.map, report.map50, report.precision, report.recall, report.f1)
    return (
        variant.kind,
        *(f"{share:.3f}" for share in shares),
        f"{variant.size_bytes / 1e6:.2f}",
        f"{variant.latency_ms:.2f}",
        f"{figures.reference_latency_ms / variant.latency_ms:.1f}",
    )


def _content(dataset: Dataset) -> str:
    objects = sum(len(picture.boxes_xyxy) for picture in dataset.pictures)
    return f"{len(dataset.pictures)} pictures, {objects} objects"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
