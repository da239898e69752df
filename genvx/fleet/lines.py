"""Lines of a log out of its pieces, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from genvx.core.runs.runinfo import LogPiece

# A log without a newline would fill the memory.
_LONGEST = 1 << 20


class Lines:
    """Lines collects data and gives the lines that are complete."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Add data; return the lines that it completes, and parts of one that is very long."""
        *lines, rest = data.split(b"\n")
        found = []
        for line in lines:
            found.append(self._take(line + b"\n"))
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
        if self._size >= _LONGEST:
            found.append(self._take(b""))
        return found

    def finish(self) -> list[bytes]:
        """Return the unfinished last line, if there is one."""
        return [self._take(b"")] if self._rest else []

    def _take(self, end: bytes) -> bytes:
        line = b"".join((*self._rest, end))
        self._rest.clear()
        self._size = 0
        return line


def lines_of(pieces: Iterable[LogPiece]) -> Iterator[bytes]:
    """Iterate over the lines of a log."""
    lines = Lines()
    for piece in pieces:
        yield from lines.feed(piece.data)
    yield from lines.finish()
