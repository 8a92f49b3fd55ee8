"""Fixtures shared by the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def _shared(folder: str) -> Path:
    path = SHARED / folder
    if not path.is_dir():
        pytest.skip(f"REAL DATA ABSENT: {path} does not exist; this test was not run")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real footage with ground truth; skips where it is absent."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Programs that disturb a process, such as a clock that jumps; skips where they are absent."""
    return _shared("cases")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The official COCO model's archive; skips where it is absent."""
    return _shared("models")
