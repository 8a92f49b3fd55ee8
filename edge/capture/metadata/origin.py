"""The facts that all captures of one run of the daemon have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from edge import __version__
from edge.config.schema import SiteSettings

SOFTWARE: Final = f"edge-trigger {__version__}"


@dataclass(frozen=True, slots=True)
class Origin:
    """model: its name. model_sha256: of its flatbuffer, in hexadecimal digits.

    boot_id: of the daemon, in whose run a track id is unique. board: of the computer, as the kernel
    names it. Each is empty if it is not known.
    """

    model: str = ""
    model_sha256: str = ""
    boot_id: str = ""
    board: str = ""
    site: SiteSettings = field(default_factory=SiteSettings)


UNKNOWN: Final = Origin()
