"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from pathlib import Path

import pytest

# Compiled modules are kept for the processes that tests start and for the next run, also where
# the environment would have each process compile them again, as images of containers do.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A shell starts what it runs in the background with SIGINT ignored, and processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
# What `make check` runs: files and folders of tests that start no daemon and play no footage.
FAST = [
    ROOT / "tests" / name
    for name in (
        "bus/test_stored.py", "config", "runtime", "test_house_rules.py", "test_layers.py",
        "vision/test_flow.py", "vision/test_geometry.py", "vision/test_motion.py",
        "vision/test_picture.py", "vision/test_regions.py", "vision/test_scheduler.py",
        "vision/test_tracker.py", "vision/test_triggers.py",
    )
]  # fmt: skip

# Files that take longest run first, so that none of them is left alone at the end.
LONGEST = [
    ROOT / "tests" / name
    for name in (
        "mobiledet/test_train_fit.py", "mobiledet/test_train_commands.py",
        "mobiledet/test_train_zoo.py", "mobiledet/test_train_network.py",
        "bridges/test_mqtt.py", "web/test_browser.py", "test_attack.py", "daemon/test_daemon.py",
        "web/test_page.py", "test_faults.py", "bus/test_control.py", "bench/test_bench.py",
        "daemon/test_lifetime.py", "web/test_web.py", "mobiledet/test_train_distill.py",
        "daemon/test_waiting.py", "daemon/test_resized_streams.py", "daemon/test_service.py",
        "mobiledet/test_train_harvest.py", "daemon/test_privacy.py", "vision/test_pets.py",
    )
]  # fmt: skip


@cache
def _is_fast(path: Path) -> bool:
    return any(path.is_relative_to(name) for name in FAST)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m fast`, other files are not even imported."""
    if config.option.markexpr == "fast" and collection_path.is_file():
        return not _is_fast(collection_path) or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {path: number for number, path in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(LONGEST)))
    for item in items:
        if _is_fast(item.path):
            item.add_marker(pytest.mark.fast)


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
