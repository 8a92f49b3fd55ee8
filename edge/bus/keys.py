"""CURVE certificates in a folder, and the gate that asks them who may come in.

    keys/server.key          the daemon's public key; its clients need it
    keys/server.key_secret   the daemon's secret key, for nobody else (mode 0600)
    keys/allowed/NAME.key    the public key of each client that may connect

The files are those of `zmq.auth`. The gate answers ZeroMQ's authentication requests (ZAP, RFC 27)
and reads the folder for each, so that `edge keys allow` and `revoke` need no restart.
"""

from __future__ import annotations

import logging
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import zmq
import zmq.auth
import zmq.utils.z85

from edge.errors import BusError

SERVER = "server"
ALLOWED = "allowed"
PUBLIC, SECRET = ".key", ".key_secret"
ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_DOMAIN = "edge"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = logging.getLogger(__name__)
Socket = zmq.Socket[bytes]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key and, of one's own, the secret that belongs to it; each 40 characters of Z85."""

    public: bytes
    secret: bytes = b""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises BusError for what can't be read or holds no key."""
        try:
            path.open("rb").close()  # says why not, which `load_certificate` doesn't
            public, secret = zmq.auth.load_certificate(path)
        except OSError as error:
            raise BusError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise BusError(f"{path}: no CURVE key in it") from error
        if not all(map(_is_key, filter(None, (public, secret)))):
            raise BusError(f"{path}: damaged; a CURVE key is 40 characters of Z85")
        return cls(public, secret or b"")


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a client needs to connect: its own pair, and the public key of the daemon."""

    own: Certificate
    server: Certificate

    @classmethod
    def read(cls, own: Path, server: Path) -> Self:
        """own: the client's NAME.key_secret. server: the daemon's server.key. Raises BusError."""
        pair = Certificate.read(own)
        if not pair.secret:
            raise BusError(f"{own}: a public key; the client needs its {SECRET} file here")
        return cls(pair, Certificate.read(server))

    def apply(self, socket: Socket) -> None:
        """Connections that `socket` makes from now on are encrypted and authenticated."""
        socket.set(zmq.CURVE_PUBLICKEY, self.own.public)
        socket.set(zmq.CURVE_SECRETKEY, self.own.secret)
        socket.set(zmq.CURVE_SERVERKEY, self.server.public)


def new_pair(folder: Path, name: str) -> Path:
    """Makes NAME.key and NAME.key_secret; the latter's path. Never replaces a key."""
    _check_name(name)
    secret_path, public_path = folder / (name + SECRET), folder / (name + PUBLIC)
    for path in (secret_path, public_path):
        if path.exists():
            raise BusError(f"{path} is there already; remove it to make a new key")
    public, secret = zmq.curve_keypair()
    _write(secret_path, _certificate(public, secret), 0o600)
    _write(public_path, _certificate(public), 0o644)
    return secret_path


def allow(folder: Path, certificate: Path, name: str | None = None) -> str:
    """Lets the client with this public key connect; the name it has from now on."""
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
    """The client's next attempt to connect fails; see `Gate.revoked` for one that is connected."""
    path = folder / ALLOWED / (name + PUBLIC)
    try:
        _check_name(name)
        path.unlink()
    except FileNotFoundError as error:
        known = ", ".join(allowed(folder)) or "nobody"
        raise BusError(f"{name} is not allowed anyway; {known} is") from error
    except OSError as error:
        raise BusError(f"can't remove {path}: {error.strerror}") from error


def allowed(folder: Path) -> dict[str, bytes]:
    """Public key of each allowed client by its name; a damaged file allows nobody."""
    found = {}
    for path in sorted((folder / ALLOWED).glob("*" + PUBLIC)):
        try:
            found[path.name.removesuffix(PUBLIC)] = Certificate.read(path).public
        except BusError as error:
            log.warning("%s", error)
    return found


def server_certificate(folder: Path) -> Certificate:
    """The daemon's own pair. Raises BusError where there is none or others can read it."""
    path = folder / (SERVER + SECRET)
    if not path.is_file():
        raise BusError(f"bus.keys {folder}: there is no {path.name}; `edge keys new` makes it")
    if path.stat().st_mode & 0o077:
        raise BusError(f"{path} can be read by others: chmod 600 {path}")
    certificate = Certificate.read(path)
    if not certificate.secret:
        raise BusError(f"{path}: holds no secret key")
    return certificate


class Gate:
    """Decides who may connect to the CURVE sockets of one context.

    Its owner polls `socket` and calls `answer`. A peer whose key isn't in the folder at that moment
    is refused; whoever is let in is known by `admitted` until a socket is bound anew.
    """

    def __init__(self, context: zmq.Context[Socket], folder: Path) -> None:
        self._folder = folder
        self._certificate = server_certificate(folder)
        self._names: dict[bytes, str] = {}
        self.socket: Socket = context.socket(zmq.REP)
        self.socket.set(zmq.LINGER, 0)
        self.socket.bind(ZAP_ENDPOINT)
        self.admitted: set[bytes] = set()
        self.refused = 0

    def guard(self, socket: Socket) -> None:
        """Before `socket` is bound: without an answer from here, nobody gets in."""
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, self._certificate.secret)
        socket.set(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode())
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def answer(self) -> None:
        """Takes one request and decides."""
        request = self.socket.recv_multipart()
        version, request_id, domain, address, _, mechanism, *credentials = (
            request if len(request) >= 6 else [b"1.0", *[b""] * 5]
        )
        key = zmq.utils.z85.encode(credentials[0]) if [*map(len, credentials)] == [32] else b""
        name = self._name(key)
        if name is None or mechanism != b"CURVE" or domain != ZAP_DOMAIN.encode():
            self.refused += 1
            log.warning(
                "refused a client from %s: its key is not allowed", address.decode(errors="replace")
            )
            status, user_id = (b"400", b"key not allowed"), b""
        else:
            self.admitted.add(key)
            log.info("client %s connected from %s", name, address.decode())
            status, user_id = (b"200", b"OK"), key
        self.socket.send_multipart([version, request_id, *status, user_id, b""])

    def allows(self, key: bytes) -> bool:
        """Whether this key may still be heard; for what came over an old connection."""
        return key in allowed(self._folder).values()

    def revoked(self) -> bool:
        """Whether somebody let in has been revoked since, so that the socket must be bound anew."""
        return bool(self.admitted) and not self.admitted <= set(allowed(self._folder).values())

    def close(self) -> None:
        self.socket.close()

    def _name(self, key: bytes) -> str | None:
        return next((name for name, own in allowed(self._folder).items() if own == key), None)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BusError(f"{name!r} is no name for a key: up to 64 letters, digits, _ and -")


def _is_key(text: bytes) -> bool:
    try:
        return len(text) == 40 and len(zmq.utils.z85.decode(text)) == 32
    except (ValueError, KeyError, struct.error):
        return False


def _certificate(public: bytes, secret: bytes = b"") -> str:
    lines = ["metadata", "curve", f'    public-key = "{public.decode()}"']
    if secret:
        lines.append(f'    secret-key = "{secret.decode()}"')
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str, mode: int) -> None:
    """The file appears whole or not at all, and is never readable by more than `mode` says."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BusError(f"can't write {path}: {error.strerror}") from error
