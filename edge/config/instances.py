"""Which configuration a command reads: a file that is named, the working folder's, or a service's.

The order is: `--config`, `--camera` (an installed instance), `$EDGE_CONFIG`, `./edge.toml`,
`/etc/edge/edge.toml`, and the only instance in `/etc/edge`.
"""

from __future__ import annotations

from pathlib import Path

from edge.config.load import default_path
from edge.errors import ConfigError

INSTALLED = Path("/etc/edge")  # `edge@NAME` runs with NAME.toml of this folder


def instances(folder: Path | None = None) -> dict[str, Path]:
    """Names and files of the installed instances; empty if nothing is installed or readable."""
    try:
        files = sorted((folder or INSTALLED).glob("*.toml"))
    except OSError:
        return {}
    return {file.stem: file for file in files}


def find(camera: str | None = None, folder: Path | None = None) -> Path | None:
    """The file of a service that runs here; None if nothing is configured.

    camera: the name of an installed instance, which goes before all other places. Raises
    ConfigError for an unknown name, and for several instances without a name.
    """
    installed = instances(folder)
    if camera is not None:
        if camera not in installed:
            known = f"; installed: {', '.join(installed)}" if installed else ""
            raise ConfigError(
                f"--camera {camera}: {folder or INSTALLED} has no {camera}.toml{known}"
            )
        return installed[camera]
    if (path := default_path()) is not None:
        return path
    if len(installed) > 1:
        names = ", ".join(installed)
        first = next(iter(installed))
        raise ConfigError(
            f"several cameras are installed ({names}): choose one, for example --camera {first}"
        )
    return next(iter(installed.values()), None)
