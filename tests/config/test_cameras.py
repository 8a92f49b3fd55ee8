"""The cameras of a machine's services, by the real command and real files."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli import commands
from edge.config.cameras import cameras, clashes, new_ports, placed, refuse_copy, view_ports
from edge.config.load import load, loads
from edge.errors import ConfigError, PermanentError


def camera(*arguments: str, root: Path) -> Result:
    return CliRunner().invoke(commands, ["camera", *arguments, "--root", str(root)])


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A folder of services with the cameras cam0 and cam1."""
    for name in ("cam0", "cam1"):
        done = camera("add", name, "--source", "synthetic:people", root=tmp_path)
        assert done.exit_code == 0, done.output
    return tmp_path / "etc/edge"


def test_a_new_camera_is_in_the_folders_of_its_service(etc: Path) -> None:
    settings = load(etc / "cam1.toml")
    assert settings.camera == "cam1"
    assert settings.source.uri == "synthetic:people"
    assert settings.bus.endpoint == "ipc:///run/edge/cam1/bus"
    assert settings.capture.directory == "/var/lib/edge/cam1/captures"
    assert (etc / "cam1.toml").stat().st_mode & 0o007 == 0  # it may have a camera's password
    assert [clashes(file, load(file), etc) for file in cameras(etc)] == [[], []]


def test_each_camera_has_ports_of_its_own(etc: Path) -> None:
    assert "EDGE_VIEW_LISTEN=0.0.0.0:8080\n" in (etc / "cam0.env").read_text()
    assert "EDGE_VIEW_LISTEN=0.0.0.0:8081\n" in (etc / "cam1.env").read_text()
    (etc / "cam0.env").unlink()  # as after an upgrade: the units' default is 8080
    (etc / "cam1.env").unlink()
    assert "EDGE_METRICS_PORT=9465\n" in new_ports("cam2", etc)


def test_a_copied_file_is_reported_and_refused_and_its_original_is_not(etc: Path) -> None:
    copy = etc / "cam2.toml"
    copy.write_text((etc / "cam0.toml").read_text())
    problems = clashes(copy, load(copy), etc)
    assert [problem.split(": ")[1] for problem in problems] == [
        "bus.endpoint",
        "camera",
        "capture.directory",
    ]
    assert all("cam0.toml" in problem for problem in problems)
    with pytest.raises(ConfigError):
        refuse_copy(copy, load(copy), etc)
    refuse_copy(etc / "cam0.toml", load(etc / "cam0.toml"), etc)
    assert clashes(copy, load(copy)) == []  # files elsewhere may be variants of each other


def test_adding_and_removing_say_what_is_wrong(etc: Path, tmp_path: Path) -> None:
    assert isinstance(camera("add", "cam0", root=tmp_path).exception, PermanentError)
    assert isinstance(camera("add", "../cam9", root=tmp_path).exception, ConfigError)
    assert isinstance(camera("remove", "cam9", root=tmp_path).exception, PermanentError)
    assert isinstance(camera("remove", "../edge/cam0", root=tmp_path).exception, PermanentError)
    assert camera("remove", "cam1", root=tmp_path).exit_code == 0
    assert sorted(path.name for path in etc.iterdir()) == ["cam0.env", "cam0.toml"]


def test_the_list_has_the_address_of_the_page(etc: Path, tmp_path: Path) -> None:
    token = tmp_path / "var/lib/edge/cam1/view-token"
    token.parent.mkdir(parents=True)
    token.write_text("secret\n")
    lines = camera("list", root=tmp_path).output.splitlines()
    assert [line.split()[0] for line in lines] == ["cam0", "cam1"]
    assert lines[1].endswith(":8081/#token=secret")
    assert "no page yet: sudo systemctl enable --now edge-view@cam0" in lines[0]


@pytest.mark.parametrize(
    ("name", "announced", "address"),
    [
        ("pi", True, "http://pi.local:8081/"),
        ("pi", False, "http://pi:8081/"),
        ("pi.example.org", True, "http://pi.example.org:8081/"),
    ],
)
def test_the_address_has_the_name_that_other_machines_know(
    etc: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    announced: bool,
    address: str,
) -> None:
    token = tmp_path / "var/lib/edge/cam1/view-token"
    token.parent.mkdir(parents=True)
    token.write_text("secret\n")
    monkeypatch.setattr("socket.gethostname", lambda: name)
    monkeypatch.setattr("edge.commands.camera.AVAHI", tmp_path if announced else tmp_path / "no")
    assert address in camera("list", root=tmp_path).output


@pytest.mark.parametrize(
    "text",
    ["", "[bus]\n", "#[bus]\n#endpoint = 1\n", '[bus]\nendpoint = "old"\n[mqtt]\nport = 1\n'],
)
def test_a_key_is_placed_in_its_section(text: str) -> None:
    assert loads(placed(text, "bus", "endpoint", "ipc:///x")).bus.endpoint == "ipc:///x"


def test_the_ports_of_all_pages_are_known_to_installed_cameras_only(
    etc: Path, tmp_path: Path
) -> None:
    (etc / "cam0.env").unlink()  # of an older version
    assert view_ports(etc / "cam1.toml", etc) == {"cam0": 8080, "cam1": 8081}
    assert view_ports(tmp_path / "edge.toml", etc) == {}
