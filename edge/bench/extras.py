"""Packages that only the benchmarks need."""

from __future__ import annotations

import importlib
from typing import Any

from edge.errors import MissingExtraError


def needs(module: str) -> Any:
    """Imports a module of the extra `bench`. Raises MissingExtraError."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError("the benchmark of accuracy", "bench") from error
