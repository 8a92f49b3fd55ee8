"""Whether a daemon listens at an endpoint, found out at once instead of by waiting for a reply."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

from edge.errors import BusError
from edge.runtime.permission import cure

CONNECT_S = 0.8  # a refusal comes at once; a slow network is left to the command's own limit


def listens(endpoint: str) -> bool:
    """False if nobody listens there; true if somebody does, or if that can't be found out.

    Raises BusError if this user may not connect.
    """
    if endpoint.startswith("ipc://"):
        return _listens_ipc(Path(endpoint.removeprefix("ipc://")))
    if endpoint.startswith("tcp://"):
        return _listens_tcp(endpoint)
    return True


def require(endpoint: str) -> None:
    """Raises BusError if no daemon listens there or this user may not connect."""
    if not listens(endpoint):
        raise BusError(
            f"no daemon listens at {endpoint}: start it, or choose another one with --camera, "
            "--config or --endpoint"
        )


def _listens_ipc(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except PermissionError as error:
            raise BusError(f"ipc://{path}: permission denied: {cure(path)}") from error
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except (OSError, ValueError):  # a full queue; a path that the command itself will refuse
            return True
    return True


def _listens_tcp(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        host = "127.0.0.1" if parts.hostname in (None, "*") else str(parts.hostname)
        with socket.create_connection((host, parts.port or 0), CONNECT_S):
            return True
    except ConnectionRefusedError:
        return False
    except (OSError, ValueError):
        return True
