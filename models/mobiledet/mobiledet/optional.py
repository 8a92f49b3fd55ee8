"""Imports packages that only training needs, or reports that they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from edge.errors import PermanentError


def import_for(purpose: str, module: str, package: str) -> ModuleType:
    """Imports `module` of `package`. Raises PermanentError if the package is not installed.

    purpose: the reason for the import; the error's sentence begins with it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PermanentError(
            f"{purpose} needs {package}, which is not installed: on an x86-64 PC with Linux, "
            "run pip install ./models/mobiledet in the checkout"
        ) from error
