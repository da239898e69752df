"""What a client and a worker say to each other: frames of a kind, a body and buffers.

The buffers are what pickle leaves outside of a pickle (PEP 574): neither end copies them.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from genvx.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of the client: what a worker is to be (JSON), content of its project, a call, a chunk of calls, a
# sign of life, the end.
SETUP, CONTENT, CALL, CHUNK, ALIVE, END = b"S", b"F", b"C", b"M", b"P", b"E"
# Of a worker: a pickled value, one in JSON, and why there is none (JSON), with a pickled exception;
# and at first whether the content of its project is wanted, which its host may have.
VALUE, JSON, FAILED, WANTED = b"V", b"J", b"X", b"W"

_HEAD = struct.Struct(">cIQ")
_SIZE = struct.Struct(">Q")
_READ = 256 * 1024
# More is a fault, or a host that wants to fill our memory.
_MOST_BUFFERS = 1 << 20
_LONGEST = 1 << 40
# Memory is taken in steps, for what has come: a host may announce anything.
_STEP = 16 << 20


class Frame(NamedTuple):
    """Frame is what a worker has said."""

    kind: bytes
    body: bytearray
    buffers: Sequence[bytearray]


def frame(
    kind: bytes, pieces: Sequence[bytes] = (), buffers: Sequence[memoryview] = ()
) -> list[bytes | memoryview]:
    """Return a frame as the pieces that are to be written; small ones are one piece."""
    size = sum(map(len, pieces))
    sizes = [_SIZE.pack(buffer.nbytes) for buffer in buffers]
    written = [_HEAD.pack(kind, len(buffers), size), *sizes, *pieces]
    if size < _READ:
        written = [b"".join(written)]
    return [*written, *buffers]


class FrameReader:
    """FrameReader makes frames of what is read from a descriptor, which may not block."""

    def __init__(self, read_before: bytes = b"") -> None:
        """read_before: what was read from the descriptor already."""
        self._rest = bytearray(read_before)
        # Of a frame that is on its way: its kind, and its parts, of which the one at `_part` is
        # filled up to `_at`.
        self._kind: bytes | None = None
        self._parts: list[bytearray] = []
        self._lengths: list[int] = []
        self._part = self._at = 0

    def read(self, descriptor: int) -> list[Frame] | None:
        """Read once; return the frames that are complete, None at the end.

        Raises:
            ProtocolError: what comes is no frame.
        """
        if self._kind is not None:
            count = os.readv(descriptor, [memoryview(self._room())[self._at :]])
            self._at += count
        else:
            data = os.read(descriptor, _READ)
            count = len(data)
            self._rest += data
        return self.complete() if count else None

    def complete(self) -> list[Frame]:
        """Return the frames that are complete, without reading."""
        found = []
        while (self._kind is not None or self._begin()) and self._fill():
            assert self._kind is not None
            body, *buffers = self._parts
            found.append(Frame(self._kind, body, buffers))
            self._kind, self._parts = None, []
        return found

    def _begin(self) -> bool:
        """Take the head of a frame, if all of it has come."""
        if len(self._rest) < _HEAD.size:
            return False
        kind, count, size = _HEAD.unpack_from(self._rest)
        if kind not in (VALUE, JSON, FAILED, WANTED) or count > _MOST_BUFFERS:
            raise ProtocolError("what the worker said is no frame")
        body = _HEAD.size + count * _SIZE.size
        if len(self._rest) < body:
            return False
        lengths = [size, *(n for (n,) in _SIZE.iter_unpack(self._rest[_HEAD.size : body]))]
        if sum(lengths) > _LONGEST:
            raise ProtocolError("what the worker said is too long")
        self._parts = [bytearray() for _ in lengths]
        self._lengths = lengths
        del self._rest[:body]
        self._kind, self._part, self._at = kind, 0, 0
        return True

    def _fill(self) -> bool:
        """Fill the parts of the frame with what has come; return whether it is complete."""
        while self._part < len(self._parts):
            length = self._lengths[self._part]
            while self._at < length:
                if not self._rest:
                    return False
                part = self._room()
                count = min(len(part) - self._at, len(self._rest))
                part[self._at : self._at + count] = self._rest[:count]
                del self._rest[:count]
                self._at += count
            self._part, self._at = self._part + 1, 0
        return True

    def _room(self) -> bytearray:
        """The part that is filled, with room for more.

        Raises:
            ProtocolError: there is no memory.
        """
        part = self._parts[self._part]
        if self._at == len(part):
            try:
                part += bytes(min(_STEP, self._lengths[self._part] - self._at))
            except MemoryError:
                raise ProtocolError("what the worker said does not fit into memory") from None
        return part
