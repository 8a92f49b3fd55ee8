"""Commands over real sockets: valid ones are done, and other input does nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import zmq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.bus import control, keys
from edge.bus.control import ControlServer, answer
from edge.bus.endpoint import control_endpoint
from edge.bus.rate import RateLimit
from edge.capture.sidecar import read_sidecar
from edge.client import ClientKeys, CommandError, Control, Event, NoAnswerError, Subscriber
from edge.config.schema import BusSettings, Settings
from edge.daemon.commands import RefusedError, Remote
from edge.errors import BusError, CaptureError
from edge.messages import (
    SCHEMA_VERSION,
    CaptureCommand,
    CaptureKind,
    CaptureReply,
    DoneReply,
    FailureReply,
    ReloadCommand,
    ResumeCommand,
    SnapshotReply,
    StatusReply,
    decode_reply,
    encode_command,
)
from tests.support.commands import edge


class Recorded:
    """Commands that only record their calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.fault: Exception | None = None

    def _call(self, *call: object) -> None:
        self.calls.append(call)
        if self.fault is not None:
            raise self.fault

    def status(self) -> StatusReply:
        self._call("status")
        return StatusReply(camera="cam0", boot_id="b007", paused=False, health=None)

    def capture(self, captures: tuple[CaptureKind, ...]) -> CaptureReply:
        self._call("capture", captures)
        return CaptureReply(event_id="e", captures=captures)

    def pause(self, duration_s: float | None) -> DoneReply:
        self._call("pause", duration_s)
        return DoneReply(text="paused")

    def resume(self) -> DoneReply:
        self._call("resume")
        return DoneReply(text="resumed")

    def reload(self) -> DoneReply:
        self._call("reload")
        return DoneReply(text="reloaded")

    def snapshot(
        self, max_width_px: int, sight: bool, trigger: bool
    ) -> tuple[SnapshotReply, bytes]:
        self._call("snapshot", max_width_px, sight, trigger)
        now = datetime.now(UTC)
        return SnapshotReply(width=4, height=3, wall_time=now, timestamp_ns=1), b"\xff\xd8"


class Served:
    def __init__(self, **bus: object) -> None:
        self.settings = BusSettings(linger_ms=100, **bus)  # type: ignore[arg-type]
        self.endpoint = control_endpoint(self.settings)
        self.commands = Recorded()
        self.server = ControlServer(self.settings, self.commands)
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        assert self.server.error is None


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(endpoint=f"ipc://{tmp_path}/e.ipc")
    yield served
    served.stop()


