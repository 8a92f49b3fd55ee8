"""The only importer of TensorFlow. The import takes seconds, so it happens at first use."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from mobiledet.optional import import_for


@cache
def tf() -> Any:
    """The module `tensorflow`. Raises PermanentError if it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras 3 on TensorFlow, whatever a user's other programs have set.
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}
    return import_for("building and training networks", "tensorflow", "TensorFlow")


def mixed_precision() -> bool:
    """Switches to 16-bit arithmetic if TensorFlow detects a GPU. Returns whether it does."""
    if not tf().config.list_physical_devices("GPU"):
        return False
    tf().keras.mixed_precision.set_global_policy("mixed_float16")
    return True
