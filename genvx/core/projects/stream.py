"""How contents travel: frames, one behind the other, in an order that both ends know.

A frame says how it is packed, how long it is, and how long it becomes. What it is about is agreed
before, so no frame can name a file.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.errors import ProtocolError, from_wire

if TYPE_CHECKING:
    from typing import Callable

    from genvx.errors import GenvxError

_HEAD = struct.Struct(">cII")
_RAW, _ZLIB, _FAILED = b"R", b"Z", b"E"
_LEVEL = 1
# So much of the beginning of a file is packed to see whether packing helps. Of small files that
# cannot be packed, a longer taste would take longer than to send them.
TASTE = 8 * 1024
_WORTH = 0.95
# Of so many bytes at random nearly all values occur. To count them takes a tenth of the time that
# it takes to pack a taste, and most of what cannot be packed is seen by it.
_GLANCE, _RANDOM = 1024, 245
_MOST_SAID = 2000


def shrinks(data: bytes) -> bool:
    """Whether packing helps a file that begins so."""
    if len(set(data[:_GLANCE])) >= _RANDOM:
        return False
    taste = data[:TASTE]
    return len(zlib.compress(taste, _LEVEL)) < _WORTH * len(taste)


def frame(data: bytes, *, packed: bool) -> tuple[bytes, bytes]:
    """The head and the body of a frame."""
    sent = zlib.compress(data, _LEVEL) if packed else data
    return _HEAD.pack(_ZLIB if packed else _RAW, len(data), len(sent)), sent


def failure(error: GenvxError) -> bytes:
    """The frame that stands for what cannot be sent."""
    said = dumps({"error": type(error).__name__, "message": str(error)[:_MOST_SAID]})
    return _HEAD.pack(_FAILED, len(said), len(said)) + said


def read_frame(read: Callable[[int], bytes], most: int) -> bytes:
    """Read a frame of at most so many bytes. read: returns so many bytes at most, b"" at the end.

    Raises:
        ProtocolError: it ends too early, or is none. GenvxError: the sender says that it failed.
    """
    kind, length, sent = _HEAD.unpack(_exactly(read, _HEAD.size))
    if kind == _FAILED and sent <= 4 * _MOST_SAID:
        try:
            fields = Fields(loads(_exactly(read, sent)), "the failure")
            raise from_wire(fields.string("error", 64), fields.text("message", _MOST_SAID))
        except Malformed:
            raise ProtocolError("the files cannot be read: it failed there") from None
    # A packed one may be a little longer than what is in it.
    if length > most or sent > most + most // 1000 + 64 or kind not in (_RAW, _ZLIB):
        raise ProtocolError("the files cannot be read: what came is longer than was agreed")
    data = _exactly(read, sent)
    if kind == _ZLIB:
        unpacking = zlib.decompressobj()
        try:
            data = unpacking.decompress(data, length + 1)
        except zlib.error:
            raise ProtocolError("the files cannot be read: what came is no zlib data") from None
    if len(data) != length:
        raise ProtocolError("the files cannot be read: what came is not as long as it says")
    return data


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    parts, left = [], size
    while left:
        part = read(min(left, 1 << 20))
        if not part:
            raise ProtocolError("the connection ended before all files had come")
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
