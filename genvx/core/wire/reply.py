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
    """The result of a call: a plain value, or an error by its class name.

    attached: bytes that stand for the `data` of the value, which JSON would have to spell out. They
    follow as they are, so they go only where no terminal is on the way.
    """

    value: Any = None
    error: Optional[str] = None
    message: str = ""
    protocol: int = PROTOCOL
    version: str = __version__
    attached: bytes = b""

    @classmethod
    def of_error(cls, error: GenvxError) -> Reply:
        """Make the reply that carries an error: its class name and its message."""
        return cls(error=type(error).__name__, message=str(error))

    def to_bytes(self, token: str) -> bytes:
        """Return the reply as it is written to stdout; `token` is that of its call."""
        plain = {
            "protocol": self.protocol,
            "version": self.version,
            "value": self.value,
            "error": self.error,
            "message": self.message,
        }
        if self.attached:
            plain["attached"] = len(self.attached)
        body = dumps(plain)
        # A login script may have printed a line without an end. The newline in front starts a new
        # one, so that a person who reads the output sees the reply on its own line.
        head = b"\n" + REPLY_HEAD + f"{token} {len(body)} ".encode("ascii")
        return b"".join((head, body, b"\n", self.attached))

    def result(self) -> Any:
        """Return the value, or raise the error that the far end named."""
        if self.error is not None:
            raise from_wire(self.error, self.message)
        return self.value
