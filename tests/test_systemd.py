"""The units, checked with systemd's own tools. `make test-systemd` boots them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.config.load import load

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


def test_an_instances_configuration_is_valid_and_in_folders_the_service_may_write(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "instance-config", "yard"], capture_output=True, text=True, check=True
    )
    path = tmp_path / "yard.toml"
    path.write_text(done.stdout)
    settings = load(path, {})
    assert settings.camera == "yard"
    assert settings.bus.endpoint == "ipc:///run/edge/yard/bus"
    assert settings.capture.directory == "/var/lib/edge/yard/captures"


def test_installing_keeps_a_configuration(tmp_path: Path) -> None:
    install = [str(ROOT / "scripts" / "install"), str(tmp_path), "/srv/edge"]
    subprocess.run(install, check=True, capture_output=True)
    config = tmp_path / "etc/edge/cam0.toml"
    config.write_text('camera = "mine"\n')
    subprocess.run(install, check=True, capture_output=True)
    assert config.read_text() == 'camera = "mine"\n'
    unit = (tmp_path / "usr/lib/systemd/system/edge@.service").read_text()
    assert "ExecStart=/srv/edge/bin/edge run --config /etc/edge/%i.toml" in unit
    assert (tmp_path / "usr/bin/edge").readlink() == Path("/srv/edge/bin/edge")
