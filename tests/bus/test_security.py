"""Keys in a folder; without an allowed key, a client receives nothing over real TCP."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
import zmq.auth

from edge.bus import keys
from edge.bus.publisher import Publisher
from edge.client import ClientKeys, Subscriber
from edge.config.load import load
from edge.config.schema import BusSettings
from edge.errors import BusError, ConfigError
from edge.messages import Capture, Health
from edge.runtime import machine
from tests.support.commands import edge

EDGE = [sys.executable, "-m", "edge.cli", "keys"]


def edge_keys(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return edge("keys", *arguments, folder=cwd)


def test_new_allow_list_and_revoke_at_the_command_line(tmp_path: Path) -> None:
    folder = ("--keys", "keys")
    assert edge_keys("new", *folder, cwd=tmp_path).returncode == 0
    secret = tmp_path / "keys" / "server.key_secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert all(zmq.auth.load_certificate(secret))
    assert zmq.auth.load_certificate(tmp_path / "keys" / "server.key")[1] is None
    again = edge_keys("new", *folder, cwd=tmp_path)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    assert edge_keys("new", "laptop", cwd=tmp_path).returncode == 0
    assert edge_keys("allow", "laptop.key", *folder, cwd=tmp_path).returncode == 0
    public = zmq.auth.load_certificate(tmp_path / "laptop.key")[0].decode()
    assert edge_keys("list", *folder, cwd=tmp_path).stdout == f"laptop  {public}\n"
    assert edge_keys("revoke", "laptop", *folder, cwd=tmp_path).returncode == 0
    assert edge_keys("list", *folder, cwd=tmp_path).stdout == ""
    twice = edge_keys("revoke", "laptop", *folder, cwd=tmp_path)
    assert twice.stderr == "edge: laptop is not an allowed client; allowed: none\n"


def test_a_missing_folder_option_is_a_usage_error(tmp_path: Path) -> None:
    done = edge_keys("list", cwd=tmp_path)
    assert (done.returncode, "--keys" in done.stderr) == (2, True)


def test_only_public_keys_are_written_to_the_allowed_folder(tmp_path: Path) -> None:
    secret = keys.new_pair(tmp_path, "phone")
    assert keys.allow(tmp_path, secret) == "phone"
    assert "secret" not in (tmp_path / "allowed" / "phone.key").read_text()


def test_a_key_is_allowed_once_and_a_name_has_one_key(tmp_path: Path) -> None:
    first, second = keys.new_pair(tmp_path, "a"), keys.new_pair(tmp_path, "b")
    keys.allow(tmp_path, first)
    with pytest.raises(BusError, match="allowed already, as a"):
        keys.allow(tmp_path, first, "c")
    with pytest.raises(BusError, match="revoke it first"):
        keys.allow(tmp_path, second, "a")


@pytest.mark.parametrize("name", ["", "../server", "a/b", "a.b", "ü", "x" * 65])
def test_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    for act in (keys.new_pair, keys.revoke):
        with pytest.raises(BusError, match="can't name a key"):
            act(tmp_path, name)


@pytest.mark.parametrize(
    "text", ["", "public-key = x", f'public-key = "{"#" * 40}"', 'public-key = "\xff"', "\x00" * 99]
)
def test_a_damaged_file_allows_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "x.key").write_text(text)
    assert keys.allowed(tmp_path) == {}
    with pytest.raises(BusError, match=r"x\.key"):
        keys.Certificate.read(tmp_path / "allowed" / "x.key")


def test_the_daemon_refuses_a_secret_that_others_can_read(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="edge keys new"):
        keys.server_certificate(tmp_path)
    secret = keys.new_pair(tmp_path, keys.SERVER)
    assert keys.server_certificate(tmp_path).secret
    secret.chmod(0o640)
    with pytest.raises(BusError, match="chmod 600"):
        keys.server_certificate(tmp_path)


def test_tcp_needs_keys_or_the_setting_insecure() -> None:
    for key in ("bus.endpoint", "bus.control"):
        with pytest.raises(ConfigError, match=f"{key}: TCP is open to everybody"):
            load(None, {key: "tcp://*:5555"})
        assert load(None, {key: "tcp://*:5555", "bus.keys": "keys"}).bus.keys == "keys"
        assert load(None, {key: "tcp://*:5555", "bus.insecure": True}).bus.insecure
    with pytest.raises(ConfigError, match="contradicts"):
        load(None, {"bus.keys": "keys", "bus.insecure": True})


class Bus:
    """A publisher behind CURVE on a real TCP port, and the clients' keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "keys"
        self.clients = folder / "clients"
        keys.new_pair(self.folder, keys.SERVER)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        settings = BusSettings(endpoint=self.endpoint, keys=str(self.folder), linger_ms=100)
        self.publisher = Publisher(settings, "cam0", "b007")
        self.publisher.start()
        self.number = 0

    def keys_of(self, name: str, *, allowed: bool = True) -> ClientKeys:
        secret = keys.new_pair(self.clients, name)
        if allowed:
            keys.allow(self.folder, secret.with_suffix(".key"))
        return ClientKeys.read(secret, self.folder / "server.key")

    def publish(self, count: int = 1) -> None:
        for _ in range(count):
            self.number += 1
            message = Capture(
                event_ids=(), rule="r", capture="still", path="p", sidecar="s",
                size_bytes=self.number,
            )  # fmt: skip
            self.publisher.publish(message, 0, 0)

    def publish_health(self) -> None:
        self.publisher.publish(
            Health(
                state="running", source="s", model="m", uptime_s=1, fps=1, frames=1, invocations=0,
                invocations_per_s=0, inference_ms=0, tracks=0, triggers=0, captures=0, dropped={},
                rss_bytes=0, temperature_c=None, problems=(),
            ), 0, 0,
        )  # fmt: skip

    def reaches(self, subscriber: Subscriber, timeout_s: float = 1.0) -> bool:
        """Whether the subscriber receives a message while messages are published."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            self.publish()
            if subscriber.receive(0.02) is not None:
                return True
        return False


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    yield bus
    bus.publisher.stop()
    assert bus.publisher.error is None


def test_an_allowed_client_receives(bus: Bus) -> None:
    with Subscriber(bus.endpoint, keys=bus.keys_of("laptop")) as subscriber:
        assert bus.reaches(subscriber, 3)


def test_a_client_without_a_key_receives_nothing(bus: Bus) -> None:
    with Subscriber(bus.endpoint) as subscriber:
        assert not bus.reaches(subscriber)


def test_a_client_receives_nothing_until_its_key_is_allowed(bus: Bus) -> None:
    stranger = bus.keys_of("stranger", allowed=False)
    with Subscriber(bus.endpoint, keys=stranger) as subscriber:
        assert not bus.reaches(subscriber)
    keys.allow(bus.folder, bus.clients / "stranger.key")
    with Subscriber(bus.endpoint, keys=stranger) as subscriber:
        assert bus.reaches(subscriber, 3)


def test_a_client_that_expects_another_server_key_receives_nothing(bus: Bus) -> None:
    pair = keys.Certificate.read(keys.new_pair(bus.clients, "laptop"))
    keys.allow(bus.folder, bus.clients / "laptop.key")
    with Subscriber(bus.endpoint, keys=ClientKeys(pair, pair)) as subscriber:
        assert not bus.reaches(subscriber)


def test_a_damaged_file_among_the_allowed_keys_affects_no_other_client(bus: Bus) -> None:
    laptop = bus.keys_of("laptop")
    (bus.folder / "allowed" / "broken.key").write_bytes(b"\xff\x00")
    with Subscriber(bus.endpoint, keys=laptop) as subscriber:
        assert bus.reaches(subscriber, 3)


def test_a_revoked_client_is_disconnected_and_the_others_miss_nothing(bus: Bus) -> None:
    revoked, loyal = bus.keys_of("revoked"), bus.keys_of("loyal")
    with (
        Subscriber(bus.endpoint, keys=revoked) as disconnected,
        Subscriber(bus.endpoint, keys=loyal) as subscriber,
    ):
        assert bus.reaches(disconnected, 3)
        assert bus.reaches(subscriber, 3)
        keys.revoke(bus.folder, "revoked")
        received = []
        for _ in range(250):  # while the socket is bound again
            bus.publish()
            while (event := subscriber.receive(0.01)) is not None:
                received.append(event.message.size_bytes)
        while (event := subscriber.receive(1)) is not None:
            received.append(event.message.size_bytes)
        assert received[-1] == bus.number
        assert subscriber.gaps.missing == 0
        while disconnected.receive(0.2) is not None:
            pass
        assert not bus.reaches(disconnected)
    with Subscriber(bus.endpoint, keys=revoked) as again:
        assert not bus.reaches(again)


def test_random_bytes_on_the_port_affect_no_client(bus: Bus) -> None:
    host, port = bus.endpoint.removeprefix("tcp://").split(":")
    for junk in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" + bytes(9), bytes(1000), b"\xff" * 10**6):
        with (
            socket.create_connection((host, int(port))) as stranger,
            contextlib.suppress(OSError),
        ):
            stranger.sendall(junk)
    with Subscriber(bus.endpoint, keys=bus.keys_of("laptop")) as subscriber:
        assert bus.reaches(subscriber, 3)


def test_a_client_needs_its_secret_key(tmp_path: Path) -> None:
    secret = keys.new_pair(tmp_path, "laptop")
    with pytest.raises(BusError, match="a public key"):
        ClientKeys.read(secret.with_suffix(".key"), secret.with_suffix(".key"))
    with pytest.raises(BusError, match="no such file"):
        ClientKeys.read(tmp_path / "nowhere", secret)


def test_watch_takes_keys(bus: Bus) -> None:
    bus.keys_of("laptop")
    bus.publish_health()
    client, server = bus.clients / "laptop.key_secret", bus.folder / "server.key"
    watch = [*EDGE[:-1], "watch", "--json", "--count", "1", "--timeout", "5"]
    watch += ["--endpoint", bus.endpoint, "--key", str(client)]
    done = subprocess.run(
        [*watch, "--server-key", str(server)], capture_output=True, text=True, timeout=30
    )
    assert '"repeated":true' in done.stdout, done.stderr
    half = subprocess.run(watch, capture_output=True, text=True, timeout=30)
    assert (half.returncode, "belong together" in half.stderr) == (2, True)


def test_a_pipe_in_place_of_a_key_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    os.mkfifo(tmp_path / "allowed" / "x.key")
    (tmp_path / "allowed" / "y.key").mkdir()
    (tmp_path / "allowed" / "z.key").write_bytes(b"#" * 1_000_000)
    assert keys.allowed(tmp_path) == {}
    os.mkfifo(tmp_path / "server.key_secret", 0o600)
    with pytest.raises(BusError, match="not a regular file"):
        keys.server_certificate(tmp_path)
    os.mkfifo(tmp_path / "e.lock")
    with pytest.raises(BusError, match=r"e\.lock"):
        Publisher(BusSettings(endpoint=f"ipc://{tmp_path}/e"), "cam0", "b").start()


def test_clients_stay_allowed_while_no_file_can_be_opened(
    tmp_path: Path,
) -> None:
    keys.new_pair(tmp_path, keys.SERVER)
    keys.allow(tmp_path, keys.new_pair(tmp_path, "a"))
    public = keys.Certificate.read(tmp_path / "a.key").public
    with zmq.Context() as context:
        authenticator = keys.Authenticator(context, tmp_path)
        try:
            used_up: list[int] = []
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
            try:
                with contextlib.suppress(OSError):
                    while True:
                        used_up.append(os.dup(1))
                assert machine.read().temperature_c is None
                assert machine.rss_bytes() == 0
                assert authenticator.allows(public)
                authenticator.admitted.add(public)
                assert not authenticator.any_revoked()
            finally:
                for descriptor in used_up:
                    os.close(descriptor)
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
            keys.revoke(tmp_path, "a")
            assert authenticator.any_revoked()
        finally:
            authenticator.close()
