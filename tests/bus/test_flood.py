"""A flood of connections costs newcomers their connection, never a subscriber or the daemon."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.bus.gate import MAX_CONNECTIONS
from edge.bus.publisher import Publisher
from edge.client import Subscriber
from edge.config.schema import BusSettings
from edge.messages import Health
from tests.support.viewing import until

FILES = 1024  # the soft limit of a service without LimitNOFILE
FLOOD = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))
family = int(sys.argv[1])
address = sys.argv[2] if family == socket.AF_UNIX else ("127.0.0.1", int(sys.argv[2]))
kept = []
end_s = time.monotonic() + 2
while time.monotonic() < end_s:
    connection = socket.socket(family)
    connection.setblocking(False)
    try:
        connection.connect(address)
    except OSError:
        pass
    kept.append(connection)
    if len(kept) > 1100:
        kept.pop(0).close()
"""


def health() -> Health:
    return Health(
        state="running", source="s", model="m", uptime_s=1, fps=1, frames=1, invocations=1,
        invocations_per_s=1, inference_ms=1, tracks=0, triggers=0, captures=0, dropped={},
        rss_bytes=1, temperature_c=None, disk_free_bytes=None, problems=(),
    )  # fmt: skip


@contextlib.contextmanager
def published(publisher: Publisher) -> Iterator[None]:
    """Publishes a message every 20 ms."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.02):
            publisher.publish(health(), time.monotonic_ns(), time.time_ns())

    thread = threading.Thread(target=run)
    publisher.start()
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        publisher.stop()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_subscribers_keep_receiving_and_files_stay_free(family: int, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    local = family == socket.AF_UNIX
    path = f"{tmp_path}/e" if local else str(port)
    endpoint = f"ipc://{path}" if local else f"tcp://127.0.0.1:{port}"
    publisher = Publisher(BusSettings(endpoint=endpoint, insecure=not local), "cam0", "b")
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE), 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if local else FILES, before[1]))
    try:
        with published(publisher), Subscriber(endpoint) as subscriber:
            assert subscriber.receive(10) is not None
            calm = open_files()  # tests before this one may have left some open
            flood = subprocess.Popen([sys.executable, "-c", FLOOD, str(int(family)), path])
            while flood.poll() is None:
                assert subscriber.receive(5) is not None
                most = max(most, open_files())
            assert subscriber.gaps.missing == 0
            until(lambda: open_files() < calm + 20, 15)
            with Subscriber(endpoint) as newcomer:
                assert newcomer.receive(10) is not None
        assert publisher.error is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert most < FILES  # of the 1,100 that the flood opens


def test_a_connection_beyond_half_of_the_limit_from_one_process_is_refused(tmp_path: Path) -> None:
    publisher = Publisher(BusSettings(endpoint=f"ipc://{tmp_path}/e", linger_ms=0), "cam0", "b")
    with published(publisher), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(100)]
        connected = 0
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.connect(f"{tmp_path}/e")
                connected += 1
        assert connected
        until(lambda: sum(map(_is_open, peers)) <= MAX_CONNECTIONS // 2, 5)


def _is_open(peer: socket.socket) -> bool:
    """Whether ZeroMQ's greeting can be read and no end of the stream follows it."""
    try:
        return bool(peer.recv(4096, socket.MSG_DONTWAIT)) and _is_open(peer)
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_a_deleted_socket_file_is_made_again_and_reported(tmp_path: Path) -> None:
    reports: list[str] = []
    endpoint = f"ipc://{tmp_path}/e"
    publisher = Publisher(BusSettings(endpoint=endpoint), "cam0", "b", reports.append)
    with published(publisher):
        until((tmp_path / "e").exists, 5)
        (tmp_path / "e").unlink()
        until((tmp_path / "e").exists, 5)
        with Subscriber(endpoint) as subscriber:
            assert subscriber.receive(10) is not None
    assert "was deleted or replaced" in reports[0]
    assert publisher.error is None
