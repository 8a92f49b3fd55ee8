"""`edge watch` prints triggers and captures by default, and everything with --all."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.bus.publisher import Publisher
from edge.commands.watch import watch
from edge.config.schema import BusSettings
from edge.messages import decode

STORED = Path(__file__).resolve().parents[1] / "bus" / "stored" / "1"
KINDS = ("detection", "track-update", "health", "trigger", "capture-still")


def watched(folder: Path, *options: str) -> tuple[set[str], str]:
    """The kinds of the lines that are printed, and standard error."""
    endpoint = f"ipc://{folder}/bus"
    publisher = Publisher(BusSettings(endpoint=endpoint, control="none"), "cam0", "b007")
    messages = [decode([b"topic", (STORED / f"{kind}.json").read_bytes()])[0] for kind in KINDS]
    ended = threading.Event()

    def publish() -> None:
        while not ended.wait(0.05):
            for message in messages:
                publisher.publish(message, time.monotonic_ns(), time.time_ns())

    publisher.start()
    thread = threading.Thread(target=publish)
    thread.start()
    try:
        done = CliRunner().invoke(
            watch, ["--endpoint", endpoint, "--count", "15", *options], catch_exceptions=False
        )
    finally:
        ended.set()
        thread.join()
        publisher.stop()
    assert done.exit_code == 0
    return {line.split()[2] for line in done.stdout.splitlines()}, done.stderr


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ((), {"trigger", "capture"}),
        (("--until-stopped",), {"trigger", "capture", "health"}),
        (("--all",), {"trigger", "capture", "health", "track", "detection"}),
        (("--topic", "track."), {"track"}),
    ],
)
def test_the_options_choose_what_is_printed(
    options: tuple[str, ...], kinds: set[str], tmp_path: Path
) -> None:
    printed, errors = watched(tmp_path, *options)
    assert printed == kinds
    assert errors.startswith(f"waiting for the first message of ipc://{tmp_path}/bus\n")
    assert "15 messages" in errors
