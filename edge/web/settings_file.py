"""The configuration file that the page edits: read, compared and replaced as a whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edge.config.edit import Change, edited, with_mute, without_mutes
from edge.config.load import loads, read
from edge.config.schema import Mute, Settings
from edge.errors import PermanentError, TemporaryError
from edge.runtime.files import PartFile, explain

VERSION_DIGITS = 16  # of SHA-256's 64: they detect every change by a person or a program


class ConflictError(TemporaryError):
    """The file was changed by another program since it was read."""


class SettingsFile:
    """One configuration file, read again on each call. Use it from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Settings, str]:
        """The settings in the file and the version of its text. Raises ConfigError."""
        text = self._text()
        return loads(text, self.path), _version(text)

    def save(self, change: Change) -> str:
        """Makes the change in the file and returns the new version.

        On an error the file is unchanged. Raises ConfigError with every problem, ConflictError, or
        PermanentError if the file can't be written.
        """
        text = self._text_of(change.version)
        return self._write(text, edited(text, change, self.path))

    def mute(self, mute: Mute, version: str | None = None) -> str:
        """Adds a muted place. Returns and raises as `save`.

        version: of the file that it is based on; None takes the present file.
        """
        text = self._text_of(version)
        return self._write(text, with_mute(text, mute, self.path))

    def unmute(self, gone: Sequence[Mute], version: str | None = None) -> str:
        """Removes these muted places, as `mute` adds one."""
        text = self._text_of(version)
        return self._write(text, without_mutes(text, gone, self.path))

    def _write(self, text: str, new: str) -> str:
        if new != text:
            self._replace(new)
        return _version(new)

    def _text_of(self, version: str | None) -> str:
        """The present text. Raises ConflictError if it has another version."""
        text = self._text()
        if version not in (None, _version(text)):
            raise ConflictError(
                f"{self.path} has been changed since the page read it: load it again"
            )
        return text

    def _text(self) -> str:
        return read(self.path, newline="")

    def _replace(self, text: str) -> None:
        """Writes a temporary file and renames it. Owner, mode and symbolic links are kept."""
        final = self.path.resolve()
        try:
            part = PartFile(final)
            try:
                _keep_owner(part.path, final.stat())
                shutil.copymode(final, part.path)
                part.write(text.encode())
                part.publish(replace=True)
            except OSError:
                part.discard()
                raise
        except OSError as error:
            raise PermanentError(f"{final} can't be written: {explain(error)}") from error


def _keep_owner(path: Path, before: os.stat_result) -> None:
    """Sets owner and group; if that is not permitted, the group; otherwise neither."""
    for uid in (before.st_uid, -1):
        with suppress(PermissionError):
            os.chown(path, uid, before.st_gid)
            return


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS]
