"""Hooks with real processes, gpiozero's mock pins, and in a running daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
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
from edge.hooks.hooks import Hooks
from edge.messages import AnyMessage, Capture, Trigger
from edge.runtime.notify import ServiceManager
from edge.runtime.service_thread import StuckThreadError

VISITS = "synthetic:visits?duration=0"


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    before = Device.pin_factory
    Device.pin_factory = MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = before


@pytest.fixture
def errors() -> list[str]:
    """The sentences given to `on_error`."""
    return []


@pytest.fixture
def runner(errors: list[str]) -> Iterator[Callable[..., CommandRunner]]:
    runners: list[CommandRunner] = []

    def make(**settings: float) -> CommandRunner:
        runners.append(CommandRunner(HookSettings(**settings), errors.append))  # type: ignore[arg-type]
        runners[-1].start()
        return runners[-1]

    yield make
    for each in runners:
        each.stop(0.0)


def until(condition: Callable[[], object], timeout_s: float = 5.0) -> bool:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.01)
    return False


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def test_a_command_receives_the_event_and_its_arguments_unchanged(
    runner: Callable[..., CommandRunner], errors: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    script = f"printf '%s|' \"$@\" >{out}.part; cat >>{out}.part; mv {out}.part {out}"
    assert runner().submit("r", (*shell(script), "sh", "$(id)", "a b; c"), b'{"x":1}')
    assert until(out.exists)
    assert out.read_text() == '$(id)|a b; c|{"x":1}'
    assert not errors


def test_a_command_need_not_read_its_input(
    runner: Callable[..., CommandRunner], errors: list[str], tmp_path: Path
) -> None:
    run = runner(exec_at_once=1)
    for _ in range(20):
        assert until(lambda: run.submit("r", ("true",), b"x" * 60_000))
    assert until(lambda: run.submit("r", ("touch", str(tmp_path / "end")), b""))
    assert until((tmp_path / "end").exists)
    assert not errors


def test_a_command_that_ignores_a_large_input_is_killed_at_its_limit(
    runner: Callable[..., CommandRunner], errors: list[str], tmp_path: Path
) -> None:
    run = runner(exec_at_once=1, exec_limit_s=0.3)
    assert run.submit("r", ("sleep", "60"), b"x" * 500_000)
    assert until(lambda: errors)
    assert errors == ["rule r: sleep was killed after 0.3 s"]
    assert run.submit("r", shell(f"wc -c >{tmp_path}/n"), b"x" * 500_000)
    assert until(lambda: (tmp_path / "n").exists() and (tmp_path / "n").read_text())
    assert (tmp_path / "n").read_text().strip() == "500000"


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"])
def test_an_argument_that_no_program_can_get_ends_no_worker(
    runner: Callable[..., CommandRunner], errors: list[str], tmp_path: Path, argument: str
) -> None:
    run = runner(exec_at_once=1)
    assert run.submit("r", ("true", argument), b"")
    assert run.submit("r", ("touch", str(tmp_path / "end")), b"")
    assert until((tmp_path / "end").exists)
    assert len(errors) == 1
    assert run.error is None


@pytest.mark.parametrize("ending", ["", "; sleep 60"])
def test_children_in_sessions_of_their_own_end_with_the_command(
    runner: Callable[..., CommandRunner], tmp_path: Path, ending: str
) -> None:
    pid = tmp_path / "pid"
    child = f"setsid sh -c 'setsid sleep 61 & echo $! >{pid}.part; mv {pid}.part {pid}; wait' &"
    wait = f"while [ ! -e {pid} ]; do sleep 0.02; done"
    runner(exec_limit_s=0.5).submit("r", shell(f"{child} {wait}{ending}"), b"")
    assert until(pid.exists)
    assert until(lambda: not _runs(int(pid.read_text())))


def _runs(pid: int) -> bool:
    """Whether it exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_failing_command_is_reported_with_its_last_line(
    runner: Callable[..., CommandRunner], errors: list[str]
) -> None:
    runner().submit("door", shell("echo first >&2; echo no paper >&2; exit 3"), b"")
    assert until(lambda: errors)
    assert errors == ["rule door: /bin/sh failed with exit code 3: no paper"]


