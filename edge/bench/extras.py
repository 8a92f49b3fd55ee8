"""What only the benchmarks need."""

from __future__ import annotations

import importlib
from typing import Any

from edge.errors import PermanentError


def needs(module: str) -> Any:
    """A module of the extra `bench`. Raises PermanentError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PermanentError(
            f"{module.split('.')[0]} is not installed: pip install 'edge-trigger[bench]'"
        ) from error
