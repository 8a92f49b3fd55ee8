"""Exports of folders that are damaged, or that someone prepared to read other files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.capture.sidecar import FileEntry, Sidecar
from edge.cli import main
from tests.export.test_export import capture, event
from tests.support.special import SPECIAL

Edge = Callable[..., "Done"]
FORMATS = (
    ("camtrap-dp", "--location", "cam0=1,2"),
    ("csv",),
    ("coco",),
)


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    root = tmp_path / "captures"
    for number in range(3):
        capture(root, event(f"e{number}", number), clip=number == 0)
    return root


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def edge(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Edge:
    """Runs the command line in this process, which takes less time than another one."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def texts(out: Path) -> str:
    """All that an export contains, as one text."""
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    return "\n".join(f"{path.name}: {path.read_text()}" for path in files)


@pytest.mark.parametrize("arguments", FORMATS)
def test_what_cannot_be_read_is_left_out_and_counted(
    edge: Edge, captures: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder = next(captures.glob("*/*"))
    private = tmp_path / "private.jpg"
    private.write_text("private")
    for name in (str(private), "../../../private.jpg", "e9.mp4"):
        stem = f"e{len(name)}"
        entry = FileEntry(name=name, kind="still", bytes=1, width=1, height=1,
                          time=event("e", 1).time)  # fmt: skip
        Sidecar(camera="cam0", model="m", events=[event(stem, 9)], files=[entry]).write(
            folder / f"{stem}.json"
        )
    (folder / "e1.json").write_bytes(b"")
    (folder / "deep.json").write_bytes(b"[" * 10**5)
    kind, *rest = arguments
    done = edge("export", kind, tmp_path / "out", "--captures", captures, *rest)
    assert done.returncode == 0, done.stderr
    assert "files left out, as they are damaged or can't be read: 5 (" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    content = texts(tmp_path / "out")
    assert "private" not in content
    assert all((f"e{n}.jpg" in content) == (n != 1) for n in range(3))


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "socket"])
def test_a_medium_that_is_no_regular_file_is_left_out_and_counted(
    edge: Edge, captures: Path, tmp_path: Path, kind: str
) -> None:
    path = next(captures.rglob("e1.jpg"))
    path.unlink()
    SPECIAL[kind](path)
    done = edge("export", "camtrap-dp", tmp_path / "out", "--captures", captures, "--location",
                "cam0=1,2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "can't be read: 1 (" in done.stderr
    assert "private" not in texts(tmp_path / "out")
    assert "e1.jpg" not in texts(tmp_path / "out")
    media = [entry for entry in (tmp_path / "out" / "media").rglob("*") if not entry.is_dir()]
    assert sorted(entry.name for entry in media) == ["e0.jpg", "e0.mp4", "e2.jpg"]


def test_a_linked_folder_is_not_exported(edge: Edge, captures: Path, tmp_path: Path) -> None:
    capture(tmp_path / "elsewhere", event("secret", 1), camera="cam1")
    (captures / "cam1").symlink_to(tmp_path / "elsewhere" / "cam1")
    done = edge("export", "csv", "-", "--captures", captures)
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout


def test_events_that_contradict_each_other_are_exported(
    edge: Edge, captures: Path, tmp_path: Path
) -> None:
    """Two sidecars give the same event different objects."""
    folder = next(captures.glob("*/*"))
    other = (folder / "e1.json").read_text().replace('"id": 1', '"id": 55').replace("e1.", "x1.")
    (folder / "x1.json").write_text(other)
    (folder / "x1.jpg").write_bytes(b"abc")
    done = edge("export", "camtrap-dp", tmp_path / "out", "--captures", captures, "--location",
                "cam0=1,2")  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("date", ["0001-01-01", "9999-12-31"])
def test_dates_at_the_end_of_the_calendar_are_answered(
    edge: Edge, captures: Path, date: str
) -> None:
    for option in ("--since", "--until"):
        done = edge("export", "csv", "-", "--captures", captures, option, date)
        assert done.returncode in (0, 2), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[deployments.cam0]\nlatitude = 1\nlongitude = 2\nstart = 0001-01-01T00:00:00Z",
        "[deployments.cam0]\nlatitude = nan\nlongitude = 2",
        "[deployments.cam0]\nlatitude = 1\nlongitude = 2\nheight_m = inf",
        "[deployments.cam0]\nlatitude = 1\nlongitude = 2\nuncertainty_m = 99999999999999999999",
        "title = " + "[" * 100_000,
        "title = '" + "x" * (5 << 20) + "'",
        "\0",
        None,
    ],
)
def test_a_bad_description_is_one_sentence(
    edge: Edge, captures: Path, tmp_path: Path, text: str | None
) -> None:
    about = tmp_path / "about.toml"
    if text is None:
        os.mkfifo(about)
    else:
        about.write_text(text)
    done = edge("export", "camtrap-dp", tmp_path / "out", "--captures", captures, "--about", about,
                "--location", "cam1=1,2")  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2000
    assert not (tmp_path / "out").exists()


def test_a_folder_with_damaged_sidecars_only_says_so(
    edge: Edge, captures: Path, tmp_path: Path
) -> None:
    for path in captures.rglob("*.json"):
        path.write_bytes(b"")
    done = edge("export", "csv", tmp_path / "out", "--captures", captures)
    assert done.returncode == 1
    assert "no captures (3 that can't be read)" in done.stderr


def test_a_package_counts_files_that_are_deleted_meanwhile(
    captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.export import camtrap_dp
    from edge.export.about import About, Deployment
    from edge.export.groups import read_groups

    groups = read_groups(captures).groups
    next(captures.rglob("e2.jpg")).unlink()
    about = About(deployments={"cam0": Deployment(latitude=1, longitude=2)})
    tables = camtrap_dp.write_camtrap_dp(tmp_path / "out", groups, about)
    assert len(tables.lost) == 1
    assert "e2.jpg" not in texts(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "datapackage.json").read_text())
