"""Typed values out of plain data of unknown origin: the checks that every codec rests on.

What is read may come from a hostile user or host, so every length has a limit, ids have a shape,
and text that is only for people is made printable here, once, for all that print it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from genvx.core.text import is_device_id, is_identifier, is_printable, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

MOST_NUMBER = 1 << 63
MOST_ITEMS = 100_000
MOST_DEVICES = 4096


class Malformed(ValueError):
    """Plain data that is not the value it claims to be; the message names the key."""


def loads(data: bytes) -> Any:
    """Parse JSON of unknown origin; raise Malformed for whatever is wrong with it."""
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {printable(str(error), 80)}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


# Made once: json.loads makes another for every call that is not as usual.
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def dumps(plain: Any) -> bytes:
    """Write JSON in ASCII on one line, so that no terminal or line discipline on the way changes
    it.
    """
    return json.dumps(plain, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode(
        "ascii"
    )


class Fields:
    """Takes typed values out of plain data, and names the key that is wrong."""

    def __init__(self, plain: Any, what: str) -> None:
        if not isinstance(plain, dict):
            raise Malformed(f"{what} is not an object")
        self._plain: Mapping[str, Any] = plain
        self._what = what

    def raw(self, key: str) -> Any:
        try:
            return self._plain[key]
        except KeyError:
            raise Malformed(f"{self._what} has no {key}") from None

    def wrong(self, key: str) -> Malformed:
        """What to raise for the value under a key that cannot be."""
        return Malformed(f"{self._what} has an impossible {key}")

    def names(self, key: str) -> bool:
        """Whether the key is there, if only with null."""
        return key in self._plain

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self._plain.get(key) is not None

    def integer(self, key: str, low: int = 0, high: int = MOST_NUMBER) -> int:
        value = self.raw(key)
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(key)
        return value

    def optional_integer(self, key: str, low: int = 0, high: int = MOST_NUMBER) -> Optional[int]:
        return self.integer(key, low, high) if self.has(key) else None

    def flag(self, key: str) -> bool:
        value = self.raw(key)
        if type(value) is not bool:
            raise self.wrong(key)
        return value

    def string(self, key: str, limit: int) -> str:
        """Any text up to `limit`, as it is: for what goes to a program, never to a terminal."""
        value = self.raw(key)
        if not isinstance(value, str) or len(value) > limit:
            raise self.wrong(key)
        return value

    def text(self, key: str, limit: int) -> str:
        """Text for people, made printable."""
        return printable(self.string(key, MOST_NUMBER), limit)

    def optional_text(self, key: str, limit: int) -> Optional[str]:
        return self.text(key, limit) if self.has(key) else None

    def exact_text(self, key: str, limit: int) -> str:
        """Text that must be printable as it is."""
        value = self.string(key, limit)
        if not is_printable(value, limit):
            raise self.wrong(key)
        return value

    def identifier(self, key: str) -> str:
        value = self.string(key, 64)
        if not is_identifier(value):
            raise self.wrong(key)
        return value

    def device_id(self, key: str) -> str:
        value = self.string(key, 128)
        if not is_device_id(value):
            raise self.wrong(key)
        return value

    def items(self, key: str, limit: int = MOST_ITEMS) -> list[Any]:
        value = self.raw(key)
        if not isinstance(value, list) or len(value) > limit:
            raise self.wrong(key)
        return value

    def values(
        self, key: str, decode: Callable[[Any], T], limit: int = MOST_ITEMS
    ) -> tuple[T, ...]:
        return tuple(decode(item) for item in self.items(key, limit))

    def mapping(self, key: str, limit: int) -> Mapping[str, Any]:
        """An object; its keys are of unknown origin, too."""
        value = self.raw(key)
        if not isinstance(value, dict) or len(value) > limit:
            raise self.wrong(key)
        return value

    def texts(self, key: str, limit: int, most: int) -> tuple[str, ...]:
        found = []
        for item in self.items(key, most):
            if not isinstance(item, str):
                raise self.wrong(key)
            found.append(printable(item, limit))
        return tuple(found)

    def strings(self, key: str, limit: int, most: int) -> tuple[str, ...]:
        """Texts as they are: for what goes to a program, never to a terminal."""
        items = self.items(key, most)
        if not all(isinstance(item, str) and len(item) <= limit for item in items):
            raise self.wrong(key)
        return tuple(items)

    def integers(self, key: str, most: int) -> tuple[int, ...]:
        items = self.items(key, most)
        if not all(type(item) is int and 0 <= item <= MOST_NUMBER for item in items):
            raise self.wrong(key)
        return tuple(items)

    def device_ids(self, key: str) -> tuple[str, ...]:
        found = self.items(key, MOST_DEVICES)
        if not all(isinstance(item, str) and is_device_id(item) for item in found):
            raise self.wrong(key)
        if len(set(found)) != len(found):
            raise self.wrong(key)
        return tuple(found)
