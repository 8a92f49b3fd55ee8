from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.capture.naming import (
    folder_of,
    free_stem,
    in_order,
    is_stem,
    sanitized,
    stem_of,
    time_in,
)
from edge.config.load import loads
from edge.config.schema import CaptureSettings
from edge.errors import ConfigError
from edge.runtime.files import part_of
from tests.support.captures import WALL_NS

PATTERN = CaptureSettings().name_pattern
STEM = "cam0_20260101T115959.250Z_person_4"
OLD = "125959.250_person_7"


def stem(pattern: str = PATTERN, wall_ns: int = WALL_NS, **parts: Any) -> str:
    given: dict[str, Any] = {
        "camera": "cam0",
        "deployment": "spring 26",
        "rule": "person",
        "number": 4,
    }
    return stem_of(pattern, wall_ns, **(given | parts))


def test_the_folder_is_the_local_day_and_the_name_is_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # UTC+14: already tomorrow
    time.tzset()
    try:
        folder = folder_of(tmp_path, "cam0", WALL_NS)
        assert folder == tmp_path / "cam0" / "2026-01-02"
        assert stem() == STEM
        local = "{deployment}-{local}.{number}-{camera}"
        assert stem(local) == "spring-26-20260102T015959.250+1400.4-cam0"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "taken", ["{}.jpg", "{}.mp4", "{}.json", ".{}.mp4.edge-part", ".{}.jpg.edge-part"]
)
def test_a_name_that_is_taken_in_any_form_is_not_used_again(tmp_path: Path, taken: str) -> None:
    first = free_stem(tmp_path, STEM)
    assert first == STEM
    (tmp_path / taken.format(first)).write_bytes(b"")
    second = free_stem(tmp_path, STEM)
    assert second == f"{first}-2"
    (tmp_path / taken.format(second)).write_bytes(b"")
    assert free_stem(tmp_path, STEM) == f"{first}-3"


def test_both_forms_of_names_are_known_and_have_their_time() -> None:
    assert is_stem(STEM)
    assert is_stem(OLD)
    assert not is_stem("package")
    assert not is_stem("20260101_person")
    expected = datetime(2026, 1, 1, 11, 59, 59, 250_000, UTC)
    assert time_in("2026-01-01", STEM) == expected
    assert time_in("2026-01-01", stem("{local}_{number}_{camera}")) == expected
    assert time_in("2026-01-01", OLD) == datetime(2026, 1, 1, 12, 59, 59).astimezone()
    assert time_in("2026-01-01", "cam0_20261301T115959.250Z_person_4") is None
    assert time_in("2026-01-01", "hello") is None


def test_names_are_ordered_by_time_whatever_they_begin_with() -> None:
    times = [WALL_NS + n * 10**9 for n in range(12)]
    names = [stem("{number}_{camera}_{utc}", ns, number=n) for n, ns in enumerate(times)]
    assert in_order(sorted(names)) == names
    assert sorted(names) != names
    assert in_order(["0" + STEM, OLD, "005959.250_person_7"]) == [
        "005959.250_person_7", OLD, "0" + STEM
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{camera}_{utc}_{rule}", "{number} is missing, so that names would not be unique; add it"),
        ("{camera}_{number}", "{utc} or {local} is missing"),
        ("{utc}_{number}", "{camera} is missing"),
        ("{camera}_{utc}_{local}_{number}", "use only {utc} or {local}"),
        ("{camera}_{utc}_{number}_{number}", "{number} is there twice; remove one"),
        ("{camera}_{utc}_{number}_{day}", "there is no part {day}; the parts are {camera}, "),
        *(
            (
                f"{{camera}}_{{utc}}{mark}{{number}}",
                "expected a name of letters",
            )
            for mark in ':/\\?*"<>|{} '
        ),
        (".{camera}_{utc}_{number}", "expected a name of letters"),
        ("{camera}_{utc!r}_{number}", "expected a name of letters"),
        ("{camera}_{utc}_{number}" + "x" * 60, "up to 70 characters"),
    ],
)
def test_a_pattern_that_is_not_unique_or_not_legal_everywhere_is_refused(
    pattern: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loads("", overrides={"capture.name_pattern": pattern})
    assert problem in str(caught.value)


def test_the_longest_name_fits_into_any_file_system() -> None:
    pattern = "{camera}{deployment}{local}{rule}{number}"
    pattern += "x" * (70 - len(pattern))
    assert loads("", overrides={"capture.name_pattern": pattern})
    long = "n" * 64
    name = stem(pattern, camera=long, deployment=long, rule=long, number=2**40)
    assert len(part_of(Path(f"{name}-999.json")).name) <= 255


@pytest.mark.parametrize("name", ["../../etc", "a/b", "ü b", "", "x" * 300, ".", "a\0b\n"])
def test_no_name_leaves_its_folder(name: str) -> None:
    safe = sanitized(name)
    assert os.path.basename(safe) == safe  # noqa: PTH119
    assert safe not in ("", ".", "..")
    assert len(safe) <= 64
