"""A call: an operation and its arguments, as they are sent."""

from __future__ import annotations

from typing import Any

from genvx._version import __version__
from genvx.core.value import field, value
from genvx.core.wire.plain import dumps
from genvx.core.wire.protocol import PROTOCOL
from genvx.errors import InvalidInput

# A limit on what a caller can make a host keep in memory.
MOST_CALL = 1024 * 1024
MOST_WORD = 100 * 1024  # Linux takes at most 128 KiB in one argument
CALL_WORD = b"GENVX-CALL"
CALL_HEAD = CALL_WORD + b" "


@value
class Call:
    """One question: an operation, its arguments, and the token that its reply must carry."""

    operation: str
    token: str
    arguments: dict[str, Any] = field(default_factory=dict)
    protocol: int = PROTOCOL
    version: str = __version__

    def to_bytes(self) -> bytes:
        """Return the call as it is written to stdin."""
        body = self._json()
        if len(body) > MOST_CALL:
            raise InvalidInput(
                "the command is too long: its words have 1 MiB at most, all together"
            )
        # If a start-up file of the host runs a shell in place of our agent, that shell reads the
        # call as commands. Without $ and ` it finds no substitution that it could run. JSON reads
        # the escapes as the same characters.
        for character in b"$`":
            body = body.replace(bytes([character]), b"\\u%04x" % character)
        return CALL_HEAD + str(len(body)).encode() + b"\n" + body

    def to_word(self) -> str:
        """Return the call as one word of a command line, safe from every shell."""
        import base64

        word = base64.urlsafe_b64encode(self._json()).decode("ascii").rstrip("=")
        if len(word) > MOST_WORD:
            raise InvalidInput("the command is too long for a terminal session; put it into a file")
        return word

    def _json(self) -> bytes:
        return dumps(
            {
                "protocol": self.protocol,
                "version": self.version,
                "operation": self.operation,
                "token": self.token,
                "arguments": self.arguments,
            }
        )
