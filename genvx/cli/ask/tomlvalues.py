"""Values of .genvx.toml, as they are typed for genvx config and as it shows them."""

from __future__ import annotations

from genvx.core.text import printable
from genvx.errors import InvalidInput

_LISTS = ("device", "only-host", "exclude-host", "tag", "extra")
_WORDS = {"true": True, "false": False}


def typed(key: str, values: list[str]) -> object:
    """Convert what was typed to a value of TOML.

    Raises:
        InvalidInput: the key has one value, and several were typed.
    """
    if key in _LISTS:
        return [part.strip() for value in values for part in value.split(",")]
    if len(values) > 1:
        raise InvalidInput(f"{printable(key, 40)} has one value, not {len(values)}")
    (value,) = values
    if key in ("spread", "pack", "over-subscribe", "wait") and value in _WORDS:
        return _WORDS[value]
    return int(value) if key == "gpus" and value.isdecimal() and len(value) < 10 else value


def as_typed(value: object) -> str:
    """Return a value in words, as it could be typed."""
    if isinstance(value, list):
        return ", ".join(printable(str(each)) for each in value)
    return str(value).lower() if isinstance(value, bool) else printable(str(value))