def test_a_command_over_its_time_is_killed_with_its_children(
    runner: Callable[..., CommandRunner], errors: list[str], tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    runner(exec_limit_s=0.4).submit("r", shell(f"sleep 60 & echo $! >{pid}; yes >&2"), b"")
    assert until(lambda: errors)
    assert errors == ["rule r: /bin/sh was killed after 0.4 s"]
    assert until(lambda: not _alive(int(pid.read_text())))


def test_running_and_waiting_commands_are_bounded(
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


def test_stopping_kills_running_commands_quickly(runner: Callable[..., CommandRunner]) -> None:
    run = runner(exec_at_once=1)
    run.submit("r", ("sleep", "60"), b"")
    run.submit("r", ("sleep", "60"), b"")
    time.sleep(0.2)
    begun_s = time.monotonic()
    run.stop(0.1)
    assert time.monotonic() - begun_s < 1.0
    assert run.dropped == 1
    assert not run.submit("r", ("true",), b"")


def test_a_missing_program_is_an_error_at_the_start() -> None:
    check_program("r", ("sh", "-c", "true"))
    with pytest.raises(
        ConfigError, match="'nothing-like-it', which is not a program on this machine"
    ):
        check_program("r", ("nothing-like-it",))
    with pytest.raises(ConfigError, match="NUL character"):
        check_program("r", ("sh", "-c", "true\0"))


def test_a_thread_that_dies_is_visible(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError

    run = CommandRunner(HookSettings(exec_at_once=2), fail)
    run.start()
    assert run.error is None
    run.submit("r", ("false",), b"")
    assert until(lambda: isinstance(run.error, ZeroDivisionError))
    run.submit("r", ("touch", str(tmp_path / "done")), b"")  # the other thread goes on
    assert until((tmp_path / "done").exists)
    run.stop(1.0)


def test_a_thread_that_does_not_end_is_an_error() -> None:
    release = threading.Event()

    def block(_: str) -> None:
        assert release.wait(20)

    run = CommandRunner(HookSettings(exec_at_once=1), block)
    run.start()
    run.submit("r", ("false",), b"")
    time.sleep(0.3)
    with pytest.raises(StuckThreadError, match="exec-0 did not end"):
        run.stop(0.1)
    release.set()
    run.stop(5.0)


def test_hooks_show_the_error_of_a_thread_and_stop_the_rest(
    pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"name": "r", "exec": ["sleep", "60"], "gpio": 17, "actions": []}
    settings = load(Path("/dev/null"), {"triggers": [rule], "hooks.input_gpio": 27,
                                        "hooks.input_bounce_s": 0})  # fmt: skip
    release, reached = threading.Event(), threading.Event()

    def capture() -> None:
        reached.set()
        assert release.wait(20)
        raise ZeroDivisionError

    monkeypatch.setattr("edge.hooks.hooks.STOP_S", 0.1)
    hooks = Hooks(settings, capture, lambda _: None)
    hooks.start()
    pins.pin(27).drive_low()
    assert reached.wait(5)
    with pytest.raises(StuckThreadError, match="gpio-input did not end"):
        hooks.stop()
    Outputs([17, 27]).start()  # both lines are free again
    assert not any(thread.name.startswith("exec-") for thread in threading.enumerate())
    assert hooks.error is None
    release.set()
    assert until(lambda: isinstance(hooks.error, ZeroDivisionError))


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


def test_overlapping_pulses_are_one_longer_pulse(pins: MockFactory) -> None:
    outputs = Outputs([4])
    outputs.start()
    outputs.pulse(4, 0.3)
    time.sleep(0.2)
    outputs.pulse(4, 0.3)
    time.sleep(0.2)
    assert pins.pin(4).state
    assert until(lambda: not pins.pin(4).state, 1.0)
    outputs.stop()


def test_an_input_line_calls_once_for_each_activation(pins: MockFactory, errors: list[str]) -> None:
    calls: list[float] = []

    def act() -> None:
        calls.append(time.monotonic())
        if len(calls) == 2:
            raise PermanentError("not now")

    def called(number: int) -> bool:
        return len(calls) == number

    line = Input(HookSettings(input_gpio=27, input_bounce_s=0), act, errors.append)
    line.start()
    for number in (1, 2, 3):
        pins.pin(27).drive_low()
        assert until(partial(called, number))
        pins.pin(27).drive_high()
    line.stop(5.0)
    assert line.error is None
    assert len(calls) == 3
    assert errors == ["GPIO line 27: not now"]


def test_a_line_in_use_is_one_sentence(pins: MockFactory) -> None:
    first, second = Outputs([5]), Outputs([5])
    first.start()
    with pytest.raises(PermanentError, match="GPIO line 5 can't be opened"):
        second.start()
    first.stop()


def test_one_line_for_input_and_output_is_a_contradiction() -> None:
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
    event = tmp_path / "event.json"
    published: list[AnyMessage] = []
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

    daemon = assemble(settings, published.append)
    thread = threading.Thread(target=daemon.run, args=(ServiceManager(),))
    thread.start()
    try:
        assert until(event.exists, 60)
        message = json.loads(event.read_text())
        trigger = next(m for m in published if isinstance(m, Trigger))
        assert message["type"] == "trigger"
        assert message["event_id"] == trigger.event_id
        assert message["header"]["camera"] == "cam0"
        assert any(state.state for state in pins.pin(17).states)
        pins.pin(27).drive_low()
        assert until(lambda: len([m for m in published if isinstance(m, Capture)]) == 2, 10)
    finally:
        daemon.stop()
        thread.join(20)
    assert {m.rule for m in published if isinstance(m, Capture)} == {"external"}
    assert list(tmp_path.glob("cam0/*/*_external_*.mp4"))
    assert not daemon.problems.current()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
