"""What a program has changed of a terminal, as its output says; and output shown once more."""

from __future__ import annotations

import re

# Private modes that are switched on and off (h, l), and a full reset.
_MODES = re.compile(rb"\x1b\[\?([0-9;]{1,40})([hl])|\x1bc")
_UNFINISHED = re.compile(rb"\x1b(?:\[(?:\?[0-9;]{0,40})?)?")
_LONGEST = 44
# The screen that full-screen programs have for themselves.
_ALTERNATE = frozenset((47, 1047, 1049))
_CURSOR = 25
# Cursor keys, the mouse, reports of the focus, and bracketed paste: what would disturb whatever
# comes after the program.
_DISTURBING = frozenset((1, 9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004))

# What a terminal answers, as if its answer had been typed: who it is, where its cursor is, which
# modes, colours and fonts it has.
_QUESTIONS = re.compile(
    rb"\x05|\x1bZ"
    rb"|\x1b\[[>=?]?[0-9;]*c|\x1b\[\??[0-9;]*n|\x1b\[\??[0-9;]*\$p|\x1b\[>[0-9;]*q|\x1b\[\?u"
    rb"|\x1b\[[01]?x|\x1b\[(?:1[134-689]|2[01])(?:;[0-9]+)*t"
    rb"|\x1bP[+$]q[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\](?![0128];)[0-9]+;[^\x07\x1b]*\?(?:\x07|\x1b\\)"
)
# Of the end of some output: so far at most is looked for the beginning of a line.
_LINE = 4096


class Screen:
    """What the output of a program has changed so far.

    touched: whether anything but text was printed.
    """

    def __init__(self) -> None:
        self.touched = False
        self._on: set[int] = set()
        self._hidden = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take note of more output."""
        data = self._rest + data
        self._rest = b""
        last = data.rfind(b"\x1b", max(0, len(data) - _LONGEST))
        if last >= 0 and _UNFINISHED.fullmatch(data, last):
            data, self._rest = data[:last], data[last:]
        self.touched = self.touched or b"\x1b" in data
        for match in _MODES.finditer(data):
            if match[2] is None:
                self._on, self._hidden = set(), False
                continue
            numbers = {int(word) for word in match[1].split(b";") if word}
            if match[2] == b"h":
                self._on |= numbers & (_DISTURBING | _ALTERNATE)
            else:
                self._on -= numbers
            if _CURSOR in numbers:
                self._hidden = match[2] == b"l"

    @property
    def alternate(self) -> bool:
        """Whether the program has the screen for itself."""
        return bool(self._on & _ALTERNATE)

    def again(self) -> bytes:
        """What changes another terminal in the same way; not to the alternate screen."""
        modes = b"".join(b"\x1b[?%dh" % mode for mode in sorted(self._on - _ALTERNATE))
        return modes + (b"\x1b[?25l" if self._hidden else b"")

    def undo(self) -> bytes:
        """What makes the terminal ready for other programs again."""
        if not self.touched:
            return b""
        parts = [b"\x1b[?%dl" % mode for mode in sorted(self._on - _ALTERNATE)]
        parts += [b"\x1b[r\x1b[?%dl" % mode for mode in sorted(self._on & _ALTERNATE)]
        # The scrolling region; to reset it moves the cursor.
        return b"".join(parts) + b"\x1b7\x1b[r\x1b8\x1b>\x1b(B\x1b[0m\x1b[?25h"


def shown_again(tail: bytes, screen: Screen, *, cut: bool) -> bytes:
    """The end of a program's output, for a terminal that has not seen it.

    screen: as all of the output has left it. cut: whether something came before.
    """
    if cut:
        # Not from the middle of a character or of a sequence, if there is a line to begin with.
        tail = tail[tail.find(b"\n", 0, _LINE) + 1 :]
    first = next((m for m in _MODES.finditer(tail) if m[2] and _alternates(m[1])), None)
    before = b""
    if first is not None and first[2] == b"l":
        tail = tail[first.end() :]  # what is before it was on the alternate screen
    elif first is None and screen.alternate:
        before = b"\x1b[?1049h"
    return before + _QUESTIONS.sub(b"", tail) + screen.again()


def _alternates(numbers: bytes) -> bool:
    return any(int(word) in _ALTERNATE for word in numbers.split(b";") if word)
