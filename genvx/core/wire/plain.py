"""Plain data as JSON: written strictly, read as data of unknown origin."""

from __future__ import annotations

import json
from typing import Any

from genvx.core.text import printable


class Malformed(ValueError):
    """The plain data is not the value that it claims to be; the message names the key."""


def loads(data: bytes) -> Any:
    """Parse JSON of unknown origin; raise Malformed if it is not JSON."""
    try:
        # RecursionError: a few KiB of "[[[[..." are valid UTF-8, and nest deeper than the decoder
        # can go.
        return _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {printable(str(error), 80)}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


# json.loads makes a new decoder for each call with special arguments, for which every lease of
# every scan would pay. NaN and Infinity are refused: they are not JSON, and compare false with all
# limits.
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def dumps(plain: Any) -> bytes:
    """Write JSON in ASCII on one line, which no terminal or line discipline changes on the way."""
    return json.dumps(plain, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode(
        "ascii"
    )
