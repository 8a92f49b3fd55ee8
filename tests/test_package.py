"""What the Debian package has beside the program, and the signed repository that apt reads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from edge.cli import COMMANDS, commands
from scripts.package_docs import completion, manual_pages

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("gpg", "apt-ftparchive", "apt-get", "dpkg-deb")
needs_apt = pytest.mark.skipif(
    any(shutil.which(name) is None for name in NEEDED),
    reason="NO gpg or apt-utils: the apt repository was not tested",
)
UNITS = ["edge@", "edge-mqtt@", "edge-notify@", "edge-view@", "edge-prometheus@"]


def test_every_command_has_a_manual_page() -> None:
    pages = dict(manual_pages("1.2.3"))
    assert set(pages) == {"edge", *(f"edge-{name}" for name in COMMANDS)}
    for name, text in pages.items():
        assert text.startswith(f'.TH "{name.upper()}" 1'), name
        assert ".SH NAME" in text
    assert r"\-\-listen" in pages["edge-view"]
    assert "COMMAND MQTT" in pages["edge-bridge"]
    assert "COMMAND NOTIFY" in pages["edge-bridge"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="NO groff: manual pages not checked")
def test_manual_pages_have_no_faults() -> None:
    for name, text in manual_pages("1.2.3"):
        done = subprocess.run(
            ["groff", "-man", "-ww", "-z", "-Kutf8"], input=text, capture_output=True, text=True
        )
        assert done.stderr == "", name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_for_edge(shell: str) -> None:
    assert "_EDGE_COMPLETE" in completion(shell)
    assert isinstance(commands, click.Group)


def test_every_extra_of_the_package_is_locked_for_both_pythons() -> None:
    text = (ROOT / "requirements.run.lock").read_text()
    names = set(re.findall(r"(?m)^([a-z0-9-]+)==", text))
    assert {
        "apprise",
        "astral",
        "paho-mqtt",
        "prometheus-client",
        "starlette",
        "uvicorn",
        "tomlkit",
        "av",
    } <= names
    for block in re.split(r"(?m)^(?=[a-z])", text)[1:]:
        assert "--hash=sha256:" in block, block[:40]


def test_every_dependency_is_explained() -> None:
    text = (ROOT / "docs" / "design" / "dependencies.md").read_text()
    locked = (ROOT / "requirements.run.lock").read_text()
    for name in set(re.findall(r"(?m)^([a-z0-9-]+)==", locked)):
        assert f"`{name}`" in text, name


def package(folder: Path, version: str) -> Path:
    """A small package of this name."""
    root = folder / f"root-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    control = f"Package: edge-trigger\nVersion: {version}\nArchitecture: all\n"
    control += "Maintainer: a <a@example.org>\nDescription: a test\n"
    (root / "DEBIAN/control").write_text(control)
    deb = folder / f"edge-trigger_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--build", root, deb], check=True, capture_output=True)
    return deb


def apt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """apt-get with the repository as its only source, and folders of its own."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    options = {
        "Dir::State": folder / "state", "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache", "Dir::Etc": folder / "etc",
        "Dir::Etc::sourcelist": folder / "edge.list", "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true", "APT::Architecture": "amd64",
    }  # fmt: skip
    set_ = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    environment = {**os.environ, "LANG": "C.UTF-8", "APT_CONFIG": "/dev/null"}
    return subprocess.run(
        ["apt-get", *set_, *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )


@needs_apt
def test_apt_reads_the_signed_repository_and_refuses_a_changed_one(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(keys), "--batch", "--quiet"]
    subprocess.run(
        [*gpg, "--passphrase", "", "--quick-generate-key", "t <t@example.org>"],
        check=True, capture_output=True,
    )  # fmt: skip
    exported = [*gpg, "--armor", "--export-secret-keys"]
    key = subprocess.run(exported, check=True, capture_output=True, text=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(keys), "--kill", "all"], check=False)
    repository, script = tmp_path / "apt", ROOT / "scripts" / "apt-repository"
    debs = [f"{suite}={package(tmp_path, v)}" for suite, v in (("bookworm", "1"), ("trixie", "2"))]
    unsigned = subprocess.run([script, repository, *debs], capture_output=True, text=True)
    assert unsigned.returncode == 1
    assert "EDGE_SIGNING_KEY" in unsigned.stderr
    environment = {**os.environ, "EDGE_SIGNING_KEY": key}
    subprocess.run([script, repository, *debs], check=True, capture_output=True, env=environment)
    source = f"deb [signed-by={repository}/edge-trigger.asc] file:{repository} trixie main\n"
    (tmp_path / "edge.list").write_text(source)
    read = apt(tmp_path, "update")
    assert read.returncode == 0, read.stderr
    assert "edge-trigger (2" in apt(tmp_path, "install", "--simulate", "edge-trigger").stdout
    release = repository / "dists/trixie/InRelease"
    release.write_text(release.read_text().replace("Origin: edge", "Origin: evil"))
    refused = apt(tmp_path, "update")
    assert "BADSIG" in refused.stderr or "not signed" in refused.stderr, refused.stderr


def released(folder: Path, *, changelog: str, version: str, tag: str) -> str:
    """What `scripts/release` says in a small repository."""
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "release", folder / "scripts/release")
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    bin_ = folder / ".git" / "bin"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    commands_ = [["init", "-q"], ["add", "."], ["commit", "-qm", "t"]]
    for words in [*commands_, *([["tag", tag]] if tag else [])]:
        subprocess.run([*git, *words], cwd=folder, check=True, capture_output=True)
    bin_.mkdir()
    (bin_ / "python").symlink_to(shutil.which("python3") or "python3")
    environment = {key: value for key, value in os.environ.items() if key != "EDGE_SIGNING_KEY"}
    done = subprocess.run(
        ["scripts/release", bin_], cwd=folder, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("changelog", "version", "tag", "said"),
    [
        ("## 1.2.3\n", "1.2.3", "", "has no tag"),
        ("## 1.2.3\n", "1.2.2", "v1.2.3", "make them equal"),
        ("## Unreleased\n", "1.2.3", "v1.2.3", "no section"),
        ("## 1.2.3 (2026-11-25)\n", "1.2.3", "v1.2.3", "EDGE_SIGNING_KEY"),
    ],
)
def test_a_release_needs_a_tag_its_version_its_section_and_a_key(
    tmp_path: Path, changelog: str, version: str, tag: str, said: str
) -> None:
    assert said in released(tmp_path, changelog=changelog, version=version, tag=tag)
