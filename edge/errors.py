"""The two kinds of failure: those to retry, and those that a person must fix.

Each message is one sentence: what failed, where, and what to do. It is shown to the user as it is,
without a traceback.
"""

from __future__ import annotations

__all__ = [
    "EXIT_FAILURE",
    "EXIT_USAGE",
    "BusError",
    "CaptureError",
    "ConfigError",
    "EdgeError",
    "MissingExtraError",
    "ModelError",
    "PermanentError",
    "SourceError",
    "SourceLostError",
    "TemporaryError",
    "UploadError",
]

EXIT_FAILURE = 1
EXIT_USAGE = 2  # wrong usage or configuration; click's exit code too


class EdgeError(Exception):
    """Base of all expected failures. exit_code: of a command that ends with it."""

    exit_code = EXIT_FAILURE


class TemporaryError(EdgeError):
    """A failure that may pass: report it and retry with increasing delays."""


class PermanentError(EdgeError):
    """A failure that a person must fix: report it and stop."""


class ConfigError(PermanentError):
    """The configuration or the command line is wrong. problems: one sentence each."""

    exit_code = EXIT_USAGE

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else problems
        super().__init__("\n".join(self.problems))


class SourceLostError(TemporaryError):
    """A live source stopped giving frames (camera unplugged, network down)."""


class SourceError(PermanentError):
    """A source that can't be opened: no such file, no camera, not a video."""


class ModelError(PermanentError):
    """A model that is missing, damaged or of an unsupported kind."""


class CaptureError(TemporaryError):
    """A capture that couldn't be written: disk full, read-only or not permitted."""


class UploadError(TemporaryError):
    """Captures that could not be uploaded, or whose upload could not be confirmed."""


class BusError(PermanentError):
    """An endpoint that can't be bound or connected, or a key that can't be used."""


class MissingExtraError(PermanentError):
    """An optional package is not installed."""

    def __init__(self, purpose: str, extra: str, hint: str = "") -> None:
        """hint: the command that installs it, if that is not pip."""
        install = hint or f"pip install 'edge-trigger[{extra}]'"
        super().__init__(f"{purpose} needs the extra '{extra}', which is not installed: {install}")
