"""Reads a call, where it arrives."""

from __future__ import annotations

import binascii
from typing import Callable

from genvx.core.wire.call import CALL_HEAD, MOST_CALL, Call
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, loads
from genvx.errors import ProtocolError


def call_from_word(word: str) -> Call:
    """Read what `Call.to_word` wrote; raise ProtocolError if it is something else."""
    import base64

    try:
        return _call(base64.urlsafe_b64decode(word.encode("ascii") + b"=" * (-len(word) % 4)))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ProtocolError(f"the call is not base64: {error}") from None


def read_call(read: Callable[[int], bytes]) -> Call:
    """Read one call from a stream and not one byte more.

    `read(n)` gives at most n bytes, b"" at the end.

    Raises:
        ProtocolError: what comes is not a call.
    """
    head = b""
    while not head.endswith(b"\n"):
        # One byte at a time: what follows the call on stdin is the command's, and must not end up
        # in a buffer of ours.
        byte = read(1)
        head += byte
        if not byte or len(head) > len(CALL_HEAD) + 10:
            raise ProtocolError("no call on stdin; the agent is started by genvx, not by hand")
    size = head[len(CALL_HEAD) : -1]
    if not head.startswith(CALL_HEAD) or not size.isdigit() or int(size) > MOST_CALL:
        raise ProtocolError("no call on stdin; the agent is started by genvx, not by hand")
    body = b""
    while len(body) < int(size):
        part = read(int(size) - len(body))
        if not part:
            raise ProtocolError("the call was cut short")
        body += part
    return _call(body)


def _call(body: bytes) -> Call:
    try:
        fields = Fields(loads(body), "the call")
        arguments = fields.raw("arguments")
        if not isinstance(arguments, dict):
            raise Malformed("the call has impossible arguments")
        return Call(
            operation=fields.exact_text("operation", 64),
            token=fields.identifier("token"),
            arguments=arguments,
            protocol=fields.integer("protocol", 0, 1 << 16),
            version=fields.text("version", 64),
        )
    except Malformed as error:
        raise ProtocolError(f"the call cannot be read: {error}") from None
