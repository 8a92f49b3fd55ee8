"""One address of a receiver, reached through Apprise."""

from __future__ import annotations

import logging
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from edge.config.masking import MASK
from edge.config.schema import Notify
from edge.errors import ConfigError, MissingExtraError
from edge.runtime.files import explain, read_regular
from edge.runtime.printable import printable

try:
    import apprise
    from apprise.attachment.memory import AttachMemory
except ImportError as missing:
    raise MissingExtraError("the bridge for pushes", "notify") from missing

SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")
MAX_FILE_BYTES: Final = 65_536
MAX_ADDRESSES: Final = 32  # each has a thread
MAX_PICTURE_BYTES: Final = 1_000_000  # a trigger's picture has about 10 kB
MIN_SECRET: Final = 4  # characters; shorter pieces of an address would hide ordinary words
MAX_REASONS: Final = 4
MAX_REASON: Final = 300  # characters
DEFAULT_REASON: Final = "no reason was given"


@dataclass(frozen=True, slots=True)
class Push:
    """One push. text: may have several lines. jpeg: the picture to attach, if any."""

    title: str
    text: str
    jpeg: bytes | None = None


class Address:
    """Sends pushes to one address. `send` waits for the network; use it from one thread."""

    def __init__(self, url: str, label: str, place: str) -> None:
        """label: names the address without its secrets. place: in the configuration, for errors.

        Raises ConfigError for an address that Apprise can't use.
        """
        scheme = SCHEME.match(url)
        if scheme is None:
            raise ConfigError(f"{place}: this is no address; write one such as ntfy://TOPIC")
        self.label = f"{label} ({scheme[1]})"
        self._secrets = _secrets_of(url)
        self._reasons = _Reasons()
        asset = apprise.AppriseAsset(async_mode=False, image_url_mask="", image_url_logo="")
        self._apprise = apprise.Apprise(asset=asset)
        if not self._apprise.add(url):
            raise ConfigError(
                f"{place}: Apprise can't use this address: it knows no service "
                f"{scheme[0]}, or a part is missing; see "
                "https://appriseit.com/services"
            )
        for service in self._apprise:
            service.logger = self._reasons.logger

    def send(self, push: Push) -> str:
        """Returns why it could not be delivered, in words without secrets; empty if it was."""
        self._reasons.taken()
        try:
            delivered = self._apprise.notify(
                push.text,
                title=push.title,
                attach=_attachment(push.jpeg),
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:  # a fault of one of its many plugins must not end the others
            return self._masked(f"{type(error).__name__}: {error}")
        return "" if delivered else self._masked(self._reasons.taken()) or DEFAULT_REASON

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = re.sub(re.escape(secret), MASK, text, flags=re.IGNORECASE)
        return printable(text)[:MAX_REASON]


def _attachment(jpeg: bytes | None) -> apprise.AppriseAttachment | None:
    """None without a picture, and for one that is larger than any trigger's."""
    if jpeg is None or len(jpeg) > MAX_PICTURE_BYTES:
        return None
    memory: Any = AttachMemory  # it has no types
    return apprise.AppriseAttachment(memory(jpeg, name="picture.jpg", mimetype="image/jpeg"))


def addresses_of(row: Notify, key: str) -> list[Address]:
    """The addresses of a receiver. key: of its section. Raises ConfigError."""
    if row.url:
        return [Address(row.url, row.name, f"{key}.url")]
    lines = _lines(Path(row.url_file), f"{key}.url_file")
    return [
        Address(url, f"{row.name} line {number}", f"{key}.url_file: {row.url_file}:{number}")
        for number, url in lines
    ]


def _lines(path: Path, key: str) -> list[tuple[int, str]]:
    """Number and text of each line with an address. Raises ConfigError.

    A file that every user can read is refused.
    """
    try:
        if path.stat().st_mode & 0o007:
            raise ConfigError(f"{path}: every user can read these addresses: chmod 640 {path}")
        text = read_regular(path, MAX_FILE_BYTES, follow_link=True).decode()
    except OSError as error:
        raise ConfigError(f"{key}: {path} could not be read: {explain(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{key}: {path} is not a text in UTF-8") from error
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    if not 1 <= len(lines) <= MAX_ADDRESSES:
        raise ConfigError(
            f"{key}: {path} has {len(lines)} addresses; write 1 to {MAX_ADDRESSES}, one a line"
        )
    return lines


def _secrets_of(url: str) -> list[str]:
    """The pieces of an address after its scheme, as written and decoded, longest first."""
    rest = url.partition("://")[2]
    pieces = {piece for text in (rest, unquote(rest)) for piece in re.split(r"[/:@?&=,;#\s]", text)}
    found = {piece for piece in (*pieces, rest) if len(piece) >= MIN_SECRET}
    return sorted(found, key=len, reverse=True)


class _Reasons(logging.Handler):
    """Collects warnings: Apprise logs why it fails, and does not return it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.logger = logging.Logger("push", logging.WARNING)
        self.logger.addHandler(self)
        self._found: deque[str] = deque(maxlen=MAX_REASONS)

    def taken(self) -> str:
        """The warnings since the last call."""
        found = dict.fromkeys(self._found)
        self._found.clear()
        return "; ".join(found)

    def emit(self, record: logging.LogRecord) -> None:
        self._found.append(record.getMessage().strip().rstrip("."))


def keep_logs_private() -> None:
    """Keeps addresses out of the log: Apprise and its HTTP library write them there."""
    logging.getLogger("apprise").propagate = False
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("urllib3").setLevel(logging.ERROR)
