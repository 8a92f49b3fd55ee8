"""Hides the credentials in a source's address from everything that people and programs read."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
# scheme://USER:PASSWORD@host. A password may hold / ? # or @, although they should be escaped. With
# credentials in front, everything up to the last @ is hidden, even if that is part of the path.
USER_INFO = re.compile(
    r"^(?P<scheme>[a-z][a-z0-9+.-]*://)(?=[^/?#]*@|[^/?#@]*:(?!\d+(?:[/?#]|$))).*@",
    re.IGNORECASE | re.DOTALL,
)
# USER:PASSWORD@host with no scheme, or with one that lacks its slashes, as people write by mistake.
BARE_USER_INFO = re.compile(
    r"^(?P<scheme>(?:[a-z][a-z0-9+.-]+:/?)?)[^/@]*:.*@", re.IGNORECASE | re.DOTALL
)
# ?user=NAME&pwd=SECRET, as many cameras have it.
QUERY = re.compile(
    r"(?P<name>[?&;][^=&;#]*(?:user|usr|login|pass|pwd|psw|token|secret|key|auth|cred)[^=&;#]*)"
    r"=[^&;#]+",
    re.IGNORECASE,
)


def masked(uri: str) -> str:
    """The address with `***` in place of user names, passwords, tokens and keys."""
    uri = USER_INFO.sub(rf"\g<scheme>{MASK}@", uri)
    if "://" not in uri:
        return BARE_USER_INFO.sub(rf"\g<scheme>{MASK}@", uri)
    return QUERY.sub(rf"\g<name>={MASK}", uri)
