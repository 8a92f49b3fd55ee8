"""The shell scripts: their syntax, and that the files, modules and tests they name exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FAST

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(
    path
    for path in (ROOT / "scripts").rglob("*")
    if path.is_file() and path.suffix not in {".py", ".c", ".pyc"}
)
FILE = re.compile(
    r"(?<![\w/$}.-])(?:\.\./\.\./)?"
    r"((?:docs|edge|models|scripts|systemd|tests)/[\w@./-]*\w|requirements(?:\.run)?\.lock)"
)
MODULE = re.compile(r"-m (tests\.[\w.]+)")
PI_MODULES = sorted(path.stem for path in (ROOT / "tests" / "pi").glob("[a-z]*.py"))


def left_out() -> list[str]:
    """The lines of the tests that `make test-arm64` leaves out."""
    text = (ROOT / "scripts" / "pi" / "test-arm64").read_text()
    match = re.search(r'^left_out="\n(.*?)^"', text, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match.group(1).splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_shell_can_parse_a_script(script: Path) -> None:
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_only_scripts_that_are_read_by_others_are_not_executable(script: Path) -> None:
    read = {"systemd-proofs", "test-systemd-inside", "test-arm64-inside", "lintian-overrides"}
    assert os.access(script, os.X_OK) or script.name in read


def test_files_named_in_scripts_exist() -> None:
    named = {name for script in SCRIPTS for name in FILE.findall(script.read_text())}
    assert {"tests/pi", "requirements.run.lock", "scripts/install"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_modules_run_by_scripts_exist() -> None:
    named = {name for script in SCRIPTS for name in MODULE.findall(script.read_text())}
    assert "tests.pi.check" in named
    assert {name.removeprefix("tests.pi.") for name in named} <= set(PI_MODULES)


def test_the_programs_for_a_pi_import_what_exists() -> None:
    """They run in other roots only, where pytest does not collect them."""
    assert "check" in PI_MODULES
    script = f"import {', '.join(f'tests.pi.{name}' for name in PI_MODULES)}"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tests_left_out_on_aarch64_exist() -> None:
    lines = left_out()
    names = [name for line in lines if " or " in line for name in line.strip().split(" or ")]
    files = [word for line in lines for word in line.split() if word.startswith("tests/")]
    assert len(names) >= 5
    assert len(files) >= 5
    assert [file for file in files if not (ROOT / file).is_file()] == []
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in names if not re.search(rf"def test_\w*{name}", source)] == []


def test_the_fast_part_names_what_exists() -> None:
    assert [str(path) for path in FAST if not path.exists()] == []


@pytest.mark.parametrize(("reason", "code"), [("RCLONE TOO OLD: x", 0), ("NOT WRITTEN YET", 1)])
def test_ci_fails_on_a_skip_that_is_not_listed(tmp_path: Path, reason: str, code: int) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(f"import pytest\n\ndef test_it():\n    pytest.skip({reason!r})\n")
    words = ["-p", "tests.support.no_skips", "-p", "no:cacheprovider", "-c", "/dev/null", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout
    assert ("SKIPPED WITHOUT LEAVE" in done.stdout) == bool(code)
