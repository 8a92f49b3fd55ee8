"""Edge inference for camera triggering: frame differencing proposes, a small SSD decides."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edge-trigger")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
