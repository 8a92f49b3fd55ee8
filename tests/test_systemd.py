"""The units, checked with systemd's own tools. `make test-systemd` boots them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNITS = sorted((ROOT / "systemd").glob("*.service"))
UNIT = ROOT / "systemd" / "edge@.service"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="NO systemd-analyze: the units were not checked"
)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def warnings(unit: Path, tmp_path: Path, addition: str = "") -> str:
    """The warnings of systemd-analyze, which exits 0, about the instance of a unit for cam0."""
    instance = tmp_path / unit.name.replace("@", "@cam0")
    text = unit.read_text().replace("/opt/edge/bin/edge", "/bin/true")
    instance.write_text(text.replace("[Service]\n", f"[Service]\n{addition}"))
    printed = analyze("verify", instance).stderr
    return "\n".join(line for line in printed.splitlines() if instance.stem in line)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_has_no_key_that_systemd_does_not_know(unit: Path, tmp_path: Path) -> None:
    assert warnings(unit, tmp_path) == ""
    assert "Nonsense" in warnings(unit, tmp_path, "Nonsense=1\n")


@needs_systemd
def test_exposure_is_low(tmp_path: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=15", UNIT)
    assert done.returncode == 0, done.stdout[-200:]
    weak = tmp_path / "edge@.service"
    weak.write_text(re.sub(r"(?m)^(Protect|Restrict|SystemCall|Capab).*$", "", UNIT.read_text()))
    assert analyze("security", "--offline=true", "--threshold=15", weak).returncode != 0


@needs_systemd
@pytest.mark.parametrize("name", ["edge-mqtt", "edge-notify", "edge-view", "edge-prometheus"])
def test_the_other_services_are_as_little_exposed(name: str) -> None:
    unit = ROOT / "systemd" / f"{name}@.service"
    done = analyze("security", "--offline=true", "--threshold=20", unit)
    assert done.returncode == 0, done.stdout[-200:]


def test_installing_copies_every_unit_and_keeps_a_configuration(tmp_path: Path) -> None:
    install = [str(ROOT / "scripts" / "install"), str(tmp_path), "/srv/edge"]
    config = tmp_path / "etc/edge/cam0.toml"
    config.parent.mkdir(parents=True)
    config.write_text('camera = "mine"\n')
    subprocess.run(install, check=True, capture_output=True)
    assert config.read_text() == 'camera = "mine"\n'
    for unit in UNITS:
        installed = (tmp_path / "usr/lib/systemd/system" / unit.name).read_text()
        assert "/opt/edge" not in installed
    text = (tmp_path / "usr/lib/systemd/system/edge@.service").read_text()
    assert "ExecStart=/srv/edge/bin/edge run --config /etc/edge/%i.toml" in text
    assert (tmp_path / "usr/bin/edge").readlink() == Path("/srv/edge/bin/edge")
