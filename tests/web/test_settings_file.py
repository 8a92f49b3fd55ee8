"""The configuration file behind the live view: replaced as a whole, or left as it was."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from edge.config.edit import Change, MaskEdit, RuleEdit, ZoneEdit
from edge.config.load import loads
from edge.errors import ConfigError, PermanentError
from edge.runtime.files import PartFile
from edge.web.settings_file import ConflictError, SettingsFile
from tests.support.viewing import CONFIGURATION

ZONES = (ZoneEdit(name="path", was="path", polygon=[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0)]),)
MASKS = (MaskEdit(was=0, polygon=[(0.0, 0.0), (0.2, 0.0), (0.2, 0.1)]),)


def change(**parts: object) -> Change:
    return Change(**{"version": "", "zones": ZONES, "masks": MASKS} | parts)  # type: ignore[arg-type]


def test_a_change_is_saved_and_its_version_is_that_of_the_new_text(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(CONFIGURATION)
    file = SettingsFile(path)
    version = file.save(change(version=file.read()[1], motion={"floor": 20.0}))
    settings, again = file.read()
    assert (settings.motion.floor, again) == (20.0, version)
    assert settings == loads(path.read_text())
    assert [entry.name for entry in tmp_path.iterdir()] == ["edge.toml"]


def test_line_ends_of_another_system_stay(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_bytes(CONFIGURATION.replace("\n", "\r\n").encode())
    file = SettingsFile(path)
    before = path.read_bytes().splitlines(keepends=True)
    file.save(change(version=file.read()[1], motion={"sensitivity": 2.0}, zones=ZONES))
    after = path.read_bytes().splitlines(keepends=True)
    assert b"sensitivity = 2.0  # tuned in spring\r\n" in after
    assert len([line for line in after if line in before]) == len(before) - 2  # the zone's polygon


@pytest.mark.parametrize(
    "parts",
    [
        {"motion": {"floor": 999.0}},
        {"rules": (RuleEdit(name="visitor", was="visitor", zones=("paht",)),)},
        {"masks": (MaskEdit(was=7, polygon=[(0.0, 0.0), (0.2, 0.0), (0.2, 0.1)]),)},
    ],
)
def test_a_wrong_change_leaves_the_file_as_it_was(parts: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(CONFIGURATION)
    file = SettingsFile(path)
    with pytest.raises(ConfigError):
        file.save(change(version=file.read()[1], **parts))
    assert path.read_text() == CONFIGURATION
    assert [entry.name for entry in tmp_path.iterdir()] == ["edge.toml"]


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    with pytest.raises(ConfigError, match=r"edge\.toml: No such file"):
        SettingsFile(path).read()
    path.write_bytes(b"camera = '\xff'")
    with pytest.raises(ConfigError, match=r"edge\.toml: not UTF-8"):
        SettingsFile(path).read()


def test_a_change_by_another_program_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(CONFIGURATION)
    file = SettingsFile(path)
    _, version = file.read()
    path.write_text(CONFIGURATION + "# and the door\n")
    with pytest.raises(ConflictError, match="has been changed since the page read it"):
        file.save(change(version=version, zones=()))
    assert path.read_text() == CONFIGURATION + "# and the door\n"
    _, version = file.read()
    again = file.save(change(version=version, zones=()))
    assert path.read_text().endswith("# and the door\n")
    assert file.read()[1] == again


def test_mode_owner_and_a_link_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "real.toml", tmp_path / "edge.toml"
    path.write_text(CONFIGURATION)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    link.symlink_to("real.toml")
    before = path.stat()
    file = SettingsFile(link)
    file.save(change(version=file.read()[1], zones=()))
    after = path.stat()
    assert link.is_symlink()
    assert after.st_ino != before.st_ino
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert loads(path.read_text()).zones == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: files can't be given away")
def test_a_member_of_the_files_group_keeps_the_group() -> None:
    """Runs as another user, in a process of its own; pytest's folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        path = Path(folder) / "edge.toml"
        path.write_text(CONFIGURATION)
        os.chown(path, 0, 2345)
        path.chmod(0o664)
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([2345])
                os.setresgid(1234, 1234, 1234)
                os.setresuid(1234, 1234, 1234)
                file = SettingsFile(path)
                file.save(change(version=file.read()[1], zones=()))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        after = path.stat()
        assert loads(path.read_text()).zones == ()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (1234, 2345, 0o664)


def test_a_file_that_cannot_be_replaced_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(CONFIGURATION)
    other = PartFile(path)  # another live view is writing it
    file = SettingsFile(path)
    wanted = change(version=file.read()[1], zones=())
    with pytest.raises(PermanentError, match=r"edge\.toml can't be written"):
        file.save(wanted)
    other.discard()
    assert path.read_text() == CONFIGURATION
