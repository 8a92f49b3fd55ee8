"""The only importer of TensorFlow: it takes seconds, so it is imported when first used."""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Any

from edge.errors import MissingExtraError


@cache
def tf() -> Any:
    """The module. Raises MissingExtraError where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return importlib.import_module("tensorflow")
    except ImportError as error:
        raise MissingExtraError(
            "building and training networks", "train", "pip install ./models/mobiledet"
        ) from error


def mixed_precision() -> bool:
    """Turns on 16-bit arithmetic where a GPU is present; whether it did."""
    if not tf().config.list_physical_devices("GPU"):
        return False
    tf().keras.mixed_precision.set_global_policy("mixed_float16")
    return True
