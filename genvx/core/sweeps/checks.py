"""What can be the name of a parameter, and its value."""

from __future__ import annotations

import math
import re
from typing import Any

from genvx.core.text import printable
from genvx.errors import InvalidInput

MOST_VALUES = 10_000
MOST_DEPTH = 8
MOST_TEXT = 4096
# Tuners count in floats, which tell no more whole numbers apart.
MOST_WHOLE = 1 << 53
_MOST_REAL = 1e150
# Beyond this, neighbouring multiples of a step are no longer different numbers.
_MOST_STEPS = 1 << 53

# NNI's spaces name parameters such as conv1.size or batch-size, so more than identifiers is fine.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_RESERVED = ("_name", "_type", "_value")


def require_parameter_name(name: Any) -> str:
    """Return `name` if it can name a parameter; raise InvalidInput otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise InvalidInput(
            f"not a name of a parameter: {printable(str(name), 60)!r}; it has letters, digits and "
            "_.- and begins with a letter or _"
        )
    return name


def require_numbers(name: str, *numbers: Any) -> None:
    """Raise InvalidInput unless all are finite numbers. name: of the parameter."""
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise InvalidInput(f"{name}: not a number: {printable(str(number), 40)!r}")
        if isinstance(number, int) and abs(number) > MOST_WHOLE:
            raise InvalidInput(f"{name}: a number is too large")
        if not math.isfinite(number):
            raise InvalidInput(f"{name}: not a finite number: {number}")
        # The difference of two must be a number, too.
        if abs(number) > _MOST_REAL:
            raise InvalidInput(f"{name}: {number:g} is too large")


def require_step(name: str, step: Any, low: float, high: float) -> None:
    """Raise InvalidInput unless a step is None, or fits numbers between two bounds."""
    if step is None:
        return
    require_numbers(name, step)
    if step <= 0:
        raise InvalidInput(f"{name}: a step is more than 0")
    if max(abs(low), abs(high)) / step > _MOST_STEPS:
        raise InvalidInput(f"{name}: the step {step:g} is too small")


def require_json(name: str, found: Any, depth: int = 0) -> None:
    """Raise InvalidInput unless a value is JSON that can be a word of a command."""
    if found is None or isinstance(found, bool):
        return
    if isinstance(found, (int, float)):
        require_numbers(name, found)
    elif isinstance(found, str):
        # NUL ends a word of a command, and a lone surrogate cannot be written.
        if len(found) > MOST_TEXT or "\0" in found or not _writable(found):
            raise InvalidInput(f"{name}: not a text for a command: {printable(found, 60)!r}")
    elif isinstance(found, (list, tuple)) and depth < MOST_DEPTH:
        if len(found) > MOST_VALUES:
            raise InvalidInput(f"{name}: a list of more than {MOST_VALUES} values")
        for each in found:
            require_json(name, each, depth + 1)
    elif isinstance(found, dict) and depth < MOST_DEPTH:
        if len(found) > MOST_VALUES or not all(isinstance(key, str) for key in found):
            raise InvalidInput(f"{name}: the keys of an object are texts")
        for key, each in found.items():
            require_json(name, key, depth + 1)
            require_json(name, each, depth + 1)
    else:
        raise InvalidInput(f"{name}: not a value for a parameter: {printable(str(found), 60)}")


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
