"""Advice for a person who lacks the permission to use a file or a socket."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path


def cure(path: Path) -> str:
    """The command that gives the permission, by the group of the path or of the folder around it.

    Where a group does not help, the advice is sudo.
    """
    for place in (path, *path.parents):
        try:
            status = place.stat()
        except OSError:
            continue
        group = _group(status.st_gid)
        if not group or status.st_gid in (0, os.getegid(), *os.getgroups()):
            break
        return f"sudo adduser $USER {group}, then log in again"
    return "use sudo"


def owner(path: Path) -> str:
    """The name of the user that a path belongs to; its number if it has no name."""
    number = path.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""
