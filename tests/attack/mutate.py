"""Damages data in the ways in which disks, networks and attackers damage it."""

from __future__ import annotations

import random

INTERESTING = (b"\x00", b"\xff", b"\x7f", b"\n", b"\x1b[2J", b"\xe2\x80\xae", b"[/x]", b"{" * 9)
NUMBERS = (b"-1", b"0", b"1e308", b"-1e400", b"NaN", b"Infinity", b"9" * 25, b"1099511627776")
DEPTH = 100_000  # deeper than any parser's recursion limit


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four random changes; the result may be empty."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_CHANGES)(data, rng)
    return data


def mutated_text(data: bytes, rng: random.Random) -> bytes:
    """Like `mutated`, with changes that a parser of text is likely to pass on."""
    for _ in range(rng.randint(1, 3)):
        data = rng.choice((*_CHANGES, *_TEXT_CHANGES, *_TEXT_CHANGES))(data, rng)
    return data


def _place(data: bytes, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(min(len(changed), rng.choice((1, 8, 200)))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _zero_block(data: bytes, rng: random.Random) -> bytes:
    start, length = _place(data, rng), rng.choice((1, 512, 4096))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + rng.choice((1, 16, 1024)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    part = data[start : start + rng.choice((8, 256, 4096))]
    return data[:start] + part * rng.randint(2, 4) + data[start:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.choice(INTERESTING) + data[start:]


def _replace_number(data: bytes, rng: random.Random) -> bytes:
    """Replaces one number of a text by an extreme one."""
    starts = [i for i, byte in enumerate(data) if chr(byte).isdigit()]
    if not starts:
        return data
    start = rng.choice(starts)
    end = start
    while end < len(data) and chr(data[end]) in "0123456789.eE+-":
        end += 1
    return data[:start] + rng.choice(NUMBERS) + data[end:]


def _replace_text(data: bytes, rng: random.Random) -> bytes:
    """Replaces the content of one quoted text."""
    quotes = [i for i, byte in enumerate(data) if byte == ord('"')]
    if len(quotes) < 2:
        return data
    first = rng.randrange(len(quotes) - 1)
    value = rng.choice((b"", b"../../../etc/passwd", b"/etc/passwd", b"\\u0000", b"\\u001b[2J",
                        b"[/x]", b"x" * 70_000, b"\\ud800", b"con\\n"))  # fmt: skip
    return data[: quotes[first] + 1] + value + data[quotes[first + 1] :]


def _nest(_: bytes, rng: random.Random) -> bytes:
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"a = [", b"]")))
    return opening * DEPTH + rng.choice((b"", closing * DEPTH))


_CHANGES = (_flip_bits, _truncate, _zero_block, _remove, _repeat, _insert)
_TEXT_CHANGES = (_replace_number, _replace_text, _nest)