@contextlib.contextmanager
def raw(endpoint: str) -> Iterator[zmq.Socket[bytes]]:
    """A client that follows no protocol."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.set(zmq.LINGER, 0)
        dealer.set(zmq.RCVTIMEO, 3000)
        dealer.connect(endpoint)
        yield dealer


def test_each_command_is_done_and_answered(served: Served) -> None:
    with Control(served.endpoint) as client:
        assert client.status().boot_id == "b007"
        assert client.capture().captures == ("still",)
        assert client.capture("still", "clip").event_id == "e"
        assert client.pause().text == "paused"
        assert client.pause(60).text == "paused"
        assert client.resume().text == "resumed"
        assert client.reload().text == "reloaded"
        reply, jpeg = client.snapshot(640)
        assert (reply.width, jpeg) == (4, b"\xff\xd8")
        client.snapshot(sight=True)
    assert served.commands.calls == [
        ("status",), ("capture", ("still",)), ("capture", ("still", "clip")), ("pause", None),
        ("pause", 60.0), ("resume",), ("reload",), ("snapshot", 640, False, False),
        ("snapshot", 1280, True, False),
    ]  # fmt: skip


def test_refusals_faults_and_malformed_commands_have_different_codes(served: Served) -> None:
    with Control(served.endpoint) as client:
        served.commands.fault = CaptureError("no space left")
        with pytest.raises(CommandError, match="no space left") as refused:
            client.capture()
        served.commands.fault = ZeroDivisionError("oh")
        with pytest.raises(CommandError, match="ZeroDivisionError") as failed:
            client.status()
        served.commands.fault = None
        with pytest.raises(CommandError, match="duration_s") as malformed:
            client.pause(-1)
        assert client.resume().text == "resumed"
    codes = [caught.value.code for caught in (refused, failed, malformed)]
    assert codes == ["refused", "failed", "malformed"]


def test_a_missing_daemon_is_reported_in_time_and_the_next_command_works(tmp_path: Path) -> None:
    bus = {"endpoint": f"ipc://{tmp_path}/e.ipc"}
    with Control(f"ipc://{tmp_path}/e.ipc-control", timeout_s=0.2) as client:
        with pytest.raises(NoAnswerError, match=r"within 0\.2 s"):
            client.status()
        served = Served(**bus)
        time.sleep(0.3)
        assert client.resume().text == "resumed"
    served.stop()


def test_the_control_endpoint_follows_from_the_settings() -> None:
    for settings_, endpoint in (
        (BusSettings(endpoint="ipc:///tmp/a"), "ipc:///tmp/a-control"),
        (BusSettings(endpoint="tcp://*:5", keys="k"), ""),
        (BusSettings(endpoint="tcp://*:5", control="tcp://*:6"), "tcp://*:6"),
        (BusSettings(control="none"), ""),
    ):
        assert control_endpoint(settings_) == endpoint


def test_without_an_endpoint_no_server_runs() -> None:
    server = ControlServer(BusSettings(control="none"), Recorded())
    server.start()
    assert not any(thread.name == "control" for thread in threading.enumerate())
    server.stop()


def test_only_owner_and_group_may_use_the_socket(served: Served) -> None:
    path = Path(served.endpoint.removeprefix("ipc://"))
    assert path.stat().st_mode & 0o777 == 0o660


def test_tcp_without_keys_is_refused() -> None:
    with pytest.raises(BusError, match=r"bus\.control .*TCP is open"):
        Served(control="tcp://127.0.0.1:5998")


# `make fault` sets 100,000.
FUZZ_EXAMPLES = int(os.environ.get("EDGE_FUZZ_EXAMPLES", "1000"))

names = st.sampled_from(["status", "capture", "pause", "resume", "reload", "snapshot", "stop", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
fields = st.sampled_from(
    ["captures", "duration_s", "max_width_px", "schema_version", "x", "command"]
)


@settings(max_examples=FUZZ_EXAMPLES, deadline=None)
@given(st.binary(max_size=300))
@example(b'{"a":' + b"[" * 4000)
@example(b'{"command":"capture","captures":["\\ud800"]}')
@example(b'{"command":"pause","duration_s":1e999}')
@example(b'{"command":"stat\xff"}')
def test_bytes_that_are_no_command_do_nothing(body: bytes) -> None:
    commands = Recorded()
    reply, _ = decode_reply(answer(commands, body))
    assert isinstance(reply, FailureReply)
    assert reply.code == "malformed"
    assert not commands.calls


@settings(max_examples=FUZZ_EXAMPLES // 3, deadline=None)  # one takes six times as long
@given(names, st.dictionaries(fields, values, max_size=3))
def test_commands_with_wrong_fields_do_nothing(name: str, more: dict[str, object]) -> None:
    commands = Recorded()
    reply, _ = decode_reply(answer(commands, json.dumps({"command": name} | more).encode()))
    refused = isinstance(reply, FailureReply) and reply.code == "malformed"
    assert refused == (not commands.calls)


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zmq.Socket[bytes]]:
    """A client without a rate limit; afterwards the server must work as before."""
    served = Served(endpoint=f"ipc://{tmp_path_factory.mktemp('control')}/e.ipc")
    served.server._limit = RateLimit(1e9, 10**9, 10)
    with raw(served.endpoint) as socket:
        yield socket
    assert not served.commands.calls
    with Control(served.endpoint) as client:
        assert client.resume().text == "resumed"
    served.stop()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=100), min_size=1, max_size=8))
def test_malformed_messages_over_a_socket_are_answered(
    flooded: zmq.Socket[bytes], parts: list[bytes]
) -> None:
    flooded.send_multipart(parts)
    *envelope, body = flooded.recv_multipart()
    reply = decode_reply([body])[0]
    assert isinstance(reply, FailureReply)
    assert reply.code == "malformed"
    assert envelope == (parts[:-1] if len(parts) <= 3 else [b""])


def test_a_reply_has_the_schema_version_of_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    older = ResumeCommand(schema_version=SCHEMA_VERSION - 1)
    monkeypatch.setattr(control, "decode_command", lambda _: older)
    reply, _ = decode_reply(answer(Recorded(), b"{}"))
    assert reply == DoneReply(text="resumed", schema_version=SCHEMA_VERSION - 1)


def test_a_message_that_is_too_large_ends_only_its_connection(served: Served) -> None:
    with raw(served.endpoint) as large, Control(served.endpoint) as client:
        large.send_multipart([b"", bytes(control.MAX_PART_BYTES + 1)])
        assert not large.poll(500)
        assert client.resume().text == "resumed"
    assert served.commands.calls == [("resume",)]


def test_a_client_over_the_rate_is_refused_and_others_are_served(served: Served) -> None:
    with raw(served.endpoint) as greedy, Control(served.endpoint) as client:
        for _ in range(100):
            greedy.send_multipart([b"", encode_command(ResumeCommand())])
        assert client.status().boot_id == "b007"
        replies = [decode_reply(greedy.recv_multipart()[1:])[0] for _ in range(100)]
        time.sleep(0.3)
        greedy.send_multipart([b"", encode_command(ResumeCommand())])
        later = decode_reply(greedy.recv_multipart()[1:])[0]
    done = [reply for reply in replies if isinstance(reply, DoneReply)]
    assert control.BURST <= len(done) <= control.BURST + control.RATE_PER_S
    others = [reply for reply in replies if reply not in done]
    assert {reply.code for reply in others if isinstance(reply, FailureReply)} == {"too_many"}
    assert len(done) + len(others) == 100
    assert isinstance(later, DoneReply)


def test_a_flood_of_one_client_costs_little_time(served: Served) -> None:
    """The client doesn't read its replies."""
    with raw(served.endpoint) as flood:
        flood.set(zmq.SNDTIMEO, 10)
        before_s, end_s, sent = time.process_time(), time.monotonic() + 1, 0
        while time.monotonic() < end_s:
            try:
                flood.send_multipart([b"", b"rubbish"], zmq.NOBLOCK)
                sent += 1
            except zmq.Again:
                time.sleep(0.01)
        used_s = time.process_time() - before_s
    assert sent > 1000
    assert used_s < 0.7  # of this process, which floods and serves


