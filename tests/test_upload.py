"""Uploads with the real rclone to its own servers, and retention that knows about them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from edge.capture.sidecar import FileEntry, Sidecar, event_entry, iso_time
from edge.capture.stored.storage import StorageGuard
from edge.capture.stored.uploaded import is_uploaded, mark, mark_of
from edge.capture.tally import TallyFile, TallyRow, read_tally
from edge.commands.upload import upload as command
from edge.config.schema import CaptureSettings
from edge.errors import ConfigError, UploadError
from edge.export.upload import BATCH, upload, waiting
from edge.runtime.clock import ClockState, WallClock
from edge.runtime.files import part_of
from tests.support.captures import START_NS, request

ROOT = Path(__file__).resolve().parent.parent
RCLONE = shutil.which("rclone")
needs_rclone = pytest.mark.skipif(
    RCLONE is None, reason="NO RCLONE: apt-get install rclone; the upload was not tested"
)
DAY = "2026-01-01"
# Each protocol: options of `rclone serve`, and of the remote that connects to it.
PLACES = {
    "webdav": (("--user", "u", "--pass", "p"), {"vendor": "other", "user": "u", "pass": "p"}),
    "sftp": (("--user", "u", "--pass", "p"), {"user": "u", "pass": "p"}),
    "s3": (("--auth-key", "id,secret"),
           {"provider": "Rclone", "access_key_id": "id", "secret_access_key": "secret",
            "force_path_style": "true"}),
}  # fmt: skip


class SettledClock(WallClock):
    def state(self) -> ClockState:
        return "synchronized"


def capture(root: Path, stem: str, number: int, camera: str = "cam0", age_s: float = 0) -> Path:
    """A finished capture with a still and a clip; returns its sidecar."""
    folder = root / camera / DAY
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for suffix, kind in ((".jpg", "still"), (".mp4", "clip")):
        (folder / (stem + suffix)).write_bytes(os.urandom(2000))
        files.append({"name": stem + suffix, "kind": kind, "bytes": 2000, "width": 4, "height": 4,
                      "time": iso_time(time.time_ns())})  # fmt: skip
    event = msgspec.structs.replace(
        event_entry(request(START_NS)), time=iso_time(int((time.time() - age_s) * 1e9))
    )
    sidecar = Sidecar(
        camera=camera, model="m", events=[event], sequence=number, clock="synchronized",
        files=msgspec.convert(files, list[FileEntry]),
    )  # fmt: skip
    sidecar.write(folder / f"{stem}.json")
    return folder / f"{stem}.json"


def names(root: Path) -> set[str]:
    """All files below a folder, without marks."""
    paths = (p for p in root.rglob("*") if p.is_file() and p.suffix != ".uploaded")
    return {str(path.relative_to(root)) for path in paths}


@contextmanager
def served(protocol: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`rclone serve` on loopback; gives the name of the remote."""
    assert RCLONE is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options, remote = PLACES[protocol]
    (folder / "captures").mkdir(parents=True, exist_ok=True)
    cache = str(folder.with_name("cache"))
    server = subprocess.Popen(
        [RCLONE, "serve", protocol, str(folder), "--addr", f"127.0.0.1:{port}",
         "--cache-dir", cache, *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    place = {"webdav": {"url": address}, "s3": {"endpoint": address},
             "sftp": {"host": "127.0.0.1", "port": str(port)}}[protocol]  # fmt: skip
    fields = {"type": protocol} | remote | place
    if "pass" in fields:
        done = subprocess.run([RCLONE, "obscure", fields["pass"]], capture_output=True, text=True)
        fields["pass"] = done.stdout.strip()
    file = folder.with_name("rclone.conf")
    file.write_text("[nas]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items()))
    monkeypatch.setenv("RCLONE_CONFIG", str(file))
    try:
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield "nas:captures"
    finally:
        server.terminate()
        server.wait(10)


def serves(protocol: str) -> bool:
    assert RCLONE is not None
    done = subprocess.run([RCLONE, "serve", protocol, "--help"], capture_output=True, text=True)
    return f"rclone serve {protocol} " in done.stdout


@needs_rclone
@pytest.mark.parametrize("protocol", PLACES)
def test_finished_captures_are_copied_and_marked(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not serves(protocol):
        pytest.skip(f"RCLONE TOO OLD: it can't serve {protocol}; {protocol} was not tested")
    root = tmp_path / "captures"
    first, second = capture(root, "120000.000_a", 1), capture(root, "120001.000_a", 2, "cam1")
    with served(protocol, tmp_path / "there", monkeypatch) as remote:
        assert upload(root, remote).uploaded == 2
        assert names(tmp_path / "there/captures") == names(root)
        assert is_uploaded(first)
        assert is_uploaded(second)
        assert waiting(root) == ([], 0)
        # An event joins: the sidecar of the same size reaches the other place, too.
        text = first.read_text().replace('"model": "m"', '"model": "n"')
        first.write_text(text)
        assert [found.sidecar for found in waiting(root)[0]] == [first]
        assert upload(root, remote).uploaded == 1
        assert (tmp_path / "there/captures/cam0" / DAY / first.name).read_text() == text
        _assert_tables_follow(root, tmp_path / "there/captures", remote)
        first.unlink()  # what is deleted here stays there
        assert upload(root, remote).uploaded == 0
        assert (tmp_path / "there/captures/cam0" / DAY / first.name).exists()


def _assert_tables_follow(root: Path, there: Path, remote: str) -> None:
    tally, row = TallyFile(root, 0), TallyRow("2026-06-01T12:00:00+00:00", "crossing", "kerb", "in")
    for rows in (1, 2):
        tally.append("cam0", START_NS, row)
        upload(root, remote)
        (table,) = (there / "cam0/counts").iterdir()
        assert list(read_tally(table)) == [row] * rows


def test_unfinished_captures_wait(tmp_path: Path) -> None:
    done = capture(tmp_path, "120000.000_done", 7)
    older = capture(tmp_path, "120009.000_older", 3)
    capture(tmp_path, "120001.000_lacking", 1).with_suffix(".mp4").unlink()
    recording = capture(tmp_path, "120002.000_recording", 2)
    part_of(recording.with_suffix(".mp4")).touch()
    capture(tmp_path, "120003.000_short", 4).with_suffix(".jpg").write_bytes(b"j")
    linked = capture(tmp_path, "120004.000_linked", 5).with_suffix(".jpg")
    linked.rename(tmp_path / "elsewhere.jpg")
    linked.symlink_to(tmp_path / "elsewhere.jpg")
    (done.parent / "damaged.json").write_text("{")
    (done.parent / "other.json").write_text("{}")
    found, unfinished = waiting(tmp_path)
    assert [item.sidecar for item in found] == [older, done]
    assert unfinished == 4


@needs_rclone
def test_an_upload_continues_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "captures"
    made = [capture(root, f"12{n // 60:02d}{n % 60:02d}.000_a", n + 1) for n in range(BATCH + 2)]
    there = tmp_path / "there"
    monkeypatch.setenv("RCLONE_CONFIG", str(tmp_path / "none.conf"))
    monkeypatch.setenv("RCLONE_RETRIES", "1")
    blocked = there / "cam0" / DAY / made[BATCH].with_suffix(".jpg").name
    blocked.mkdir(parents=True)  # a file of the second batch can't be written
    (blocked / "file").touch()
    with pytest.raises(UploadError, match=r"1 of 52 captures are not confirmed.*rclone"):
        upload(root, str(there))
    assert [is_uploaded(path) for path in made] == [True] * BATCH + [False, True]
    shutil.rmtree(blocked)
    assert upload(root, str(there)).uploaded == 1
    assert names(there) == names(root)


@needs_rclone
def test_a_capture_that_is_damaged_there_is_not_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rclone copies by size and time; the check that follows compares the contents."""
    root, there = tmp_path / "captures", tmp_path / "there"
    made = capture(root, "120000.000_a", 1)
    still = made.with_suffix(".jpg")
    copy = there / still.relative_to(root)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"x" * still.stat().st_size)
    os.utime(copy, ns=(still.stat().st_atime_ns, still.stat().st_mtime_ns))
    with pytest.raises(UploadError, match="1 of 1 captures are not confirmed"):
        upload(root, str(there))
    assert not is_uploaded(made)


def test_a_capture_that_changed_meanwhile_is_not_marked(tmp_path: Path) -> None:
    made = capture(tmp_path, "120000.000_a", 1)
    before_ns = made.stat().st_mtime_ns
    os.utime(made, ns=(before_ns + 1000, before_ns + 1000))
    assert not mark(tmp_path, made, before_ns)
    assert not mark_of(made).exists()
    assert mark(tmp_path, made, before_ns + 1000)
    victim = tmp_path / "victim"
    victim.touch()
    mark_of(made).unlink()
    mark_of(made).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        mark(tmp_path, made, before_ns)


def guard(root: Path, **limits: Any) -> StorageGuard:
    given = {"min_free_bytes": 0, "max_bytes": 0, "keep_until_uploaded": True} | limits
    made = StorageGuard(CaptureSettings(directory=str(root), **given), SettledClock())
    made.scan()
    return made


def test_retention_deletes_uploaded_captures_first(tmp_path: Path) -> None:
    made = [capture(tmp_path, f"12000{n}.000_a", n + 1) for n in range(4)]
    assert mark(tmp_path, made[2], made[2].stat().st_mtime_ns)
    kept = guard(tmp_path)
    each = kept.bytes // 4
    guard(tmp_path, max_bytes=kept.bytes - each // 2).admit(1)
    assert [path.exists() for path in made] == [True, True, False, True]
    assert not mark_of(made[2]).exists()
    guard(tmp_path, max_bytes=3 * each - each // 2).admit(1)  # the disk limit wins
    assert [path.exists() for path in made] == [False, True, False, True]


@pytest.mark.parametrize("keep", [True, False])
def test_age_deletes_only_uploaded_captures_if_so_set(tmp_path: Path, keep: bool) -> None:
    made = [capture(tmp_path, f"12000{n}.000_a", n + 1, age_s=9 * 86400) for n in range(2)]
    assert mark(tmp_path, made[1], made[1].stat().st_mtime_ns)
    kept = guard(tmp_path, max_age_days=1, keep_until_uploaded=keep)
    for _ in range(4):
        kept.expire()
    assert [path.exists() for path in made] == [keep, False]


def test_the_command_explains_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner().invoke
    made = capture(tmp_path, "120000.000_a", 1)
    folder = ["--captures", str(tmp_path)]
    listed = run(command, [*folder, "--dry-run"], catch_exceptions=False)
    assert listed.output == f"{made.relative_to(tmp_path).with_suffix('')}\n"
    assert "set upload.remote" in str(run(command, folder).exception)
    for wrong in ("nas", "-v:x", ":webdav,pass=secret:x"):
        assert "upload.remote" in str(run(command, [*folder, "--to", wrong]).exception)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = run(command, [*folder, "--to", "nas:x"]).exception
    assert isinstance(missing, ConfigError)
    assert "sudo apt install rclone" in str(missing)


@needs_rclone
def test_an_unknown_place_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    capture(tmp_path, "120000.000_a", 1)
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", "upload", "--captures", str(tmp_path), "--to", "x:y"],
        capture_output=True, text=True, env=os.environ | {"RCLONE_CONFIG": str(tmp_path / "c")},
    )  # fmt: skip
    assert done.returncode == 1
    assert "1 of 1 captures are not confirmed at x:y" in done.stderr
    assert "didn't find section" in done.stderr


def test_the_units_belong_together_and_run_the_command() -> None:
    service = (ROOT / "systemd/edge-upload@.service").read_text()
    assert "ExecStart=/opt/edge/bin/edge upload --config /etc/edge/%i.toml\n" in service
    assert "[Install]" not in service
    assert "WantedBy=timers.target" in (ROOT / "systemd/edge-upload@.timer").read_text()
