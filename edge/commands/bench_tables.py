"""Tables of `edge bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.bench.accuracy import AccuracyReport, Row
    from edge.bench.trigger import Group, TriggerReport, Wait

HEAD = "".join(f"{name:>17}" for name in ("look", "detection", "track", "rule", "trigger"))

NOT_THERE = "-"
SHOWN_WITHOUT = ("packed+scheduled", "detections")  # a comparison of models needs no strategy


def accuracy_table(report: AccuracyReport) -> str:
    """One line for each model, strategy or file; the model in the head if there is only one."""
    models = list(dict.fromkeys(row.model for row in report.rows))
    only = f", {models[0]}" if len(models) == 1 else ""
    names = [_name(row, models) for row in report.rows]
    width = max(16, *map(len, names))
    lines = [
        f"{report.video}, {report.frames} frames, {report.label}{only}, IoU {report.min_iou}",
        f"{'':{width}}{'score':>7}{'MB':>7}{'ms/inv':>8}{'inv/frame':>11}{'P':>7}{'R':>7}{'F1':>7}"
        f"{'IDsw':>6}{'CPU ms':>9}{'to whole':>10}",
    ]
    for name, row in zip(names, report.rows, strict=True):
        lines.append(
            f"{name:{width}}{_shown(row.min_score, 7, '.2f')}{_shown(row.model_mb, 7, '.1f')}"
            f"{_shown(row.invocation_ms, 8, '.1f')}{_shown(row.invocations_per_frame, 11, '.2f')}"
            f"{row.precision:7.3f}{row.recall:7.3f}{row.f1:7.3f}"
            f"{_shown(row.identity_switches, 6, 'd')}{_shown(row.cpu_ms_per_frame, 9, '.2f')}"
            f"{_shown(row.cpu_to_whole_frame, 8, '.2f', ' x')}"
        )
    return "\n".join(lines)


def _name(row: Row, models: list[str]) -> str:
    if len(models) == 1:
        return row.strategy
    return row.model if row.strategy in SHOWN_WITHOUT else f"{row.model} {row.strategy}"


def _shown(value: float | None, width: int, kind: str, unit: str = "") -> str:
    text = NOT_THERE if value is None else f"{value:{kind}}{unit}"
    return text.rjust(width + len(unit))


def trigger_table(report: TriggerReport) -> str:
    """Seconds from the first frame of the ground truth, and from the first motion."""
    lines = [
        f"{report.footage}, {report.frames} frames at {report.fps:g} fps, {report.runs} runs; "
        "in s: median / 90th percentile / never"
    ]
    for row in report.rows:
        lines.append(
            f"\n{row.strategy}: {row.invocations_per_frame:.2f} inv/frame, P {row.precision:.3f}, "
            f"R {row.recall:.3f}, F1 {row.f1:.3f}, false triggers {row.false_triggers:g}, "
            f"repeats {row.repeats:g}"
        )
        for name, group in (("everyone", row.everyone), ("newcomers", row.newcomers)):
            if group.individuals:
                lines += _group(name, group)
    return "\n".join(lines)


def _group(name: str, group: Group) -> list[str]:
    head = f"{name}, {group.individuals:g} a run, {group.silenced:g} silenced"
    return [
        f"  {head:44}{HEAD}",
        f"    {'since the first frame':42}{_waits(group.since_truth)}",
        f"    {'since the first motion':42}{_waits(group.since_blob)}",
    ]


def _waits(waits: dict[str, Wait]) -> str:
    return "".join(f"{_wait(wait):>17}" for name, wait in waits.items() if name != "blob")


def _wait(wait: Wait) -> str:
    if wait.p50_s is None or wait.p90_s is None:
        return f"- / - / {wait.never:g}"
    return f"{wait.p50_s:.2f}/{wait.p90_s:.2f}/{wait.never:g}"
