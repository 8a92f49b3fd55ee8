"""Reads and writes CURVE certificates in a folder, and admits clients by them.

    keys/server.key          the daemon's public key; its clients need it
    keys/server.key_secret   the daemon's secret key, readable by the daemon only (mode 0600)
    keys/allowed/NAME.key    the public key of each client that may connect

The files have the format of `zmq.auth`. The authenticator answers ZeroMQ's authentication requests
(ZAP, RFC 27) and reads the folder for each, so that `edge keys allow` and `revoke` need no restart.
"""

from __future__ import annotations

import logging
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import zmq
import zmq.utils.z85

from edge.errors import BusError
from edge.runtime.files import explain, read_regular, write_atomic
from edge.runtime.open_files import LACKING

SERVER: Final = "server"
ALLOWED: Final = "allowed"
PUBLIC, SECRET = ".key", ".key_secret"
ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"  # fixed by RFC 27
ZAP_DOMAIN: Final = "edge"
MAX_FILE_BYTES: Final = 16_384  # of a certificate, which has about 150 without comments
KEY_LENGTH: Final = 40  # characters of Z85 for the 32 bytes of a CURVE key
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = logging.getLogger(__name__)
Socket = zmq.Socket[bytes]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key and, in a pair, its secret key; each is 40 characters of Z85."""

    public: bytes
    secret: bytes = b""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a certificate. Raises BusError for a file that can't be read or holds no key."""
        try:
            found = _keys_in(read_regular(path, MAX_FILE_BYTES, follow_link=True))
        except OSError as error:
            raise BusError(f"{path}: {explain(error)}") from error
        if b"public-key" not in found:
            raise BusError(f"{path}: holds no CURVE key")
        if not all(map(_is_key, found.values())):
            raise BusError(f"{path}: damaged; a CURVE key is 40 characters of Z85")
        return cls(found[b"public-key"], found.get(b"secret-key", b""))


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """The keys with which a client connects: the client's pair and the daemon's public key."""

    client: Certificate
    server: Certificate

    @classmethod
    def read(cls, client: Path, server: Path) -> Self:
        """client: its NAME.key_secret. server: the daemon's server.key. Raises BusError."""
        pair = Certificate.read(client)
        if not pair.secret:
            raise BusError(f"{client}: a public key; give the client's {SECRET} file here")
        return cls(pair, Certificate.read(server))

    def apply(self, socket: Socket) -> None:
        """Encrypts and authenticates the connections that `socket` makes after this."""
        socket.set(zmq.CURVE_PUBLICKEY, self.client.public)
        socket.set(zmq.CURVE_SECRETKEY, self.client.secret)
        socket.set(zmq.CURVE_SERVERKEY, self.server.public)


def new_pair(folder: Path, name: str) -> Path:
    """Makes NAME.key and NAME.key_secret and returns the path of the second.

    Never replaces a key. Raises BusError.
    """
    _check_name(name)
    secret_path, public_path = folder / (name + SECRET), folder / (name + PUBLIC)
    for path in (secret_path, public_path):
        if path.exists():
            raise BusError(f"{path} exists already; remove it to make a new key")
    public, secret = zmq.curve_keypair()
    _write(secret_path, _certificate(public, secret), 0o600)
    _write(public_path, _certificate(public), 0o644)
    return secret_path


def allow(folder: Path, certificate: Path, name: str | None = None) -> str:
    """Lets the client with this public key connect and returns its name. Raises BusError."""
    name = name or certificate.name.removesuffix(SECRET).removesuffix(PUBLIC)
    _check_name(name)
    public = Certificate.read(certificate).public
    for known, key in allowed(folder).items():
        if key == public:
            raise BusError(f"this key is allowed already, as {known}")
        if known == name:
            raise BusError(f"{name} is allowed already, with another key: revoke it first")
    _write(folder / ALLOWED / (name + PUBLIC), _certificate(public), 0o644)
    return name


def revoke(folder: Path, name: str) -> None:
    """Removes a client's key. Raises BusError.

    Its next attempt to connect fails; `Authenticator.any_revoked` finds one that is connected.
    """
    path = folder / ALLOWED / (name + PUBLIC)
    try:
        _check_name(name)
        path.unlink()
    except FileNotFoundError as error:
        known = ", ".join(allowed(folder)) or "none"
        raise BusError(f"{name} is not an allowed client; allowed: {known}") from error
    except OSError as error:
        raise BusError(f"can't remove {path}: {error.strerror}") from error


