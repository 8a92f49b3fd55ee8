"""Every setting is bounded: no file is slow to read or passes a value that stops a daemon."""

from __future__ import annotations

import contextlib
import math
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from edge.config.explain import commented, explain
from edge.config.load import MAX_BYTES, load, loads
from edge.config.schema import MAX_CORNERS, MAX_ROWS, Section, Settings, section_of_list
from edge.errors import ConfigError

FEW = settings(max_examples=50, deadline=None)
FEWER = settings(max_examples=15, deadline=None)  # whole files take longer
SLOW_S = 3.0  # the promise is 1 s on an idle machine
NUMBERS = (math.inf, -math.inf, math.nan, 1e308, -1e308, 2**63, -(2**63), 10**400, 5e-324)


def fields(kind: type[Section] = Settings) -> Iterator[tuple[str, Any]]:
    """Every key of every section with its type."""
    for field in msgspec.structs.fields(kind):
        section = section_of_list(field.type) or field.type
        if isinstance(section, type) and issubclass(section, Section):
            prefix = f"{field.name}[]" if section_of_list(field.type) else field.name
            yield from ((f"{prefix}.{key}", inner) for key, inner in fields(section))
        else:
            yield field.name, field.type


def parts(info: inspect.Type) -> Iterator[inspect.Type]:
    """A type, and the types of its elements."""
    info = info.type if isinstance(info, inspect.Metadata) else info
    yield info
    if isinstance(info, inspect.VarTupleType):
        yield from parts(info.item_type)
    elif isinstance(info, inspect.TupleType):
        for item in info.item_types:
            yield from parts(item)
    elif isinstance(info, inspect.UnionType):
        for one in info.types:
            yield from parts(one)


def test_each_number_has_both_bounds_and_each_list_a_longest_length() -> None:
    numbers = 0
    for key, kind in fields():
        for part in parts(inspect.type_info(kind)):
            if isinstance(part, inspect.IntType | inspect.FloatType):
                numbers += 1
                low = part.ge if part.ge is not None else part.gt
                high = part.le if part.le is not None else part.lt
                assert low is not None, key
                assert high is not None, key
                assert math.isfinite(low), key
                assert math.isfinite(high), key
            if isinstance(part, inspect.VarTupleType):
                assert part.max_length is not None, key
    assert numbers > 60


def test_no_pattern_lets_a_line_end_through() -> None:
    patterns = [
        str(part.pattern)
        for _, kind in fields()
        for part in parts(inspect.type_info(kind))
        if isinstance(part, inspect.StrType) and part.pattern
    ]
    assert len(patterns) >= 6
    assert all(p.startswith(r"\A") and p.endswith(r"\Z") for p in patterns), patterns


@pytest.mark.parametrize("number", NUMBERS)
def test_no_key_takes_an_extreme_number(number: float) -> None:
    for row in explain():
        if "number" not in row.type or "[]" in row.key:
            continue
        lowest_is_open = row.range.startswith("more than 0") or row.range.startswith("from 0 ")
        if number == 5e-324 and lowest_is_open and row.key != "source.fps":
            continue
        with pytest.raises(ConfigError, match=rf"{re.escape(row.key)}: "):
            load(None, {row.key: number})


@pytest.mark.parametrize("text", ["cam\n", "\x00", "a\x1bb", "\x7f", "\u2028", "\x85", "\udc80"])
def test_no_text_takes_control_characters(text: str) -> None:
    tried = 0
    for key, kind in fields():
        whole, *inner = parts(inspect.type_info(kind))
        if not any(isinstance(part, inspect.StrType) for part in (whole, *inner)):
            continue
        tried += 1
        value: object = [text] if isinstance(whole, inspect.VarTupleType) else text
        section, _, name = key.rpartition(".")
        row: dict[str, object] = {"name": "a"}
        if section == "zones[]":
            row["polygon"] = [[0, 0], [1, 0], [1, 1]]
        changes = {section[:-2]: [row | {name: value}]} if section.endswith("[]") else {key: value}
        with pytest.raises(ConfigError, match=re.escape(name)):
            load(None, changes)
    assert tried > 15


