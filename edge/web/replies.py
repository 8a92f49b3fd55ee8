"""Bodies of requests and responses, which are JSON."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MAX_BODY_BYTES: Final = 256 * 1024  # enough for thousands of corners


async def body_of(request: Request) -> bytes:
    """The body; HTTPException 413 if it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the request body has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response that no cache keeps."""
    return Response(
        msgspec.json.encode(value),
        status,
        {"Cache-Control": "no-store"} | (headers or {}),
        "application/json",
    )


def problems(status: int, *sentences: str) -> Response:
    """The reasons for a refusal."""
    return as_json({"problems": sentences}, status)
