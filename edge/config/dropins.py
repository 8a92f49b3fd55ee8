"""Drop-in files: parts of a configuration that many cameras share, or that a package installs.

For `/etc/edge/cam0.toml` these are `/etc/edge/edge.d/*.toml` for all cameras of the machine, and
then `/etc/edge/cam0.d/*.toml` for this one, each in the order of their names. Later ones override.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import ConfigError

SHARED = "edge.d"
MAX_FILES = 32  # of one configuration; each may have the size of a whole one


def drop_ins(path: Path) -> list[Path]:
    """The drop-ins of a configuration file in the order of reading. Raises ConfigError."""
    if not path.stem:
        return []
    folders = dict.fromkeys((path.with_name(SHARED), path.with_name(f"{path.stem}.d")))
    found = [file for folder in folders for file in _files(folder)]
    if len(found) > MAX_FILES:
        raise ConfigError(
            f"{path.parent}: {len(found)} drop-ins for {path.name}, expected up to {MAX_FILES}"
        )
    return found


def merge(document: dict[str, Any], later: Mapping[str, Any]) -> None:
    """Puts a later file into the document: sections key by key, all other values as a whole."""
    for key, value in later.items():
        before = document.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            merge(before, value)
        else:
            document[key] = value


def _files(folder: Path) -> list[Path]:
    try:
        names = [entry for entry in folder.iterdir() if entry.suffix == ".toml"]
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: NUL in the path
        return []
    except OSError as error:
        raise ConfigError(f"configuration {folder}: {error.strerror}") from error
    return sorted(file for file in names if not file.name.startswith("."))
