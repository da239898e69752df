"""Dimensions as people type them.

lr=log:1e-5..1e-1     a number, evenly by its logarithm
dropout=0..0.5        a number
dropout=0..0.5/0.1    a multiple of 0.1
seed=int:0..9         a whole number, both bounds included
width=int:16..256/16  16, 32, 48 and so on
size=int:log:1..1000  a whole number, evenly by its logarithm
layers=2,4,8          one of these
act=relu              always this
words=["a,b", "c"]    one of these, as JSON
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from genvx.core.sweeps.checks import require_parameter_name
from genvx.core.sweeps.dimensions import Choice, Dimension, Uniform, Whole
from genvx.core.text import printable
from genvx.errors import InvalidInput

_MOST = 64 << 10
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:/({_NUMBER}))?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
# What begins as a range does, and is none: 1..x would otherwise be a text.
_LIKE_A_RANGE = re.compile(rf"\.\.{_NUMBER}(?:/{_NUMBER})?|{_NUMBER}\.\..*", re.ASCII)
# low..high, as the only value: a text that nobody searches. Paths have slashes.
_RANGE_OF_WORDS = re.compile(r"[^\s,/\\\"'\[]+\.\.[^\s,/\\\"']+")
_WORDS = {"true": True, "false": False, "null": None}

FORMS = "lr=log:1e-5..1e-1, dropout=0..0.5, seed=int:0..9 or layers=2,4,8"


def dimension_of(text: str) -> Dimension:
    """Read a dimension such as "lr=log:1e-5..1e-1".

    Raises:
        InvalidInput: it has no such form; the message shows the forms.
    """
    if len(text) > _MOST:
        raise InvalidInput("a parameter is too long")
    name, equals, written = text.partition("=")
    name, written = name.strip(), written.strip()
    if not equals or not written:
        raise InvalidInput(f"not a parameter: {printable(text, 60)!r}; write it like {FORMS}")
    require_parameter_name(name)
    kinds = set()
    rest = written
    while rest[:4] in ("log:", "int:") and rest[:3] not in kinds:
        kinds.add(rest[:3])
        rest = rest[4:].lstrip()
    match = _RANGE.fullmatch(rest)
    if match is not None:
        return _range(name, match, kinds)
    if kinds:
        _fail(name, f"{sorted(kinds)[0]}: needs a range, not {printable(rest, 40)!r}")
    if _LIKE_A_RANGE.fullmatch(rest) or _RANGE_OF_WORDS.fullmatch(rest):
        _fail(name, f"not a range: {printable(rest, 40)!r}")
    return Choice(name, _values(name, rest))


def _range(name: str, match: re.Match[str], kinds: set[str]) -> Dimension:
    low, high = match[1], match[2]
    if "int" in kinds:
        numbers = [each for each in (low, high, match[3]) if each is not None]
        if not all(_WHOLE.fullmatch(each) for each in numbers):
            _fail(name, "int: needs whole numbers of at most 18 digits")
        return Whole(name, int(low), int(high), "log" in kinds, int(match[3] or 1))
    bounds = float(low), float(high)
    if match[3] is None:
        return Uniform(name, *bounds, None, "log" in kinds)
    step = float(match[3])
    made = Uniform(name, *bounds, step, "log" in kinds)
    # Values are multiples of the step. Counted from another number, nobody would expect them.
    if "log" not in kinds and not math.isclose(made.low / step, round(made.low / step)):
        _fail(name, f"{low} is no multiple of the step {match[3]}, and values are multiples of it")
    return made


def _values(name: str, written: str) -> tuple[Any, ...]:
    if written.startswith("["):
        try:
            found = json.loads(written, parse_constant=_no_number)
        except (ValueError, RecursionError):
            _fail(name, f"not a list of JSON: {printable(written, 60)!r}")
        return tuple(found)
    values = [_word(name, each.strip()) for each in written.split(",")]
    if len({json.dumps(each) for each in values}) < len(values):
        _fail(name, "a value is there twice")
    return tuple(values)


def _word(name: str, word: str) -> Any:
    if not word:
        _fail(name, 'a value is missing between two commas; an empty text is written [""]')
    if word in _WORDS:
        return _WORDS[word]
    if _WHOLE.fullmatch(word):
        # 007 is a text: as a number it would lose its zeros.
        return int(word) if str(int(word)) == word.lstrip("+") else word
    if re.fullmatch(_NUMBER, word, re.ASCII):
        return float(word)
    return word


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _fail(name: str, why: str) -> NoReturn:
    raise InvalidInput(f"{name}: {why}; write it like {FORMS}") from None


__all__ = ["FORMS", "dimension_of"]