def polygon(corners: int) -> str:
    return str([[0.5, 0.5]] * corners)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"[motion]\nmasks = [{polygon(9000)}]", "polygons of 3 to 100"),
        (f'[[zones]]\nname = "z"\npolygon = {polygon(MAX_CORNERS + 1)}', "101 entries found"),
        (f"[motion]\nmasks = [{','.join([polygon(4)] * (MAX_ROWS + 1))}]",
         "33 entries found, expected up to 32"),
        (f"[motion]\nmasks = [{','.join([polygon(MAX_CORNERS)] * 11)}]", "have 1100 corners"),
        (f"[privacy]\nmasks = [{polygon(MAX_CORNERS + 1)}]", "polygons of 3 to 100"),
        (f"[privacy]\nmasks = [{','.join([polygon(4)] * (MAX_ROWS + 1))}]",
         "33 entries found, expected up to 32"),
        (f"[privacy]\nmasks = [{','.join([polygon(MAX_CORNERS)] * 11)}]", "have 1100 corners"),
        ("\n".join(f'[[triggers]]\nname = "r{i}"' for i in range(MAX_ROWS + 1)),
         "33 sections found, expected up to 32"),
        ("[source]\nwidth_px = 8192\nheight_px = 8192", "more than 20_000_000 pixels"),
        ("[source]\nfps = 1e-9", "1e-09 is too slow"),
        (f'[source]\nuri = "{"a" * 5000}"', "expected up to 4096 characters"),
        ('[capture]\ndirectory = "~nobody-of-that-name/x"', "home folder of an unknown user"),
        ("\n".join(f"k{i} = 1" for i in range(1000)), "more problems than are shown"),
    ],
)  # fmt: skip
def test_too_much_is_refused_with_a_sentence(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)) as caught:
        loads(text, Path("edge.toml"))
    assert len(str(caught.value)) < 10_000


SIZE = MAX_BYTES - 100
HOSTILE = {
    "deep array": "a = " + "[" * 5000 + "]" * 5000,
    "deep table": "a = " + "{a = " * 5000 + "1" + "}" * 5000,
    "long array": "a = [" + "0," * 100_000 + "]",
    "megabytes": "#" * 4_000_000,
    "dotted key": ".".join(["a"] * (SIZE // 2)) + " = 1",
    "dotted header": "[" + ".".join(["a"] * (SIZE // 2)) + "]",
    "many keys": "\n".join(f"k{i} = 1" for i in range(SIZE // 11)),
    "many sections": "\n".join(["[[zones]]"] * (SIZE // 10)),
    "spaces after a bracket": 'camera = """\n[' + " " * (SIZE - 40) + '\n"""',
    "hexadecimal digits": "[motion]\nfloor = 0x" + "f" * (SIZE - 30),
    "digits": "[motion]\nfloor = " + "9" * (SIZE - 30),
    "quoted key": '"' + "a" * (SIZE - 20) + '" = 1',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_soon(name: str) -> None:
    start_s = time.monotonic()
    with pytest.raises(ConfigError):
        loads(HOSTILE[name], Path("edge.toml"))
    assert time.monotonic() - start_s < SLOW_S


def test_a_file_that_is_none_is_refused_soon(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(tmp_path / "socket"))
    (tmp_path / "latin1").write_bytes(b'camera = "\xe4"')
    start_s = time.monotonic()
    for path in (
        tmp_path,
        tmp_path / "fifo",
        tmp_path / "socket",
        Path("/dev/zero"),
        Path("/dev/full"),
    ):
        with pytest.raises(ConfigError, match="not a regular file"):
            load(path)
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin1")
    with pytest.raises(ConfigError, match="null"):
        load(Path("a\0b"))
    (tmp_path / "large").write_bytes(b"#" * 5_000_000)
    with pytest.raises(ConfigError, match="larger than 128 kB"):
        load(tmp_path / "large")
    assert time.monotonic() - start_s < SLOW_S
    bound.close()


scalars = (
    st.integers() | st.floats() | st.booleans() | st.text(max_size=20) | st.just(10**30)
    | st.sampled_from(["person", "tcp://*:1", "~", "~x/y", "a\n", "08:00-09:00"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
keys = st.sampled_from(sorted({key.replace("[]", "") for key, _ in fields()} | {"zones", "motion"}))


@FEW
@given(st.text(max_size=300) | st.text(alphabet="[]{}=\".,'#\n \\a1_-", max_size=80))
def test_any_text_gives_settings_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        loads(text, Path("edge.toml"))


@FEW
@given(st.dictionaries(keys, values, max_size=6))
def test_any_values_give_settings_or_a_config_error(overrides: dict[str, object]) -> None:
    with contextlib.suppress(ConfigError):
        load(None, overrides)


@FEWER
@given(st.data())
def test_a_damaged_file_gives_settings_or_a_config_error(data: st.DataObject) -> None:
    text = commented().replace("\n#", "\n")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    text = text[:start] + data.draw(st.text(max_size=10)) + text[end:]
    with contextlib.suppress(ConfigError):
        loads(text, Path("edge.toml"))
