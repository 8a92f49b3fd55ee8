"""A screen that shows a person again and again is reported, muted by a command, and stays muted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.commands.ctl import ctl
from edge.config.load import load
from edge.daemon.service import Service
from edge.messages import AnyMessage, Health, Trigger
from tests.support.screen import SHOWS, screen_film

CONFIGURATION = """\
# the hall
camera = "hall"
[source]
uri = "FOLDER/screen.mp4"
fast = true
[tracker]
max_misses = 2
[[triggers]]
name = "visitor"
labels = ["person"]
cooldown_s = 0.0
actions = []
[bus]
endpoint = "ipc://FOLDER/e.ipc"
[capture]
directory = "FOLDER/captures"
[health]
interval_s = 0.1
"""


class Watched:
    """A service, and the commands that are given at its fourth trigger.

    Its analysis waits meanwhile, so that the commands come between two frames.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.triggers: list[Trigger] = []
        self.healths: list[Health] = []
        self.printed: list[str] = []
        self._service = Service(load(file), lambda: load(file), self._receive)

    def run(self) -> None:
        self._service.run()

    def _receive(self, message: AnyMessage) -> None:
        if isinstance(message, Health):
            self.healths.append(message)
        elif isinstance(message, Trigger):
            self.triggers.append(message)
            if len(self.triggers) == 4:
                self._command()

    def _command(self) -> None:
        place = self._place()
        assert (place["place"], place["rule"], place["count"]) == (1, "visitor", 3)
        self.printed.append(self._edge("status").stdout)
        before = self.file.read_text()
        for arguments in (
            ("mute", "2"), ("mute", "--box", "0,0,2,1"), ("unmute", "1"),
            ("mute", "--label", "persn"),
        ):  # fmt: skip
            refused = self._edge(*arguments)
            self.printed.append(str(refused.exception))
            assert self.file.read_text() == before, arguments
        endpoint = f"ipc://{self.file.parent}/e.ipc-control"  # of any daemon, with any file
        without_file = CliRunner().invoke(ctl, ["muted", "--endpoint", endpoint])
        assert without_file.exit_code == 2
        assert "give --config FILE, on the machine of the camera" in without_file.output
        command = [sys.executable, "-m", "edge.cli", "ctl", "mute", "--config", str(self.file)]
        self.printed.append(subprocess.run(command, capture_output=True, text=True).stdout)
        self._edge("mute", "--box", "0.9,0.9,1,1")
        self.printed.append(self._edge("muted").stdout)
        self.printed.append(self._edge("unmute", "2").stdout)

    def _place(self) -> dict[str, object]:
        """The repeated place, once the health message has it."""
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            health = json.loads(self._edge("status", "--json").stdout)["health"]
            if health and health["places"]:
                return dict(health["places"][0])
            time.sleep(0.05)
        raise AssertionError("no place was reported")

    def _edge(self, *arguments: str) -> Result:
        command, *rest = arguments
        given = [command, "--config", str(self.file), *rest]
        return CliRunner().invoke(ctl, given, standalone_mode=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    screen_film(tmp_path / "screen.mp4")
    file = tmp_path / "hall.toml"
    file.write_text(CONFIGURATION.replace("FOLDER", str(tmp_path)))
    return file


def test_a_false_alarm_that_returns_is_reported_and_muted_by_one_command(file: Path) -> None:
    watched = Watched(file)
    watched.run()
    status, no_place, bad_box, no_mute, bad_label, mute, muted, unmute = watched.printed
    assert "place 1: 3 times visitor (person) in 0.4" in status
    assert "edge ctl mute 1" in status
    assert no_place.startswith("there is no place 2: place 1: 3 times visitor")
    assert "write left,top,right,bottom from 0 to 1" in bad_box
    assert no_mute == "there is no muted place 1; `edge ctl muted` lists them"
    assert bad_label.endswith("did you mean person?")
    assert mute.startswith("muted: person in 0.4")
    assert muted.splitlines()[0].startswith("1  person in 0.4")
    assert muted.splitlines()[1:] == [
        "2  any object in 0.9,0.9,1,1", "2 muted, 0 objects silenced since the daemon started",
    ]  # fmt: skip
    assert unmute == "unmuted: any object in 0.9,0.9,1,1\n"

    assert len(watched.triggers) == 4 + 1
    walker = watched.triggers[-1]
    assert walker.box[0] < 0.3, "the person who walks past was not the one that triggered"
    assert watched.healths[-1].muted == SHOWS - 4
    assert len({message.header.boot_id for message in watched.triggers if message.header}) == 1
    problems = [any("edge ctl mute 1" in p for p in h.problems) for h in watched.healths]
    assert any(problems)
    assert not problems[-1]
    assert watched.healths[-1].places == ()

    assert file.read_text().startswith(CONFIGURATION.partition("uri")[0])
    (row,) = load(file).mutes
    assert row.labels == ("person",)
