"""Each capture that a trigger announces is followed by exactly one capture message."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edge.config.load import load
from edge.daemon.assemble import assemble
from edge.messages import AnyMessage, Capture, Trigger
from edge.runtime.notify import ServiceManager

VISITS = "synthetic:visits?fps=10&duration=14"


def run(folder: Path, **overrides: object) -> tuple[list[Trigger], list[Capture]]:
    settings = load(
        None,
        {
            "source.uri": VISITS,
            "source.fast": True,
            "capture.directory": str(folder / "captures"),
            "capture.min_free_bytes": 0,
            "bus.endpoint": f"ipc://{folder}/e.ipc",
            "triggers": [{"name": "visitor", "labels": ["person"], "cooldown_s": 0.0}],
            **overrides,
        },
    )
    published: list[AnyMessage] = []
    assemble(settings, published.append).run(ServiceManager())
    triggers = [message for message in published if isinstance(message, Trigger)]
    captures = [message for message in published if isinstance(message, Capture)]
    return triggers, captures


def announced(triggers: list[Trigger]) -> Counter[tuple[str, str]]:
    return Counter((trigger.event_id, kind) for trigger in triggers for kind in trigger.captures)


def reported(captures: list[Capture]) -> Counter[tuple[str, str]]:
    return Counter((event, capture.capture) for capture in captures for event in capture.event_ids)


def test_files_that_were_written_are_reported_once_for_each_event(tmp_path: Path) -> None:
    triggers, captures = run(tmp_path)
    assert len(triggers) >= 2
    assert reported(captures) == announced(triggers)
    assert all(Path(capture.path).is_file() and not capture.failure for capture in captures)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"capture.min_free_bytes": 10**15}, "no room for a capture"),
        ({"capture.max_bytes": 1_000_000, "capture.min_free_bytes": 10**15}, "no room"),
    ],
)
def test_captures_that_fail_are_reported_with_the_reason(
    tmp_path: Path, overrides: dict[str, object], reason: str
) -> None:
    triggers, captures = run(tmp_path, **overrides)
    assert len(triggers) >= 2
    assert reported(captures) == announced(triggers)
    for capture in captures:
        assert reason in capture.failure
        assert (capture.path, capture.sidecar, capture.size_bytes) == ("", "", 0)
    assert not list((tmp_path / "captures").rglob("*.*p*g*"))
