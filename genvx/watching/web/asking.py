"""What a request of the page says: the origin that sent it, and its body."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

MOST_BYTES = 4096
# Seconds for all of a body, however slowly it comes.
_PATIENCE = 5.0
# Of a body that is refused, so much is read all the same, for so many seconds: where a connection
# is closed on bytes that nobody has read, the kernel resets it, and the answer may be lost.
_MOST_DISCARDED, _BRIEFLY = 65536, 1.0


def is_own_page(headers: Mapping[bytes, str]) -> bool:
    """Whether a request that changes something comes from our page, or from no page at all.

    A browser says the origin of the page with each POST, and programs such as curl say none.
    """
    if headers.get(b"sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin, host = headers.get(b"origin"), headers.get(b"host", "").lower()
    # A proxy with TLS before us makes it https, of which we see nothing.
    return origin is None or origin.lower() in (f"http://{host}", f"https://{host}")


def is_json(headers: Mapping[bytes, str]) -> bool:
    """Whether the body is said to be JSON, which no form of a page elsewhere can say."""
    return headers.get(b"content-type", "").partition(";")[0].strip().lower() == "application/json"


async def discard(receive: Callable[[], Awaitable[Any]]) -> None:
    """Read the body of a request that is refused, as far as it comes soon and is not large."""
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_BRIEFLY):
            while more and size <= _MOST_DISCARDED:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


async def read_object(stream: AsyncIterator[bytes]) -> dict[str, Any]:
    """Read the JSON object that a request has as its body.

    Raises:
        InvalidInput: there is none, it is too large, or it does not come in time.
    """
    body, size = b"", 0
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in stream:
                size += len(piece)
                if size > _MOST_DISCARDED:
                    break
                if size <= MOST_BYTES:
                    body += piece
    except TimeoutError:
        raise InvalidInput(f"the body did not come within {_PATIENCE:g} s") from None
    if size > MOST_BYTES:
        raise InvalidInput(f"a body has at most {MOST_BYTES} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("the body is no JSON object")
    return found
