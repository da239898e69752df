"""Finds the reply to a call in what a host prints."""

from __future__ import annotations

from typing import Optional

from genvx._version import __version__
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, loads
from genvx.core.wire.protocol import PROTOCOL
from genvx.core.wire.reply import REPLY_HEAD, Reply
from genvx.errors import AgentError, ProtocolError

# Limits on what a host can make us keep in memory. Noise is what login scripts print before the
# reply.
MOST_NOISE = 64 * 1024
MOST_REPLY = 64 * 1024 * 1024


class ReplyReader:
    """Finds one reply in a stream of bytes.

    After the reply `rest` holds the bytes that followed it: the command's own output.
    `agent_needed`: whether the host waits for the agent. `agent_homeless`: whether the host had no
    place to store it. `rest_needed`: whether the agent there is the first part, and too little.
    """

    def __init__(self, token: str) -> None:
        self._mark = REPLY_HEAD + token.encode("ascii") + b" "
        self._need, self._memory, self._rest = (
            b"GENVX-%s %s\n" % (word, token.encode("ascii"))
            for word in (b"NEED", b"MEMORY", b"REST")
        )
        self.agent_needed = False
        self.rest_needed = False
        self.agent_homeless = False
        self._buffer = bytearray()
        self._start: Optional[int] = None
        self._size = 0
        self._fields: Optional[Fields] = None
        self.rest = b""

    @property
    def noise(self) -> bytes:
        """The bytes that came instead of a reply so far; they often say why there is none."""
        return bytes(self._buffer[:2000])

    def feed(self, data: bytes) -> Optional[Reply]:
        """Take bytes; return the reply once it is complete, None before.

        Raises:
            ProtocolError: there is too much noise, the reply is too large, or it cannot be read.
        """
        self._buffer += data
        if self._start is None:
            self.agent_needed = self._need in self._buffer
            self.agent_homeless = self._memory in self._buffer
            self.rest_needed = self._rest in self._buffer
            if not self._find_head():
                return None
        assert self._start is not None
        end = self._start + self._size
        if len(self._buffer) < end + 1:
            return None
        after = bytes(self._buffer[end : end + 2])
        # A terminal turns the newline into CR LF. Wait for the LF, or it would be taken for the
        # first byte of the command's output.
        if after == b"\r":
            return None
        behind = end + (2 if after == b"\r\n" else 1)
        try:
            if self._fields is None:
                self._fields = Fields(loads(bytes(self._buffer[self._start : end])), "the reply")
            attached = self._fields.optional_integer("attached", 1, MOST_REPLY) or 0
            if len(self._buffer) < behind + attached:
                return None
            self.rest = bytes(self._buffer[behind + attached :])
            return _reply(self._fields, bytes(self._buffer[behind : behind + attached]))
        except Malformed as error:
            raise ProtocolError(f"the reply cannot be read: {error}") from None

    def _find_head(self) -> bool:
        at = self._buffer.find(self._mark)
        if at < 0:
            if len(self._buffer) > MOST_NOISE + len(self._mark):
                raise ProtocolError(
                    "the host prints more than 64 KiB before the reply; look at its login scripts"
                )
            return False
        size_at = at + len(self._mark)
        size_end = self._buffer.find(b" ", size_at, size_at + 12)
        if size_end < 0:
            if len(self._buffer) > size_at + 12:
                raise ProtocolError("the reply has no length")
            return False
        digits = bytes(self._buffer[size_at:size_end])
        if not digits.isdigit() or int(digits) > MOST_REPLY:
            raise ProtocolError("the reply has an impossible length")
        self._start, self._size = size_end + 1, int(digits)
        return True


def _reply(fields: Fields, attached: bytes) -> Reply:
    # The protocol is checked before the value: a reply of another protocol may have any form, and
    # the useful message is to install the same version.
    protocol = fields.integer("protocol", 0, 1 << 16)
    version = fields.text("version", 64)
    if protocol != PROTOCOL:
        raise AgentError(
            f"genvx {version} there speaks protocol {protocol}, genvx {__version__} here "
            f"speaks {PROTOCOL}; install the same version on both"
        )
    value = fields.raw("value")
    if attached:
        if not isinstance(value, dict):
            raise fields.wrong("attached")
        value["data"] = attached
    return Reply(
        value=value,
        error=fields.optional_text("error", 64),
        message=fields.text("message", 4000),
        protocol=protocol,
        version=version,
    )
