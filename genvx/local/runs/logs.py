"""Reading the log of a run from where one likes, and following it to its end.

A place in a log is a byte offset. It stays true when the head of the file is freed (trimming.py):
what was there reads as a hole, and a reader is told how much is missing.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.runinfo import LogPiece

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

_PART = 256 * 1024
_BACK = 64 * 1024
# How soon a log that was quiet is looked at again: at first, and at last.
_SOON, LATER = 0.02, 0.2
# Where the end is awaited to start something else, which a device waits for.
PROMPT = 0.05


def offset_of_last_lines(log: int, lines: int) -> int:
    """Where the last lines of a log begin; its end for 0 lines.

    An unfinished line at the end counts as one.
    """
    size = os.fstat(log).st_size
    if lines <= 0:
        return size
    # There are no lines in a part that was freed, and it may be much longer than the rest.
    first = _next_data(log, 0)
    if first is None:
        return size
    start = size
    while start > first:
        begin = max(first, start - _BACK)
        part = os.pread(log, start - begin, begin)
        place = len(part)
        while (place := part.rfind(b"\n", 0, place)) >= 0:
            if begin + place + 1 == size:
                continue  # the end of the last line
            lines -= 1
            if lines == 0:
                return begin + place + 1
        start = begin
    return first


def last_bytes(log: int, most: int) -> tuple[bytes, bool]:
    """The last bytes of a log, so many at most; and whether something came before them."""
    size = os.fstat(log).st_size
    begin = _next_data(log, max(0, size - most))
    return (b"" if begin is None else os.pread(log, most, begin)), bool(begin)


def follow(
    log: int,
    offset: int,
    over: Callable[[], bool],
    pause: Callable[[float], bool],
    news: Callable[[], bool] = lambda: False,
    later: float = LATER,
) -> Iterator[Optional[LogPiece]]:
    """The log from an offset on, until it is over and read to its end.

    over: whether nothing will be appended any more. pause: waits so many seconds; True ends the
    reading. news: whether there is something else to tell; then None is given. later: how soon it
    is looked at again, at last.
    """
    wait = _SOON
    while True:
        # Asked before the log is read: what is written between the two would be lost otherwise.
        ended = over()
        if news():
            yield None
        found = False
        while True:
            piece = _read(log, offset)
            if piece is None:
                break
            found = True
            offset = piece.at + len(piece.data)
            yield piece
        if ended:
            return
        wait = _SOON if found else min(wait * 1.5, later)
        if pause(wait):
            return


def await_end(
    over: Callable[[], bool], pause: Callable[[float], bool], news: Callable[[], bool]
) -> Iterator[Optional[LogPiece]]:
    """Wait as `follow` does, without reading; None is given when there is something to tell."""
    while not over():
        if news():
            yield None
        if pause(LATER):
            return


def _read(log: int, offset: int) -> Optional[LogPiece]:
    while True:
        begin = _next_data(log, offset)
        if begin is None:
            return None
        data = os.pread(log, _PART, begin)
        # It may have been freed before it was read, and has read as zeros then.
        if _next_data(log, begin) in (begin, None):
            return LogPiece(begin, data, begin - offset) if data else None


def _next_data(log: int, offset: int) -> Optional[int]:
    """The first place from an offset on that was not freed; None if nothing follows."""
    try:
        return os.lseek(log, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            # Past the end, or a hole up to the end.
            return None
        if error.errno != errno.EINVAL:  # a file system that knows no holes
            raise
    return offset
