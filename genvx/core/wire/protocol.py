"""The wire: one Call in, one framed Reply out. Bytes in, values out; no socket here.

A call travels on stdin as `GENVX-CALL <length>\\n<json>`, so that what follows it on stdin belongs
to the command. Where stdin is a terminal, the call is one base64 word on the command line.

A reply is `GENVX-REPLY <token> <length> <json>\\n`. Login scripts and libraries print to stdout,
too, so the random token of the call distinguishes the reply from noise. The JSON is ASCII on one
line, which a terminal's line discipline leaves unchanged. The command's output follows the newline.

A host that has no agent says `GENVX-NEED <token>\\n` instead, and is sent one. `GENVX-MEMORY
<token>\\n` says that the host could not store it.
"""

from __future__ import annotations

import binascii
from typing import Any, Callable, Optional

from genvx._version import __version__
from genvx.core.value import field, value
from genvx.core.wire.fields import Fields, Malformed, dumps, loads
from genvx.errors import AgentError, GenvxError, InvalidInput, ProtocolError, from_wire

# Both ends must have the same number. Raise it with each change that an older end would misread;
# fields that it may ignore, or that have a default, need no new number.
PROTOCOL = 2

# The client of a hold writes this to stdin now and then. A hold with a limit of silence takes a
# client that writes nothing for gone: sshd may notice a cut network only after hours.
ALIVE = b"."

# Limits on what a host can make us keep in memory, and a caller the host. Noise is what login
# scripts print before the reply.
MOST_NOISE = 64 * 1024
MOST_REPLY = 64 * 1024 * 1024
MOST_CALL = 1024 * 1024
MOST_WORD = 100 * 1024  # Linux takes at most 128 KiB in one argument

CALL_WORD = b"GENVX-CALL"
_CALL_HEAD = CALL_WORD + b" "
_REPLY_HEAD = b"GENVX-REPLY "


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
        return _CALL_HEAD + str(len(body)).encode() + b"\n" + body

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
        if not byte or len(head) > len(_CALL_HEAD) + 10:
            raise ProtocolError("no call on stdin; the agent is started by genvx, not by hand")
    size = head[len(_CALL_HEAD) : -1]
    if not head.startswith(_CALL_HEAD) or not size.isdigit() or int(size) > MOST_CALL:
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
        return b"\n" + _REPLY_HEAD + f"{token} {len(body)} ".encode("ascii") + body + b"\n"

    def result(self) -> Any:
        """Return the value, or raise the error that the far end named."""
        if self.error is not None:
            raise from_wire(self.error, self.message)
        return self.value


class ReplyReader:
    """Finds one reply in a stream of bytes.

    After the reply `rest` holds the bytes that followed it: the command's own output.
    `agent_needed`: whether the host waits for the agent. `agent_homeless`: whether the host had no
    place to store it.
    """

    def __init__(self, token: str) -> None:
        self._mark = _REPLY_HEAD + token.encode("ascii") + b" "
        self._need, self._memory = (
            b"GENVX-%s %s\n" % (word, token.encode("ascii")) for word in (b"NEED", b"MEMORY")
        )
        self.agent_needed = False
        self.agent_homeless = False
        self._buffer = bytearray()
        self._start: Optional[int] = None
        self._size = 0
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
        self.rest = bytes(self._buffer[end + (2 if after == b"\r\n" else 1) :])
        return _reply(bytes(self._buffer[self._start : end]))

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


def _reply(body: bytes) -> Reply:
    try:
        # The protocol is checked before the value: a reply of another protocol may have any form,
        # and the useful message is to install the same version.
        fields = Fields(loads(body), "the reply")
        protocol = fields.integer("protocol", 0, 1 << 16)
        version = fields.text("version", 64)
        if protocol != PROTOCOL:
            raise AgentError(
                f"genvx {version} there speaks protocol {protocol}, genvx {__version__} here "
                f"speaks {PROTOCOL}; install the same version on both"
            )
        return Reply(
            value=fields.raw("value"),
            error=fields.optional_text("error", 64),
            message=fields.text("message", 4000),
            protocol=protocol,
            version=version,
        )
    except Malformed as error:
        raise ProtocolError(f"the reply cannot be read: {error}") from None
