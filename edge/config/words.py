"""Types, ranges and values of keys in the words that errors and the reference share."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

# Beginnings of type names that take no "a" before them.
NO_ARTICLE = ("true", "one of", "auto", "ipc:")


def type_words(kind: Any) -> str:
    """A type in plain words: the title of its annotation, otherwise a general term."""
    info = inspect.type_info(kind)
    if isinstance(info, inspect.Metadata):
        if title := (info.extra_json_schema or {}).get("title"):
            return str(title)
        info = info.type
    match _present(info):
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "whole number"
        case inspect.FloatType():
            return "number"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case inspect.VarTupleType(item_type=inspect.LiteralType(values=values), min_length=least):
            return ("non-empty " if least else "") + "list of " + ", ".join(map(str, values))
        case inspect.VarTupleType():
            return "list of strings"
        case _:
            return "string"


def range_words(kind: Any) -> str:
    """The limits of a number, such as "from 1 to 255", or of a list; empty without limits."""
    info = inspect.type_info(kind)
    bare = _present(info.type if isinstance(info, inspect.Metadata) else info)
    if isinstance(bare, inspect.VarTupleType) and not isinstance(
        bare.item_type, inspect.LiteralType | inspect.TupleType
    ):
        return "" if bare.max_length is None else f"up to {bare.max_length} entries"
    if not isinstance(bare, inspect.IntType | inspect.FloatType):
        return ""
    if bare.ge is not None and bare.le is not None:
        return f"from {_number(bare.ge)} to {_number(bare.le)}"
    limits = (("at least", bare.ge), ("more than", bare.gt), ("at most", bare.le))
    return " and ".join(f"{words} {_number(limit)}" for words, limit in limits if limit is not None)


def _present(info: inspect.Type) -> inspect.Type:
    """The type of a key that may be absent, without None; any other type as it is."""
    if isinstance(info, inspect.UnionType):
        (info,) = (one for one in info.types if not isinstance(one, inspect.NoneType))
        return info.type if isinstance(info, inspect.Metadata) else info
    return info


def _number(limit: float) -> str:
    """A limit as TOML has it: large whole numbers with _ between thousands."""
    return f"{int(limit):_}" if limit >= 1e6 and limit == int(limit) else f"{limit:g}"


def most_entries(kind: Any) -> float:
    """The largest number of entries of a list; infinity for other types."""
    info = inspect.type_info(kind)
    bare = info.type if isinstance(info, inspect.Metadata) else info
    most = bare.max_length if isinstance(bare, inspect.VarTupleType) else None
    return math.inf if most is None else most


def expected_words(kind: Any) -> str:
    """Type and range (of a number) with an article, to follow "expected" in an error."""
    limits = range_words(kind)
    limits = "" if limits.endswith("entries") else limits
    words = " ".join(filter(None, (type_words(kind), limits)))
    return words if words.startswith(NO_ARTICLE) else f"a {words}"


def description(kind: Any) -> str:
    """The description in the annotation of a key."""
    info = inspect.type_info(kind)
    schema = info.extra_json_schema if isinstance(info, inspect.Metadata) else None
    return str((schema or {}).get("description", ""))


def toml_value(value: object) -> str:
    """A TOML value. Strings are encoded as JSON, whose strings are valid in TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case _:
            return str(value)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names as the end of an error; empty if none is similar."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