def test_the_bucket_fills_with_time_and_forgets_old_peers() -> None:
    limit = RateLimit(per_s=2, burst=3, peers=2)
    assert [limit.allows(b"a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.allows(b"a", 0.6) for _ in range(2)] == [True, False]
    assert [limit.allows(b"a", 99.0) for _ in range(4)] == [True, True, True, False]
    assert limit.allows(b"b", 99.0)
    assert not limit.allows(b"a", 99.0)
    assert limit.allows(b"c", 99.0)  # in the place of b
    assert not limit.allows(b"a", 99.0)


class Guarded(Served):
    def __init__(self, folder: Path) -> None:
        self.keys, self.clients = folder / "keys", folder / "clients"
        keys.new_pair(self.keys, keys.SERVER)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        super().__init__(control=address, keys=str(self.keys))

    def client(self, name: str, *, allowed: bool) -> Control:
        secret = keys.new_pair(self.clients, name)
        if allowed:
            keys.allow(self.keys, secret.with_suffix(".key"))
        client_keys = ClientKeys.read(secret, self.keys / "server.key")
        return Control(self.endpoint, keys=client_keys, timeout_s=1)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path)
    yield guarded
    guarded.stop()


def test_only_an_allowed_key_commands(guarded: Guarded) -> None:
    with guarded.client("laptop", allowed=True) as client:
        assert client.resume().text == "resumed"
    for stranger in (
        guarded.client("stranger", allowed=False),
        Control(guarded.endpoint, timeout_s=1),
    ):
        with stranger, pytest.raises(NoAnswerError, match="doesn't allow your key"):
            stranger.pause()
    assert guarded.commands.calls == [("resume",)]


def test_a_revoked_client_commands_nothing_from_that_moment(guarded: Guarded) -> None:
    with (
        guarded.client("revoked", allowed=True) as revoked,
        guarded.client("loyal", allowed=True) as loyal,
    ):
        assert revoked.resume().text == "resumed"
        assert loyal.resume().text == "resumed"
        keys.revoke(guarded.keys, "revoked")
        with pytest.raises(NoAnswerError):
            revoked.pause()
        time.sleep(1)
        assert loyal.resume().text == "resumed"
        with pytest.raises(NoAnswerError):
            revoked.pause()
    assert guarded.commands.calls == [("resume",)] * 3


EDGE = [sys.executable, "-m", "edge.cli"]


def ctl(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*EDGE, "ctl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd="/tmp")


def until(subscriber: Subscriber, wanted: Callable[[Event], bool], timeout_s: float = 15) -> Event:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        event = subscriber.receive(1)
        if event is not None and wanted(event):
            return event
    raise AssertionError("no such message was published")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a daemon whose scene shows a person walking past, again and again."""
    folder = tmp_path_factory.mktemp("daemon")
    endpoint = f"ipc://{folder}/e.ipc"
    command = [
        *EDGE,
        "run",
        "--source",
        "synthetic:walk?duration=0&fps=10",
        "--set",
        "health.interval_s=0.2",
    ]
    command += ["--capture-dir", str(folder / "captures"), "--endpoint", endpoint]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        with Subscriber(endpoint, topics=["health."]) as subscriber:
            until(subscriber, lambda event: event.message.state == "running", 30)
        yield endpoint
        process.terminate()
        _, log = process.communicate(timeout=15)
    assert process.returncode == 0, log


def test_a_daemon_reports_its_status(running: str) -> None:
    with Control(f"{running}-control") as client:
        reply = client.status()
    assert (reply.camera, reply.paused, reply.health.state) == ("cam0", False, "running")
    done = ctl("status", "--endpoint", f"{running}-control")
    assert "cam0: watching" in done.stdout, done.stderr
    printed = ctl("status", "--json", "--set", f"bus.endpoint={running}")
    assert json.loads(printed.stdout)["boot_id"] == reply.boot_id


def test_a_daemon_captures_on_command(running: str) -> None:
    with Subscriber(running, topics=["capture."]) as subscriber:
        done = ctl("capture", "--still", "--clip", "--endpoint", f"{running}-control")
        event_id = done.stdout.split()[-1]
        captured = {
            message.capture: Path(message.sidecar)
            for message in (
                until(subscriber, lambda event: event_id in event.message.event_ids).message
                for _ in range(2)
            )
        }
    assert set(captured) == {"still", "clip"}
    sidecar = read_sidecar(captured["still"])
    assert sidecar is not None
    assert [event.method for event in sidecar.events] == ["command"]


def test_a_daemon_sends_its_picture(running: str, tmp_path: Path) -> None:
    done = ctl("snapshot", tmp_path / "now.jpg", "--width", 200, "--endpoint", f"{running}-control")
    assert "200x" in done.stdout, done.stderr
    assert cv2.imread(str(tmp_path / "now.jpg")).shape[1] == 200
    nowhere = ctl("snapshot", "/nowhere/now.jpg", "--endpoint", f"{running}-control")
    assert nowhere.stderr == "edge: can't write /nowhere/now.jpg: No such file or directory\n"


def test_without_a_trigger_its_snapshot_is_refused() -> None:
    remote = Remote(Settings(), "boot", lambda _request: True)
    with pytest.raises(RefusedError, match="there was no trigger yet"):
        remote.snapshot(640, trigger=True)


def test_the_picture_of_a_trigger_is_blurred_where_stills_are() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    frame = SimpleNamespace(
        timestamp_ns=7, wall_ns=0,
        main=SimpleNamespace(width=64, height=48, rgb=lambda _box: noise),
    )  # fmt: skip
    event = SimpleNamespace(frame=frame, best=SimpleNamespace(box_xyxy=(30, 20, 60, 40)))
    asked: list[int] = []

    def blurred(at_ns: int) -> tuple[tuple[float, float, float, float], ...]:
        asked.append(at_ns)
        return ((0, 0, 20, 48),)

    remote = Remote(Settings(), "boot", lambda _request: True, blurred=blurred)
    remote.last_event = event  # type: ignore[assignment]
    _, jpeg = remote.snapshot(64, trigger=True)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), 0).astype(float)
    assert asked == [7]
    assert picture[4:44, 2:18].std() < picture[4:18, 30:60].std() / 2


def test_a_snapshot_has_the_pipelines_view_except_in_a_pause(running: str) -> None:
    with Control(f"{running}-control") as client:
        plain, _ = client.snapshot(200)
        assert plain.sight is None
        reply, jpeg = client.snapshot(200, sight=True)
        seen = reply.sight
        assert seen is not None
        assert (reply.width, seen.width, seen.height) == (200, 640, 480)
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1).shape == (150, 200, 3)
        assert cv2.imdecode(np.frombuffer(seen.motion_png, np.uint8), 0).shape == (240, 320)
        client.pause(60)
        _snapshot(client, lambda reply: reply.sight is None)
        client.resume()
        again = _snapshot(client, lambda reply: reply.sight is not None)
        assert again.timestamp_ns > reply.timestamp_ns


def _snapshot(client: Control, wanted: Callable[[SnapshotReply], bool]) -> SnapshotReply:
    """A snapshot of a frame after the command, which the analysis takes up at its next frame."""
    deadline_s = time.monotonic() + 10
    while not wanted(reply := client.snapshot(200, sight=True)[0]):
        assert time.monotonic() < deadline_s
    return reply


def test_a_paused_daemon_reads_frames_and_analyses_none(running: str) -> None:
    with (
        Subscriber(running, topics=["health."]) as subscriber,
        Control(f"{running}-control") as client,
    ):
        client.pause(60)
        first = until(subscriber, lambda event: event.message.paused).message
        first = until(subscriber, lambda event: event.message.frames > first.frames + 5).message
        later = until(subscriber, lambda event: event.message.frames > first.frames + 20).message
        assert later.invocations == first.invocations
        assert (later.paused, client.status().paused) == (True, True)
        assert client.resume().text == "resumed"
        until(subscriber, lambda event: event.message.invocations > later.invocations)
        client.pause(0.3)
        until(subscriber, lambda event: event.message.paused)
        until(subscriber, lambda event: not event.message.paused)


def test_a_new_subscriber_receives_health_at_once(running: str) -> None:
    with Subscriber(running) as subscriber:
        assert until(subscriber, lambda event: event.topic == "health.cam0", 2)


def test_a_daemon_refuses_clips_it_does_not_record_and_reloads_it_can_not_do() -> None:
    remote = Remote(Settings(triggers=()), "b007", lambda _: True)
    replies = [decode_reply(answer(remote, encode_command(command)))[0] for command in (
        CaptureCommand(captures=("clip",)), ReloadCommand(), ResumeCommand(),
    )]  # fmt: skip
    assert [reply.text for reply in replies] == [
        "no clip can be captured: no rule has clip among its actions",
        "this daemon can't reload its configuration; restart it",
        "was not paused",
    ]
    remote = Remote(Settings(), "b007", lambda _: True, lambda: "nothing has changed")
    reply, _ = decode_reply(answer(remote, encode_command(ReloadCommand())))
    assert reply == DoneReply(text="nothing has changed")


def test_without_frames_a_snapshot_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.daemon.commands.FRAME_WAIT_S", 0.05)
    remote = Remote(Settings(), "b007", lambda _: True)
    with pytest.raises(RefusedError, match="no frame came"):
        remote.snapshot(640)


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (
            ["status", "--endpoint", "ipc:///tmp/no-such-daemon", "--timeout", 0.3],
            1,
            "no daemon listens",
        ),
        (["status", "--set", "bus.control=none"], 2, "no bus.control"),
        (["status", "--key", "/nowhere"], 2, "belong together"),
        (["status", "--endpoint", "nonsense"], 1, "can't connect to nonsense"),
        (["dance"], 2, "No such command"),
    ],
)
def test_a_usage_or_connection_error_is_one_sentence(
    arguments: list[object], code: int, problem: str
) -> None:
    done = edge("ctl", *arguments)
    assert (done.returncode, problem in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
