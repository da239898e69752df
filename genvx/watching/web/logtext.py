"""The log of a run as lines of text for a page."""

from __future__ import annotations

import codecs
import re

from genvx.core.text import printable

# Characters of a line that are shown, and of an unfinished one that are kept.
_MOST_SHOWN, _MOST_KEPT = 4000, 65536
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
)


class LogText:
    """Makes lines of the bytes of a log: without escapes for a terminal, and of what a progress bar
    wrote over, only the last state.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""

    def take(self, data: bytes) -> tuple[list[str], str]:
        """Take the next bytes; return the lines that they finish, and the one that is open."""
        *whole, self._open = (self._open + self._decoder.decode(data)).split("\n")
        kept = self._open
        if "\r" in kept:
            kept = kept[len(kept.rstrip("\r").rpartition("\r")[0]) :]
        self._open = kept[-_MOST_KEPT:]
        return [_shown(line) for line in whole], _shown(self._open)


def _shown(line: str) -> str:
    line = line.rstrip("\r").rpartition("\r")[2]
    return printable(_ESCAPES.sub("", line).expandtabs(8), _MOST_SHOWN)