def allowed(folder: Path) -> dict[str, bytes]:
    """Public key of each allowed client, by name; a damaged file is skipped with a warning.

    Raises BusError if the folder can't be read now, for example without a free descriptor.
    """
    keys = {}
    for path in _key_files(folder / ALLOWED):
        try:
            keys[path.name.removesuffix(PUBLIC)] = Certificate.read(path).public
        except BusError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in LACKING:
                raise
            log.warning("%s", error)
    return keys


def _key_files(folder: Path) -> list[Path]:
    """In alphabetical order; none if there is no folder. Raises BusError."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(PUBLIC))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BusError(f"{folder}: {explain(error)}") from error


def server_certificate(folder: Path) -> Certificate:
    """The daemon's pair. Raises BusError if it is missing or other users can read it."""
    path = folder / (SERVER + SECRET)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BusError(
            f"bus.keys {folder}: {path.name}: {explain(error)}; `edge keys new` makes it"
        ) from error
    if mode & 0o077:
        raise BusError(f"{path} can be read by other users: chmod 600 {path}")
    certificate = Certificate.read(path)
    if not certificate.secret:
        raise BusError(f"{path}: holds no secret key")
    return certificate


class Authenticator:
    """Admits or refuses clients of the CURVE sockets of one context.

    Its owner polls `socket` and calls `answer`. A client is refused if its key isn't in the
    folder at that time. `admitted` holds the keys of the others until the owner clears it.
    """

    def __init__(self, context: zmq.Context[Socket], folder: Path) -> None:
        self._folder = folder
        self._certificate = server_certificate(folder)
        self.socket: Socket = context.socket(zmq.REP)
        self.socket.set(zmq.LINGER, 0)
        self.socket.bind(ZAP_ENDPOINT)
        self.admitted: set[bytes] = set()
        self._known = allowed(folder)

    def protect(self, socket: Socket) -> None:
        """Call before `socket` is bound. It admits no client without an answer from here."""
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, self._certificate.secret)
        socket.set(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode())
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def answer(self) -> None:
        """Reads one authentication request and answers it."""
        request = self.socket.recv_multipart()
        version, request_id, domain, address, _, mechanism, *credentials = (
            request if len(request) >= 6 else [b"1.0", *[b""] * 5]
        )
        key = zmq.utils.z85.encode(credentials[0]) if [*map(len, credentials)] == [32] else b""
        name = self._name(key)
        if name is None or mechanism != b"CURVE" or domain != ZAP_DOMAIN.encode():
            log.warning(
                "refused a client from %s: its key is not allowed", address.decode(errors="replace")
            )
            status, user_id = (b"400", b"key not allowed"), b""
        else:
            self.admitted.add(key)
            log.info("client %s connected from %s", name, address.decode(errors="replace"))
            status, user_id = (b"200", b"OK"), key
        self.socket.send_multipart([version, request_id, *status, user_id, b""])

    def allows(self, key: bytes) -> bool:
        """Whether this key is still allowed, for messages over an existing connection."""
        return key in self._allowed().values()

    def any_revoked(self) -> bool:
        """Whether an admitted client has been revoked, so that it must be disconnected."""
        return bool(self.admitted) and not self.admitted <= set(self._allowed().values())

    def close(self) -> None:
        self.socket.close()

    def _name(self, key: bytes) -> str | None:
        return next((name for name, public in self._allowed().items() if public == key), None)

    def _allowed(self) -> dict[str, bytes]:
        """Those in the folder; the last ones that were read, while it can't be read."""
        try:
            self._known = allowed(self._folder)
        except BusError as error:
            log.warning("the allowed keys can't be read again now: %s", error)
        return self._known


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BusError(f"{name!r} can't name a key: use up to 64 letters, digits, _ and -")


def _keys_in(text: bytes) -> dict[bytes, bytes]:
    """The values of `public-key` and `secret-key`, as `zmq.auth.load_certificate` reads them."""
    keys = {}
    for line in text.splitlines():
        name, separator, value = line.partition(b"=")
        if separator and name.strip() in (b"public-key", b"secret-key"):
            keys[name.strip()] = value.strip(b" \t'\"")
    return keys


def _is_key(text: bytes) -> bool:
    try:
        return len(text) == KEY_LENGTH and len(zmq.utils.z85.decode(text)) == 32
    except (ValueError, KeyError, struct.error):
        return False


def _certificate(public: bytes, secret: bytes = b"") -> str:
    lines = ["metadata", "curve", f'    public-key = "{public.decode()}"']
    if secret:
        lines.append(f'    secret-key = "{secret.decode()}"')
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str, mode: int) -> None:
    """Writes the file completely or not at all, with exactly these permissions."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode(), mode=mode)
    except OSError as error:
        raise BusError(f"can't write {path}: {explain(error)}") from error
