"""Hooks with real processes, gpiozero's mock pins, and in a running daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from edge.config.load import load
from edge.config.schema import HookSettings, Settings
from edge.daemon.assemble import assemble
from edge.errors import ConfigError, PermanentError
from edge.hooks.command import CommandRunner, check_program
from edge.hooks.gpio import Input, Outputs
from edge.messages import AnyMessage, Capture, Trigger
from edge.runtime.notify import ServiceManager

VISITS = "synthetic:visits?duration=0"


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    before = Device.pin_factory
    Device.pin_factory = MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = before


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def runner(said: list[str]) -> Iterator[Callable[..., CommandRunner]]:
    made: list[CommandRunner] = []

    def make(**settings: float) -> CommandRunner:
        made.append(CommandRunner(HookSettings(**settings), said.append))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop(0.0)


def until(condition: Callable[[], object], timeout_s: float = 5.0) -> bool:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.01)
    return False


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def test_a_command_gets_the_event_and_its_arguments_as_they_are(
    runner: Callable[..., CommandRunner], said: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    script = f"printf '%s|' \"$@\" >{out}.part; cat >>{out}.part; mv {out}.part {out}"
    assert runner().submit("r", (*shell(script), "sh", "$(id)", "a b; c"), b'{"x":1}')
    assert until(out.exists)
    assert out.read_text() == '$(id)|a b; c|{"x":1}'
    assert not said


def test_a_command_that_does_not_read_its_input_is_fine(
    runner: Callable[..., CommandRunner], said: list[str], tmp_path: Path
) -> None:
    run = runner(exec_at_once=1)
    for _ in range(20):
        assert until(lambda: run.submit("r", ("true",), b"x" * 60_000))
    assert until(lambda: run.submit("r", ("touch", str(tmp_path / "end")), b""))
    assert until((tmp_path / "end").exists)
    assert not said


def test_a_failing_command_is_told_with_its_last_words(
    runner: Callable[..., CommandRunner], said: list[str]
) -> None:
    runner().submit("door", shell("echo first >&2; echo no paper >&2; exit 3"), b"")
    assert until(lambda: said)
    assert said == ["rule door: /bin/sh ended with 3: no paper"]


def test_a_command_over_its_time_is_killed_with_what_it_started(
    runner: Callable[..., CommandRunner], said: list[str], tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    runner(exec_limit_s=0.4).submit("r", shell(f"sleep 60 & echo $! >{pid}; yes >&2"), b"")
    assert until(lambda: said)
    assert said == ["rule r: /bin/sh was ended after 0.4 s"]
    assert until(lambda: not _alive(int(pid.read_text())))


def test_commands_are_bounded_side_by_side_and_in_waiting(
    runner: Callable[..., CommandRunner], tmp_path: Path
) -> None:
    run = runner(exec_at_once=2, exec_waiting=3)
    wait = shell(f"echo >>{tmp_path}/started; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    started = tmp_path / "started"
    assert run.submit("r", wait, b"")
    assert run.submit("r", wait, b"")
    assert until(lambda: started.exists() and started.read_text().count("\n") == 2)
    assert [run.submit("r", wait, b"") for _ in range(5)] == [True, True, True, False, False]
    assert run.dropped == 2
    time.sleep(0.2)
    assert started.read_text().count("\n") == 2
    (tmp_path / "go").touch()
    assert until(lambda: started.read_text().count("\n") == 5)


def test_stopping_kills_what_runs_and_is_quick(runner: Callable[..., CommandRunner]) -> None:
    run = runner(exec_at_once=1)
    run.submit("r", ("sleep", "60"), b"")
    run.submit("r", ("sleep", "60"), b"")
    time.sleep(0.2)
    begun_s = time.monotonic()
    run.stop(0.1)
    assert time.monotonic() - begun_s < 1.0
    assert run.dropped == 1
    assert not run.submit("r", ("true",), b"")


def test_a_program_that_is_not_there_is_told_at_the_start() -> None:
    check_program("r", ("sh", "-c", "true"))
    with pytest.raises(ConfigError, match="there is no program 'nothing-like-it'"):
        check_program("r", ("nothing-like-it",))


def test_a_line_is_pulsed(pins: MockFactory) -> None:
    outputs = Outputs([17, -1, 17])
    outputs.start()
    pin = pins.pin(17)
    assert not pin.state
    pin.clear_states()
    outputs.pulse(17, 0.1)
    assert until(lambda: pin.state)
    assert until(lambda: not pin.state)
    high, low = pin.states[1:3]
    assert (high.state, low.state) == (True, False)
    assert 0.08 < low.timestamp < 0.5
    outputs.stop()
    Outputs([17]).start()  # it is free again


def test_pulses_that_overlap_are_one_that_is_longer(pins: MockFactory) -> None:
    outputs = Outputs([4])
    outputs.start()
    outputs.pulse(4, 0.3)
    time.sleep(0.2)
    outputs.pulse(4, 0.3)
    time.sleep(0.2)
    assert pins.pin(4).state
    assert until(lambda: not pins.pin(4).state, 1.0)
    outputs.stop()


def test_a_line_in_calls_once_for_each_press(pins: MockFactory, said: list[str]) -> None:
    calls: list[float] = []

    def act() -> None:
        calls.append(time.monotonic())
        if len(calls) == 2:
            raise PermanentError("not now")

    line = Input(HookSettings(input_gpio=27, input_bounce_s=0), act, said.append)
    line.start()
    for number in (1, 2, 3):
        pins.pin(27).drive_low()
        assert until(lambda number=number: len(calls) == number)
        pins.pin(27).drive_high()
    line.stop()
    assert len(calls) == 3
    assert said == ["GPIO line 27: not now"]


def test_a_line_that_is_taken_is_one_sentence(pins: MockFactory) -> None:
    first, second = Outputs([5]), Outputs([5])
    first.start()
    with pytest.raises(PermanentError, match="GPIO line 5 can't be had here"):
        second.start()
    first.stop()


def test_a_line_for_both_ways_is_a_contradiction() -> None:
    rules = "[{name='r', gpio=5}]"
    with pytest.raises(ConfigError, match="a trigger pulses that line"):
        load(Path("/dev/null"), {"triggers": rules, "hooks.input_gpio": 5})


def test_without_the_extra_it_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gpiozero.py").write_text("raise ImportError('hidden')")
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", "run", "--source", "synthetic:still?duration=1",
         "--set", "hooks.input_gpio=5", "--endpoint", f"ipc://{tmp_path}/e.ipc"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=30, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'edge-trigger[gpio]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_daemon_runs_commands_pulses_and_captures_by_a_line(
    pins: MockFactory, tmp_path: Path
) -> None:
    event, told = tmp_path / "event.json", []
    rule = {
        "name": "visitor", "labels": ["person"], "gpio": 17, "actions": [],
        "exec": list(shell(f"cat >{event}.part && mv {event}.part {event}")),
    }  # fmt: skip
    settings: Settings = load(
        Path("/dev/null"),
        {"source.uri": VISITS, "triggers": [rule], "hooks.input_gpio": 27,
         "hooks.input_bounce_s": 0, "hooks.input_captures": ["still", "clip"],
         "capture.directory": str(tmp_path), "capture.post_roll_s": 0.5,
         "bus.endpoint": f"ipc://{tmp_path}/e.ipc"},
    )  # fmt: skip

    def hear(message: AnyMessage) -> None:
        told.append(message)

    daemon = assemble(settings, hear)
    thread = threading.Thread(target=daemon.run, args=(ServiceManager(),))
    thread.start()
    try:
        assert until(event.exists, 60)
        message = json.loads(event.read_text())
        trigger = next(m for m in told if isinstance(m, Trigger))
        assert message["type"] == "trigger"
        assert message["event_id"] == trigger.event_id
        assert message["header"]["camera"] == "cam0"
        assert any(state.state for state in pins.pin(17).states)
        pins.pin(27).drive_low()
        assert until(lambda: len([m for m in told if isinstance(m, Capture)]) == 2, 10)
    finally:
        daemon.stop()
        thread.join(20)
    assert {m.rule for m in told if isinstance(m, Capture)} == {"external"}
    assert list(tmp_path.glob("cam0/*/*_external.mp4"))
    assert not daemon.problems.current()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
