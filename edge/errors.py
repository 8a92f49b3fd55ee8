"""The two kinds of failure: those worth retrying and those that a person must mend.

Every message is one sentence that says what failed, where, and what would be right. It is shown to
the user as it stands, without a traceback.
"""

from __future__ import annotations

EXIT_FAILURE = 1
EXIT_USAGE = 2  # usage and configuration, as click has it


class EdgeError(Exception):
    """Root of all expected failures; `exit_code` is what a command ends with."""

    exit_code = EXIT_FAILURE


class TemporaryError(EdgeError):
    """May pass by itself: retry with back-off, and say so."""


class PermanentError(EdgeError):
    """Won't pass by itself: tell the user and stop."""


class ConfigError(PermanentError):
    """The configuration or the command line is wrong. `problems` holds one sentence each."""

    exit_code = EXIT_USAGE

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else problems
        super().__init__("\n".join(self.problems))


class SourceLostError(TemporaryError):
    """A live source stopped giving frames (camera unplugged, network gone)."""


class SourceError(PermanentError):
    """A source that can't be opened at all: no such file, no camera, not a video."""


class ModelError(PermanentError):
    """A model that is missing, damaged or of an unknown kind."""


class CaptureError(TemporaryError):
    """A capture that couldn't be written: disk full, read-only or not permitted."""


class BusError(PermanentError):
    """An endpoint that can't be bound or connected."""


class MissingExtraError(PermanentError):
    """An optional package isn't installed."""

    def __init__(self, purpose: str, extra: str, hint: str = "") -> None:
        install = hint or f"pip install 'edge-trigger[{extra}]'"
        super().__init__(f"{purpose} needs the extra '{extra}', which is not installed: {install}")
