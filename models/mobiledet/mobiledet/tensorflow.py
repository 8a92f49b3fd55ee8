"""The only importer of TensorFlow. The import takes seconds, so it happens at first use."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from edge.runtime.native_stderr import without_lines
from mobiledet.optional import import_for

# TF_CPP_MIN_LOG_LEVEL does not apply to information that TensorFlow logs while it is imported.
CHATTER = b"WARNING: All log messages before absl::InitializeLog()", b"I0000 00:00:"


@cache
def tf() -> Any:
    """The module `tensorflow`. Raises PermanentError if it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras 3 on TensorFlow, whatever a user's other programs have set.
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}
    with without_lines(*CHATTER):
        return import_for("building and training networks", "tensorflow", "TensorFlow")


def tflite_schema() -> Any:
    """The classes of TensorFlow's schema of model files. Raises PermanentError."""
    tf()
    return import_for(
        "reading a model's weights", "tensorflow.lite.python.schema_py_generated", "TensorFlow"
    )


def mixed_precision() -> bool:
    """Switches to 16-bit arithmetic if TensorFlow detects a GPU. Returns whether it does."""
    if not tf().config.list_physical_devices("GPU"):
        return False
    tf().keras.mixed_precision.set_global_policy("mixed_float16")
    return True
