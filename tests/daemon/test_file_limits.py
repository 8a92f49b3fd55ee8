"""Limits of the system cost connections or captures for a while, and never the daemon.

Floods of a daemon with 1,024 files, and limits of file size, are in `make attack`.
"""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from edge.bus.gate import ENOUGH_FILES
from edge.bus.keys import ClientKeys, allow, new_pair
from edge.client import Control, Subscriber
from edge.errors import EdgeError
from edge.messages import Capture, Health
from tests.bus.test_flood import FLOOD
from tests.faults.host import CONFIG
from tests.support.limited import limited

FILES = ENOUGH_FILES  # the fewest with which a daemon logs no warning; the floods open 2,200


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def frames_in(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


@dataclass
class Bus:
    """The addresses of a daemon. ports: of events and control, for the flood."""

    config: str
    endpoint: str
    control: str
    ports: list[int]
    keys: ClientKeys


def encrypted(folder: Path) -> Bus:
    keys = folder / "keys"
    new_pair(keys, "server")
    client = new_pair(keys, "client")
    allow(keys, client)
    ports = free_ports(2)
    endpoint, control = (f"tcp://127.0.0.1:{port}" for port in ports)
    config = CONFIG.replace(
        'endpoint = "ipc://{folder}/e.ipc"',
        f'endpoint = "{endpoint}"\ncontrol = "{control}"\nkeys = "{{folder}}/keys"',
    )
    pair = ClientKeys.read(client, keys / "server.key")
    return Bus(config, endpoint, control, ports, pair)


def test_a_flood_of_both_sockets_costs_no_capture(tmp_path: Path) -> None:
    bus = encrypted(tmp_path)

    def subscriber() -> Subscriber:
        return Subscriber(bus.endpoint, topics=[""], keys=bus.keys)

    with limited(tmp_path, subscriber, bus.config, FILES) as daemon:
        daemon.until_open_clip()
        command = [sys.executable, "-c", FLOOD, str(int(socket.AF_INET))]
        floods = [subprocess.Popen([*command, str(port)]) for port in bus.ports]
        clip = daemon.until_capture()
        most = daemon.open_files
        while any(flood.poll() is None for flood in floods):
            daemon.until(lambda _: True, 10)
            most = max(most, daemon.open_files)
        assert frames_in(clip) > 10
        assert frames_in(daemon.until_capture()) > 10
        assert daemon.subscriber.gaps.missing == 0
        assert not [m for m in daemon.messages if isinstance(m, Capture) and m.failure]
        with Control(bus.control, timeout_s=20, keys=bus.keys) as control:
            assert control.status().health is not None
        assert most < FILES


def test_a_limit_below_the_open_files_costs_captures_until_it_is_raised(tmp_path: Path) -> None:
    with limited(tmp_path, lambda: Subscriber(f"ipc://{tmp_path}/e.ipc", topics=[""])) as daemon:
        daemon.until_capture()
        before = daemon.limit(resource.RLIMIT_NOFILE, 10)
        daemon.until(lambda m: isinstance(m, Capture) and bool(m.failure))
        for _ in range(3):
            assert isinstance(daemon.until(lambda m: isinstance(m, Health)), Health)
        with pytest.raises(EdgeError), Control(f"ipc://{tmp_path}/e.ipc-control", timeout_s=1) as c:
            c.status()
        daemon.limit(resource.RLIMIT_NOFILE, before[0])
        assert frames_in(daemon.until_capture()) > 10
        with Control(f"ipc://{tmp_path}/e.ipc-control", timeout_s=10) as control:
            assert control.status().health is not None
