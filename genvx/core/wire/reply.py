"""A reply: a plain value or an error, as it is sent."""

from __future__ import annotations

from typing import Any, Optional

from genvx._version import __version__
from genvx.core.value import value
from genvx.core.wire.plain import dumps
from genvx.core.wire.protocol import PROTOCOL
from genvx.errors import GenvxError, from_wire

REPLY_HEAD = b"GENVX-REPLY "


@value
class Reply:
    """The result of a call: a plain value, or an error by its class name."""

    value: Any = None
    error: Optional[str] = None
    message: str = ""
    protocol: int = PROTOCOL
    version: str = __version__

    @classmethod
    def of_error(cls, error: GenvxError) -> Reply:
        """Make the reply that carries an error: its class name and its message."""
        return cls(error=type(error).__name__, message=str(error))

    def to_bytes(self, token: str) -> bytes:
        """Return the reply as it is written to stdout; `token` is that of its call."""
        body = dumps(
            {
                "protocol": self.protocol,
                "version": self.version,
                "value": self.value,
                "error": self.error,
                "message": self.message,
            }
        )
        # A login script may have printed a line without an end. The newline in front starts a new
        # one, so that a person who reads the output sees the reply on its own line.
        return b"\n" + REPLY_HEAD + f"{token} {len(body)} ".encode("ascii") + body + b"\n"

    def result(self) -> Any:
        """Return the value, or raise the error that the far end named."""
        if self.error is not None:
            raise from_wire(self.error, self.message)
        return self.value
