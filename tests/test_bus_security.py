"""Keys in a folder, and what those without a right one get over real TCP: nothing."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zmq.auth

from edge.bus import keys
from edge.config import load
from edge.errors import BusError, ConfigError

EDGE = [sys.executable, "-m", "edge.cli", "keys"]


def edge_keys(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*EDGE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=cwd)


def test_new_allow_list_and_revoke_at_the_command_line(tmp_path: Path) -> None:
    folder = ("--keys", "keys")
    assert edge_keys("new", *folder, cwd=tmp_path).returncode == 0
    secret = tmp_path / "keys" / "server.key_secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert all(zmq.auth.load_certificate(secret))
    assert zmq.auth.load_certificate(tmp_path / "keys" / "server.key")[1] is None
    again = edge_keys("new", *folder, cwd=tmp_path)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    assert edge_keys("new", "laptop", cwd=tmp_path).returncode == 0
    assert edge_keys("allow", "laptop.key", *folder, cwd=tmp_path).returncode == 0
    public = zmq.auth.load_certificate(tmp_path / "laptop.key")[0].decode()
    assert edge_keys("list", *folder, cwd=tmp_path).stdout == f"laptop  {public}\n"
    assert edge_keys("revoke", "laptop", *folder, cwd=tmp_path).returncode == 0
    assert edge_keys("list", *folder, cwd=tmp_path).stdout == ""
    twice = edge_keys("revoke", "laptop", *folder, cwd=tmp_path)
    assert twice.stderr == "edge: laptop is not allowed anyway; nobody is\n"


def test_no_folder_named_is_a_usage_error(tmp_path: Path) -> None:
    done = edge_keys("list", cwd=tmp_path)
    assert (done.returncode, "--keys" in done.stderr) == (2, True)


def test_only_public_keys_go_into_the_folder_of_the_allowed(tmp_path: Path) -> None:
    secret = keys.new_pair(tmp_path, "phone")
    assert keys.allow(tmp_path, secret) == "phone"
    assert "secret" not in (tmp_path / "allowed" / "phone.key").read_text()


def test_a_key_is_allowed_once_and_a_name_is_never_reused(tmp_path: Path) -> None:
    first, second = keys.new_pair(tmp_path, "a"), keys.new_pair(tmp_path, "b")
    keys.allow(tmp_path, first)
    with pytest.raises(BusError, match="allowed already, as a"):
        keys.allow(tmp_path, first, "c")
    with pytest.raises(BusError, match="revoke it first"):
        keys.allow(tmp_path, second, "a")


@pytest.mark.parametrize("name", ["", "../server", "a/b", "a.b", "ü", "x" * 65])
def test_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    for act in (keys.new_pair, keys.revoke):
        with pytest.raises(BusError, match="no name for a key"):
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


def test_the_daemon_wants_its_secret_for_itself(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="edge keys new"):
        keys.server_certificate(tmp_path)
    secret = keys.new_pair(tmp_path, keys.SERVER)
    assert keys.server_certificate(tmp_path).secret
    secret.chmod(0o640)
    with pytest.raises(BusError, match="chmod 600"):
        keys.server_certificate(tmp_path)


def test_tcp_needs_keys_or_says_that_it_is_insecure() -> None:
    for key in ("bus.endpoint", "bus.control"):
        with pytest.raises(ConfigError, match=f"{key}: TCP is open to everybody"):
            load(None, {key: "tcp://*:5555"})
        assert load(None, {key: "tcp://*:5555", "bus.keys": "keys"}).bus.keys == "keys"
        assert load(None, {key: "tcp://*:5555", "bus.insecure": True}).bus.insecure
    with pytest.raises(ConfigError, match="contradicts"):
        load(None, {"bus.keys": "keys", "bus.insecure": True})
