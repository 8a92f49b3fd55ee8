"""Tables of `edge bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.bench.trigger import Group, TriggerReport, Wait

HEAD = "".join(f"{name:>17}" for name in ("look", "detection", "track", "rule", "trigger"))


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
