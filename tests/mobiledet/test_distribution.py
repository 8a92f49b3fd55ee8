"""Two distributions: the daemon's carries no training code, and training has its own lock."""

from __future__ import annotations

import configparser
import hashlib
import itertools
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ROOT / "models/mobiledet"
TRAINING_ONLY = ("mobiledet", "tensorflow", "pycocotools", "edge-train")


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def name_of(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None, requirement
    return match.group().lower()


def wheel(folder: Path, out: Path) -> zipfile.ZipFile:
    """Builds the distribution in `folder` without network access."""
    pytest.importorskip("hatchling", reason="HATCHLING ABSENT: no wheel was built")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def scripts(archive: zipfile.ZipFile) -> set[str]:
    (member,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    parser = configparser.ConfigParser()
    parser.read_string(archive.read(member).decode())
    return set(parser["console_scripts"])


def metadata(archive: zipfile.ZipFile) -> list[str]:
    """The lines that name requirements and extras."""
    (member,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
    lines = archive.read(member).decode().splitlines()
    return [line for line in lines if line.startswith(("Requires-Dist:", "Provides-Extra:"))]


def test_the_daemons_project_names_no_training_code() -> None:
    daemon = project(ROOT)
    assert daemon["project"]["scripts"].keys() == {"edge"}
    extras = daemon["project"]["optional-dependencies"]
    assert "train" not in extras
    rows = [*daemon["project"]["dependencies"], *itertools.chain(*extras.values())]
    assert len(rows) > 10
    assert not [row for row in rows if name_of(row).startswith(TRAINING_ONLY)]
    (target,) = daemon["tool"]["hatch"]["build"]["targets"].values()
    assert target["packages"] == ["edge"]
    included = {Path(source).suffix for source in target["force-include"]}
    assert included == {".toml", ".tflite"}


def test_the_daemon_imports_no_training_code() -> None:
    modules = sorted((ROOT / "edge").rglob("*.py"))
    assert len(modules) > 50
    imports = re.compile(r"^\s*(?:import|from)\s+(?:mobiledet|tensorflow|pycocotools)\b", re.M)
    assert [path for path in modules if imports.search(path.read_text())] == []


def test_the_daemons_wheel_holds_the_models_and_no_training_code(tmp_path: Path) -> None:
    with wheel(ROOT, tmp_path) as archive:
        names = archive.namelist()
        assert scripts(archive) == {"edge"}
        described = "\n".join(metadata(archive)).lower()
        assert not [word for word in TRAINING_ONLY if word in described]
        models = [name for name in names if name.endswith(".tflite")]
        rows = [
            f"{hashlib.sha256(archive.read(name)).hexdigest()}  {Path(name).name}"
            for name in models
        ]
        assert sorted(rows) == sorted((ROOT / "models/SHA256SUMS").read_text().splitlines())
        assert len(models) == 2
    assert "edge/cli.py" in names
    assert {name.split("/")[0] for name in names} == {"edge", names[-1].split("/")[0]}
    assert not [name for name in names if any(word in name for word in TRAINING_ONLY)]


def test_the_training_wheel_holds_the_command_and_its_page(tmp_path: Path) -> None:
    with wheel(TRAINING, tmp_path) as archive:
        names = archive.namelist()
        assert scripts(archive) == {"edge-train"}
        assert "Requires-Dist: edge-trigger" in metadata(archive)
    assert {"mobiledet/cli.py", "mobiledet/harvest/sheet.html"} <= set(names)
    assert not [name for name in names if name.startswith("edge/")]


def test_the_training_lock_holds_all_but_the_checkouts_own_packages() -> None:
    text = (TRAINING / "requirements.lock").read_text()
    locked = {name_of(line) for line in text.splitlines() if re.match(r"\w", line)}
    training, daemon = project(TRAINING)["project"], project(ROOT)["project"]
    wanted = [*training["dependencies"], *training["optional-dependencies"]["test"]]
    wanted += [row for row in daemon["dependencies"] if "python_version >= '3.12'" not in row]
    assert {name_of(requirement) for requirement in wanted} - {"edge-trigger"} <= locked
    assert not locked & {"edge-trigger", "mobiledet"}
    assert "://" not in text
    assert "--index" not in text
