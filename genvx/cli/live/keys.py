"""What a person types and clicks, from the bytes that a terminal sends for it."""

from __future__ import annotations

import codecs
import re

from genvx.core.value import value

_SEQUENCE = re.compile(r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|O([ -~]))")
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?")
_FINALS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "P": "f1"}
_FINALS["Z"] = "backtab"
_NUMBERS = {"1": "home", "4": "end", "5": "pageup", "6": "pagedown", "7": "home", "8": "end"}
_NUMBERS |= {"3": "delete", "11": "f1"}
_CONTROLS = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\b": "backspace"}
_CONTROLS |= {"\x0c": "redraw", "\x15": "clear"}
_WHEEL = {"64": "wheel-up", "65": "wheel-down"}


@value
class Key:
    """A key: a character, or the name of one such as "up", "enter" or "esc"."""

    name: str


@value
class Click:
    """A press of the left button, or a turn of the wheel ("wheel-up", "wheel-down"); row and column
    from 0.
    """

    name: str
    row: int
    column: int


class Keys:
    """Reads what a terminal sends; a sequence may come in parts."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._left = ""

    @property
    def is_waiting(self) -> bool:
        """Whether the beginning of a sequence is there, which may be the key Esc."""
        return bool(self._left)

    def take(self, data: bytes) -> list[Key | Click]:
        """Return the events that these bytes complete."""
        text = self._left + self._decoder.decode(data)
        self._left = ""
        found: list[Key | Click] = []
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                found += _character(text[at])
                at += 1
                continue
            whole = _SEQUENCE.match(text, at)
            if whole is not None:
                found += _event(*whole.groups())
                at = whole.end()
                continue
            begun = _BEGUN.match(text, at)
            assert begun is not None
            if begun.end() == len(text):
                self._left = text[at:]
                break
            found.append(Key("esc"))
            at += 1
        return found

    def time_out(self) -> list[Key | Click]:
        """Return what is meant if nothing more comes: the key Esc."""
        left, self._left = self._left, ""
        return [Key("esc")] if left else []


def _character(character: str) -> list[Key | Click]:
    if character in _CONTROLS:
        return [Key(_CONTROLS[character])]
    return [Key(character)] if character.isprintable() else []


def _event(parameters: str | None, final: str | None, keypad: str | None) -> list[Key | Click]:
    if keypad is not None:
        return [Key(_FINALS[keypad])] if keypad in _FINALS else []
    assert parameters is not None
    assert final is not None
    if parameters.startswith("<"):
        return _mouse(parameters[1:].split(";"), final)
    if final == "~":
        name = _NUMBERS.get(parameters.partition(";")[0])
    else:
        name = _FINALS.get(final)
    return [] if name is None else [Key(name)]


def _mouse(words: list[str], final: str) -> list[Key | Click]:
    if final != "M" or len(words) != 3 or not all(word.isdecimal() for word in words):
        return []
    button, column, row = words
    name = "press" if button == "0" else _WHEEL.get(button)
    return [] if name is None else [Click(name, int(row[:6]) - 1, int(column[:6]) - 1)]
