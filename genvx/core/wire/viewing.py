"""What a viewer sends to the terminal of a run: keys and sizes, in frames.

A frame is a letter, a length of 2 bytes (the high one first), and so many bytes. `K` has what was
typed, `S` the rows and columns of the viewer's terminal, 2 bytes each. The same frames go to a
run's supervisor and, through the channel of a call, to its host. What the run prints comes back as
it is.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Union

from genvx.core.value import value
from genvx.core.wire.plain import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bytes of keys in a frame. More that was typed, or pasted, is several frames.
MOST_KEYS = 4096
# A viewer sends its size again after so many seconds, and counts as gone after several times that.
ALIVE_AGAIN = 15.0

_HEAD = struct.Struct("!cH")
_SIZE = struct.Struct("!HH")


@value
class Size:
    """The size of a terminal, in characters."""

    rows: int
    columns: int


def keys(data: bytes) -> bytes:
    """Return the frames that say what was typed."""
    parts = (data[at : at + MOST_KEYS] for at in range(0, len(data), MOST_KEYS))
    return b"".join(_HEAD.pack(b"K", len(part)) + part for part in parts)


def size(rows: int, columns: int) -> bytes:
    """Return the frame that says how large the viewer's terminal is."""
    return _HEAD.pack(b"S", _SIZE.size) + _SIZE.pack(*(min(n, 0xFFFF) for n in (rows, columns)))


class Frames:
    """Reads frames from pieces of a stream."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[Union[bytes, Size]]:
        """Yield the frames that are complete now: what was typed, or a size.

        Raises:
            Malformed: these are no frames.
        """
        self._data += data
        while len(self._data) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._data)
            known = {b"K": length <= MOST_KEYS, b"S": length == _SIZE.size}
            if not known.get(kind, False):
                raise Malformed("not a frame of a viewer")
            if len(self._data) < _HEAD.size + length:
                return
            body = self._data[_HEAD.size : _HEAD.size + length]
            self._data = self._data[_HEAD.size + length :]
            yield body if kind == b"K" else Size(*_SIZE.unpack(body))
